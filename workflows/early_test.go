package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

var early = order.Cancellation{ID: "c-1", Cause: "evt-1", Reason: "ordered twice"}

// TestOrderCancelledBeforePlacement: nothing is reserved or charged.
func TestOrderCancelledBeforePlacement(t *testing.T) {
	for _, f := range []order.Fulfillment{order.Immediate, order.Shipment} {
		t.Run(string(f), func(t *testing.T) {
			w := newWorld(t)
			w.callerID = true
			_, _, err := activities.KeepEarly(t.Context(), w.log, &order.Flow, "42", early, "corr", w.env.Now())
			require.NoError(t, err)
			result := w.run(tea(f))
			require.Equal(t, order.StatusCancelled, result.Status)
			require.Equal(t, []string{event.OrderAccepted, event.OrderCompensating, event.InventoryReleased, event.OrderCancelled}, w.timeline())
			require.Zero(t, w.gateway.count())
			s := w.record()
			require.Equal(t, order.ReasonRequested, s.Reason)
			require.Equal(t, "ordered twice", s.Detail)
			require.True(t, order.Recorded(s, early), "the event that comes again is a redelivery")
		})
	}
}

// TestStoredCancellationIsRedelivered: during the cancellation, and after its end.
func TestStoredCancellationIsRedelivered(t *testing.T) {
	w := newWorld(t)
	w.callerID = true
	w.stock.fail = []string{"release", "release", "release", "release", "release"}
	_, _, err := activities.KeepEarly(t.Context(), w.log, &order.Flow, "42", early, "corr", w.env.Now())
	require.NoError(t, err)
	w.env.RegisterDelayedCallback(func() { w.env.SignalWorkflow(saga.SignalCancel, early) }, time.Millisecond)
	require.Equal(t, order.StatusCancelled, w.run(tea(order.Immediate)).Status)
	require.Empty(t, w.late())
}

// An order with an id that was made for its request has no early cancellations.
func TestFreshOrderIgnoresEarlierCancellations(t *testing.T) {
	w := newWorld(t)
	_, _, err := activities.KeepEarly(t.Context(), w.log, &order.Flow, "42", early, "corr", w.env.Now())
	require.NoError(t, err)
	require.Equal(t, order.StatusCompleted, w.run(tea(order.Immediate)).Status)
}
