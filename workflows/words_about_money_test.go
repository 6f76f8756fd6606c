package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// late lists the types and causes of the late stream's events.
func (w *world) late() []string {
	records, err := w.log.Read(w.t.Context(), event.LateStream("42"), 0, 0)
	require.NoError(w.t, err)
	var types []string
	for _, r := range records {
		types = append(types, r.Type+" "+r.CausationID)
	}
	return types
}

// paidThenFailed are the signals of an interrupted run: a successful payment, then a failed one.
var paidThenFailed = []saga.Fact{
	order.PaymentHint{ID: "p-1", Cause: "e-1", Succeeded: true}.Fact("42"),
	order.PaymentHint{ID: "p-2", Cause: "e-2"}.Fact("42"),
}

// A notification of a successful payment is never replaced by a later notification.
func TestPaymentNotificationIsNotReplaced(t *testing.T) {
	paid := order.PaymentHint{ID: "p-1", Cause: "e-1", Succeeded: true}
	failed := order.PaymentHint{ID: "p-2", Cause: "e-2"}
	say := func(w *world, after time.Duration, h order.PaymentHint) {
		w.env.RegisterDelayedCallback(func() { w.env.SignalWorkflow(order.SignalPayment, h) }, after)
	}
	t.Run("by a run that takes over while everything is undone", func(t *testing.T) {
		w := newWorld(t)
		w.gateway.answer = payment.Pending
		w.resume = &saga.Resume{Missed: append([]saga.Fact{fact(t, saga.SignalCancel, `{"id":"c-1","cause":"e-0"}`)}, paidThenFailed...)}
		w.run(tea(order.Immediate))
		require.Contains(t, w.late(), "event.late e-1")
	})
	t.Run("by a run that takes over when the order has ended", func(t *testing.T) {
		first := newWorld(t)
		first.gateway.answer = payment.Pending
		first.env.RegisterDelayedCallback(first.env.CancelWorkflow, time.Minute)
		require.Equal(t, order.StatusCancelled, first.run(tea(order.Immediate)).Status)
		w := newWorld(t)
		w.log = first.log
		w.resume = &saga.Resume{Missed: paidThenFailed}
		w.run(tea(order.Immediate))
		require.Contains(t, w.late(), "event.late e-1")
	})
	t.Run("while the gateway is asked in vain", func(t *testing.T) {
		w := newWorld(t)
		w.gateway.answer = payment.Pending
		g := &slowGateway{gateway: w.gateway}
		g.deaf.Store(1000)
		say(w, time.Minute, paid)
		say(w, 80*time.Second, failed)
		w.env.RegisterDelayedCallback(func() { g.deaf.Store(0) }, 5*time.Minute)
		require.NoError(t, w.start(tea(order.Immediate), g, w.bus))
		require.Contains(t, w.timeline(), event.PaymentAuthorized)
	})
	t.Run("when the gateway could not be called in time", func(t *testing.T) {
		w := newWorld(t)
		w.gateway.answer = payment.Pending
		g := &slowGateway{gateway: w.gateway}
		g.deaf.Store(1000)
		say(w, 29*time.Minute+30*time.Second, paid)
		say(w, 30*time.Minute+10*time.Second, failed)
		w.env.RegisterDelayedCallback(func() { g.deaf.Store(0) }, 34*time.Minute)
		require.NoError(t, w.start(tea(order.Immediate), g, w.bus))
		require.Contains(t, w.late(), "event.late e-1")
	})
}

// The first notification during the compensation is recorded as late, although a manual signal follows it.
func TestNotificationDuringCompensationIsNotReplaced(t *testing.T) {
	w := newWorld(t)
	w.gateway.answer = payment.Pending
	w.gateway.down = map[string]int{"void": 60}
	w.env.RegisterDelayedCallback(w.env.CancelWorkflow, time.Minute)
	say := func(after time.Duration, h order.PaymentHint) {
		w.env.RegisterDelayedCallback(func() { w.env.SignalWorkflow(order.SignalPayment, h) }, after)
	}
	say(90*time.Second, order.PaymentHint{ID: "p-1", Cause: "e-1", Succeeded: true})
	say(2*time.Minute, order.PaymentHint{ID: "by-hand", Succeeded: true})
	require.Equal(t, order.StatusCancelled, w.run(tea(order.Immediate)).Status)
	require.Contains(t, w.late(), "event.late e-1")
}

// The delivery is known; the commit succeeds after the delivery deadline.
func TestDeliveredParcelNeedsNoAttention(t *testing.T) {
	w := newWorld(t)
	w.timing.Delivery = 10 * time.Minute
	w.gateway.down = map[string]int{"capture": 60}
	w.env.RegisterDelayedCallback(func() {
		w.env.SignalWorkflow(order.SignalShipment, order.ShipmentSignal{
			Kind: order.ShipmentDelivered, ShipmentFact: order.ShipmentFact{ID: "d", Cause: "d"},
		})
	}, time.Minute)
	require.Equal(t, order.StatusCompleted, w.run(tea(order.Shipment)).Status)
	asked := 0
	for _, eventType := range w.timeline() {
		if eventType == event.OrderNeedsAttention {
			asked++
		}
	}
	require.Equal(t, 1, asked, "about the capture: %v", w.timeline())
}

// Signals may be sent with Temporal's tools: a signal that cannot be recorded unchanged does not keep an order open.
func TestInvalidManualSignalDoesNotParkTheOrder(t *testing.T) {
	t.Run("with a cause that cannot be written", func(t *testing.T) {
		w := newWorld(t)
		w.env.RegisterDelayedCallback(func() {
			w.env.SignalWorkflow(saga.SignalCancel, order.Cancellation{ID: "c1", Cause: "e\x001"})
		}, time.Hour)
		require.Equal(t, order.StatusCancelled, w.run(tea(order.Shipment)).Status)
	})
	t.Run("with no payload", func(t *testing.T) {
		w := newWorld(t)
		w.env.RegisterDelayedCallback(func() { w.env.SignalWorkflow(saga.SignalCancel, nil) }, time.Hour)
		require.Equal(t, order.StatusCancelled, w.run(tea(order.Shipment)).Status)
	})
	t.Run("with no id, late", func(t *testing.T) {
		w := newWorld(t)
		w.gateway.answer = payment.Pending
		w.gateway.down = map[string]int{"void": 60}
		w.env.RegisterDelayedCallback(w.env.CancelWorkflow, time.Minute)
		w.env.RegisterDelayedCallback(func() {
			w.env.SignalWorkflow(order.SignalPayment, order.PaymentHint{Cause: "e-1", Succeeded: true})
		}, 2*time.Minute)
		require.Equal(t, order.StatusCancelled, w.run(tea(order.Immediate)).Status)
		require.Contains(t, w.late(), "event.late e-1")
	})
}
