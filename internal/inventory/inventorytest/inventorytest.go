// Package inventorytest is the contract suite of the stock ledger, to be run with every supported event log. It uses two ledgers with one log,
// like two processes, and audits the records at the end of each test.
//
// It imports internal/inventory, internal/eventlog and test libraries. Only tests may import it.
package inventorytest

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/inventory"
	"github.com/ordersaga/ordersaga/internal/inventory/inventorytest/gatelog"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

// Subject is the environment of the suite.
type Subject struct {
	// Log returns an event log, which may have streams of other tests.
	Log func(t *testing.T) eventlog.Log
	// Registry returns an empty registry. Default: one in memory.
	Registry func(t *testing.T) inventory.Registry
	// Slow means that each call takes a round trip: fewer generated cases are tried.
	Slow bool
}

// Run runs the suite.
func Run(t *testing.T, s Subject) {
	if s.Registry == nil {
		s.Registry = func(*testing.T) inventory.Registry { return new(inventory.MemoryRegistry) }
	}
	t.Run("Algebra", func(t *testing.T) { testAlgebra(t, s) })
	t.Run("Answers", func(t *testing.T) { testAnswers(t, s) })
	t.Run("Acquire", func(t *testing.T) { testAcquire(t, s) })
	t.Run("Counts", func(t *testing.T) { testCounts(t, s) })
	t.Run("Limits", func(t *testing.T) { testLimits(t, s) })
	t.Run("List", func(t *testing.T) { testList(t, s) })
	t.Run("Race", func(t *testing.T) { testRace(t, s) })
	t.Run("Writers", func(t *testing.T) { testWriters(t, s) })
	t.Run("Model", func(t *testing.T) { testModel(t, s) })
}

// bench has two ledgers with one log, each behind its own gate.
type bench struct {
	log      eventlog.Log
	registry inventory.Registry
	gates    [2]*gatelog.Log
	ledgers  [2]*inventory.Ledger
}

// open returns a bench; tweak changes the configuration of its ledgers.
func open(t *testing.T, s Subject, tweak func(*inventory.Config)) *bench {
	t.Helper()
	b := &bench{log: s.Log(t), registry: s.Registry(t)}
	for i := range b.ledgers {
		b.gates[i] = gatelog.Wrap(b.log)
		// An append that a test holds must not time out.
		config := inventory.Config{Log: b.gates[i], Registry: b.registry, AppendTimeout: testenv.Timeout}
		if tweak != nil {
			tweak(&config)
		}
		ledger, err := inventory.New(config)
		require.NoError(t, err)
		t.Cleanup(ledger.Close)
		b.ledgers[i] = ledger
	}
	return b
}

// a and b return the two ledgers.
func (b *bench) a() *inventory.Ledger { return b.ledgers[0] }
func (b *bench) b() *inventory.Ledger { return b.ledgers[1] }

// serial makes SKUs unique; logs are not shared between processes.
var serial atomic.Int64

// newSKU returns a SKU that no other test uses, greater than those before it. Every second one is as shops have them.
func newSKU() string {
	n := serial.Add(1)
	if n%2 == 0 {
		return fmt.Sprintf("A-%08d/50%% ü", n)
	}
	return fmt.Sprintf("A-%08d", n)
}

// stocked returns a new SKU with this quantity on hand.
func (b *bench) stocked(t *testing.T, quantity int64) string {
	t.Helper()
	sku := newSKU()
	_, err := b.a().Receive(context.Background(), sku, quantity, "first")
	require.NoError(t, err)
	return sku
}

// balance fails the test unless both ledgers return this balance.
func (b *bench) balance(t require.TestingT, sku string, onHand, reserved int64) {
	for i, ledger := range b.ledgers {
		got, err := ledger.Balance(context.Background(), sku)
		require.NoError(t, err)
		want := inventory.Balance{SKU: sku, OnHand: onHand, Reserved: reserved, Available: max(onHand-reserved, 0), Shortfall: max(reserved-onHand, 0), Version: got.Version}
		require.Equal(t, want, got, "ledger %d", i)
	}
}
