package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

func TestShortOrderWaitsForTemporarilyHeldStock(t *testing.T) {
	w := newWorld(t)
	began := w.env.Now()
	w.stock.short = func(order.ReserveRequest) bool { return w.env.Now().Before(began.Add(time.Minute)) }
	require.Equal(t, order.StatusCompleted, w.run(tea(order.Immediate)).Status)
	require.Equal(t, happyImmediate, w.timeline(), "the wait leaves nothing in the log")
	first, again := w.stock.requests[0], w.stock.requests[1]
	require.Equal(t, order.ReserveRequest{OrderID: "42", Items: []order.Item{{SKU: "tea", Quantity: 2}}}, first)
	require.Equal(t, "tea", again.From, "what is held already is not asked for again")
	for _, r := range w.stock.requests {
		require.False(t, r.Last)
	}
	// From 0.1 to 5 s: not in a hot loop, and soon enough.
	require.Greater(t, len(w.stock.requests), 60/5)
	require.Less(t, len(w.stock.requests), 60/2+10)
}

func TestShortOrderIsRejectedAtItsDeadline(t *testing.T) {
	w := newWorld(t)
	began := w.env.Now()
	var last time.Time
	w.stock.refuse = order.ReasonOutOfStock
	w.stock.short = func(r order.ReserveRequest) bool {
		last = w.env.Now()
		return !r.Last
	}
	result := w.run(tea(order.Immediate))
	require.Equal(t, order.StatusRejected, result.Status)
	require.Equal(t, order.ReasonOutOfStock, result.Reason)
	require.Equal(t, []string{"order.accepted", "inventory.rejected", "order.rejected"}, w.timeline())
	require.False(t, last.Before(began.Add(w.timing.Reserve)), "it was tried until the deadline")
	require.True(t, last.Before(began.Add(w.timing.Reserve+time.Minute)))
}

func TestShortOrderCanBeCancelled(t *testing.T) {
	w := newWorld(t)
	began := w.env.Now()
	w.stock.short = func(order.ReserveRequest) bool { return true }
	w.env.RegisterDelayedCallback(func() {
		w.env.SignalWorkflow(saga.SignalCancel, order.Cancellation{ID: "c-1"})
	}, 30*time.Second)
	require.Equal(t, order.StatusCancelled, w.run(tea(order.Immediate)).Status)
	require.Equal(t, []string{"order.accepted", "order.compensating", "inventory.released", "order.cancelled"}, w.timeline())
	require.Equal(t, "released", w.stock.end, "what was acquired before is given back")
	require.Less(t, w.env.Now().Sub(began), w.timing.Reserve)
}

// A run that takes over finds the shortage itself and waits on; one that continues as new keeps its deadline.
func TestNextRunContinuesWaiting(t *testing.T) {
	t.Run("taken over", func(t *testing.T) {
		w := newWorld(t)
		o := tea(order.Immediate)
		w.record(order.Accept(o, "corr", "cause", w.env.Now()))
		began := w.env.Now()
		w.stock.short = func(order.ReserveRequest) bool { return w.env.Now().Before(began.Add(time.Minute)) }
		require.Equal(t, order.StatusCompleted, w.run(o).Status)
		require.Equal(t, happyImmediate, w.timeline())
	})
	t.Run("continued as new", func(t *testing.T) {
		w := newWorld(t)
		w.stock.refuse = order.ReasonOutOfStock
		w.stock.short = func(r order.ReserveRequest) bool { return !r.Last }
		since := w.env.Now().Add(-w.timing.Reserve)
		w.resume = &saga.Resume{Facts: order.Facts{Later: &saga.Later{Step: order.StepReserve, Hint: "tea", Since: since, At: w.env.Now(), Tries: 9}}}
		require.Equal(t, order.ReasonOutOfStock, w.run(tea(order.Immediate)).Reason)
		require.Len(t, w.stock.requests, 1)
		require.Equal(t, "tea", w.stock.requests[0].From)
	})
	t.Run("the ledger goes away meanwhile", func(t *testing.T) {
		w := newWorld(t)
		began := w.env.Now()
		w.stock.fail = []string{"reserve", "reserve", "reserve"}
		w.stock.short = func(order.ReserveRequest) bool { return w.env.Now().Before(began.Add(30 * time.Second)) }
		require.Equal(t, order.StatusCompleted, w.run(tea(order.Immediate)).Status)
		require.NotContains(t, w.timeline(), event.OrderNeedsAttention)
	})
}
