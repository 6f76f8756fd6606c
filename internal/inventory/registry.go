package inventory

import (
	"context"
	"slices"
	"sync"
)

// Registry has the names of all SKUs, for List: a log finds streams by name only. The ledger adds a SKU before it writes the record that makes
// it known, so that no known SKU is missing; if that record is then not written, the ledger omits the SKU.
//
// It is safe for concurrent use, also by several processes. Errors: Unavailable.
type Registry interface {
	// Add inserts sku; it does nothing if sku exists.
	Add(ctx context.Context, sku string) error
	// List returns at most limit SKUs greater than after, in byte order.
	List(ctx context.Context, after string, limit int) ([]string, error)
}

// MemoryRegistry is a Registry in memory, for tests. Its zero value is empty and ready.
type MemoryRegistry struct {
	mu   sync.Mutex
	skus []string
}

var _ Registry = (*MemoryRegistry)(nil)

// Add implements Registry.
func (r *MemoryRegistry) Add(_ context.Context, sku string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at, found := slices.BinarySearch(r.skus, sku); !found {
		r.skus = slices.Insert(r.skus, at, sku)
	}
	return nil
}

// List implements Registry.
func (r *MemoryRegistry) List(_ context.Context, after string, limit int) ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, found := slices.BinarySearch(r.skus, after)
	if found {
		at++
	}
	return slices.Clone(r.skus[at:min(at+limit, len(r.skus))]), nil
}
