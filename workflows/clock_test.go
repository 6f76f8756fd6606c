package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// Deadlines are workflow time: a worker whose clock is wrong neither ends a wait early nor prolongs one.
func TestDeadlinesWithWrongWorkerClocks(t *testing.T) {
	for name, skew := range map[string]time.Duration{"slow": -45 * time.Minute, "fast": 45 * time.Minute, "years slow": -5 * 365 * 24 * time.Hour} {
		for mode, inline := range map[string]bool{"inline": true, "regular": false} {
			start := func(t *testing.T) (*world, time.Time) {
				w := newWorld(t)
				w.skew, w.inlinePayment = skew, inline
				return w, w.env.Now()
			}
			t.Run(name+"/"+mode+"/paid in time", func(t *testing.T) {
				w, _ := start(t)
				w.gateway.answer = payment.Pending
				w.env.RegisterDelayedCallback(func() {
					w.env.SignalWorkflow(order.SignalPayment, order.PaymentHint{ID: "p", Cause: "e", Succeeded: true})
				}, 29*time.Minute)
				require.Equal(t, order.StatusCompleted, w.run(tea(order.Immediate)).Status)
				w.requireOneClock()
			})
			t.Run(name+"/"+mode+"/never paid", func(t *testing.T) {
				w, began := start(t)
				w.gateway.answer = payment.Pending
				require.Equal(t, order.ReasonPaymentTimeout, w.run(tea(order.Immediate)).Reason)
				requireAbout(t, w.timing.PaymentPending, w.timeOf(event.OrderFailed).Sub(began))
				w.requireOneClock()
			})
			t.Run(name+"/"+mode+"/never dispatched", func(t *testing.T) {
				w, began := start(t)
				require.Equal(t, order.ReasonShipmentTimeout, w.run(tea(order.Shipment)).Reason)
				requireAbout(t, w.timing.Shipment, w.timeOf(event.OrderFailed).Sub(began))
				w.requireOneClock()
			})
			t.Run(name+"/"+mode+"/not delivered in time", func(t *testing.T) {
				w, began := start(t)
				say := func(after time.Duration, kind order.ShipmentKind) {
					w.env.RegisterDelayedCallback(func() {
						w.env.SignalWorkflow(order.SignalShipment, order.ShipmentSignal{
							Kind: kind, ShipmentFact: order.ShipmentFact{ID: string(kind), Cause: string(kind)},
						})
					}, after)
				}
				say(time.Hour, order.ShipmentDispatched)
				say(31*24*time.Hour, order.ShipmentDelivered)
				require.Equal(t, order.StatusCompleted, w.run(tea(order.Shipment)).Status)
				requireAbout(t, time.Hour+w.timing.Delivery, w.timeOf(event.OrderNeedsAttention).Sub(began))
				w.requireOneClock()
			})
		}
	}
}

// requireAbout holds a duration in workflow time against a deadline. Retries add seconds, a wrong clock would add minutes.
func requireAbout(t *testing.T, want, got time.Duration) {
	t.Helper()
	require.GreaterOrEqual(t, got, want)
	require.Less(t, got, want+2*time.Minute)
}

// events are the records of the order's stream.
func (w *world) events() []event.Record {
	w.t.Helper()
	records, err := w.log.Read(w.t.Context(), event.OrderStream("42"), 0, 0)
	require.NoError(w.t, err)
	return records
}

// timeOf is the time of the first event of a type.
func (w *world) timeOf(eventType string) time.Time {
	w.t.Helper()
	for _, r := range w.events() {
		if r.Type == eventType {
			return r.Time
		}
	}
	require.FailNow(w.t, "no "+eventType)
	return time.Time{}
}

// requireOneClock: every event is timed in workflow time, which has only gone forward since the run began. A step adds the
// time that it takes, which the test environment does not know: seconds on a suspended machine, not the minutes by
// which the workers' clocks are wrong.
func (w *world) requireOneClock() {
	w.t.Helper()
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, r := range w.events() {
		require.False(w.t, r.Time.Before(began), "%s at %s", r.Type, r.Time)
		require.False(w.t, r.Time.After(w.env.Now().Add(10*time.Minute)), "%s at %s, and it is %s", r.Type, r.Time, w.env.Now())
	}
}
