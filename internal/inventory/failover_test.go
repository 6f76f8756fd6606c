package inventory_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog/eventlogtest"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/inventory"
	"github.com/ordersaga/ordersaga/internal/stock"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// TestReservationHiddenByFailoverIsUnavailable: the step that commits or releases it is tried again, and is not abandoned.
func TestReservationHiddenByFailoverIsUnavailable(t *testing.T) {
	log := eventlogtest.NewLossyLog(memlog.New())
	registry := new(inventory.MemoryRegistry)
	open := func() *inventory.Ledger {
		ledger, err := inventory.New(inventory.Config{Log: log, Registry: registry})
		require.NoError(t, err)
		t.Cleanup(ledger.Close)
		return ledger
	}
	first := open()
	_, err := first.Receive(t.Context(), "A-1", 10, "first")
	require.NoError(t, err)
	for _, id := range []string{"o-1", "o-2", "o-3"} {
		got, err := first.Reserve(t.Context(), id, "A-1", 2)
		require.NoError(t, err)
		require.Equal(t, stock.Done, got.Effect)
	}

	// What is missed: all of it; or the balance of a reservation that was read a moment ago.
	log.Forget(event.StockStream("A-1"), 1)
	require.ErrorIs(t, open().Commit(t.Context(), "o-1", "A-1"), fault.Unavailable)
	log.Remember()
	stale := open()
	_, err = stale.Lookup(t.Context(), "o-1", "A-1")
	require.NoError(t, err)
	log.Forget(event.StockStream("A-1"), 1)
	for name, do := range map[string]func() error{
		"commit":  func() error { return stale.Commit(t.Context(), "o-1", "A-1") },
		"release": func() error { return stale.Release(t.Context(), "o-1", "A-1") },
	} {
		err := do()
		require.ErrorIs(t, err, fault.ErrMissing, name)
		require.True(t, fault.Retryable(err), name)
	}

	log.Remember()
	require.NoError(t, stale.Commit(t.Context(), "o-1", "A-1"))
	require.NoError(t, stale.Release(t.Context(), "o-2", "A-1"))
	got, err := stale.Balance(t.Context(), "A-1")
	require.NoError(t, err)
	require.Equal(t, inventory.Balance{SKU: "A-1", OnHand: 8, Reserved: 2, Available: 6, Version: 6}, got)
}

// TestHolderHiddenByFailoverIsAwaited: an order that may give its stock back in a moment is no reason to refuse another one.
func TestHolderHiddenByFailoverIsAwaited(t *testing.T) {
	log := eventlogtest.NewLossyLog(memlog.New())
	ledger, err := inventory.New(inventory.Config{Log: log, Registry: new(inventory.MemoryRegistry), Temporary: order.Temporary})
	require.NoError(t, err)
	t.Cleanup(ledger.Close)
	_, err = ledger.Receive(t.Context(), "A-1", 2, "first")
	require.NoError(t, err)
	holder := order.Order{ID: "o-1", CustomerID: "c-1", Currency: "EUR", Lines: []order.Line{{SKU: "A-1", Quantity: 2, UnitAmount: 1}}}
	accepted := order.Accept(holder, "corr", "", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	_, _, err = log.Append(t.Context(), event.OrderStream("o-1"), event.Head{}, []event.Entry{accepted})
	require.NoError(t, err)
	got, err := ledger.Reserve(t.Context(), "o-1", "A-1", 2)
	require.NoError(t, err)
	require.Equal(t, stock.Done, got.Effect)

	log.Forget(event.OrderStream("o-1"), 0)
	answers, err := ledger.Acquire(t.Context(), stock.ReserveRequest{OrderID: "o-2", Items: []stock.Item{{SKU: "A-1", Quantity: 1}}})
	require.NoError(t, err)
	require.Equal(t, stock.Short, answers[0].Effect)
}
