package inventory

import (
	"context"
	"slices"
	"sync"
)

// Registry knows which SKUs there are, for List: a log finds streams by name only. The ledger adds a SKU before
// it writes the record that makes it known, so that no known SKU is missing; one whose record then was not
// written is listed by the registry and left out by the ledger.
//
// It may be used by any number of goroutines and processes at once. Errors: Unavailable.
type Registry interface {
	// Add inserts sku; it does nothing when sku is there.
	Add(ctx context.Context, sku string) error
	// List returns at most limit SKUs that come after the given one, in the order of their bytes.
	List(ctx context.Context, after string, limit int) ([]string, error)
}

// MemoryRegistry is a Registry in memory, for tests. The zero value is empty and ready.
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
