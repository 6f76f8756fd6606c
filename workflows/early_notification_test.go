package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workers"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// provider is a gateway that no notification settles: it answers what it knows.
type provider struct{ payment.Gateway }

// knows has the gateway know of what the payer has done.
func (g *gateway) knows(state payment.State) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.state = state
}

// lookups counts the look-ups.
func (g *gateway) lookups() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for _, call := range g.calls {
		if call == "lookup" {
			n++
		}
	}
	return n
}

// notify has a payment notification come.
func (w *world) notify(after time.Duration, h order.PaymentHint) {
	w.env.RegisterDelayedCallback(func() { w.env.SignalWorkflow(order.SignalPayment, h) }, after)
}

// The notification is earlier than what the gateway answers: it is asked again soon, and not when the wait is over.
func TestNotificationBeforeGatewayConfirms(t *testing.T) {
	for name, c := range map[string]struct {
		hint   order.PaymentHint
		state  payment.State
		status order.Status
		found  string
	}{
		"succeeded": {order.PaymentHint{ID: "p", Cause: "e-1", Succeeded: true}, payment.Authorized, order.StatusCompleted, event.PaymentAuthorized},
		"failed":    {order.PaymentHint{ID: "p", Cause: "e-1"}, payment.Refused, order.StatusRejected, event.PaymentDeclined},
	} {
		for _, delay := range []time.Duration{200 * time.Millisecond, 3 * time.Second, time.Minute, 10 * time.Minute} {
			for mode, inline := range map[string]bool{"inline": true, "regular": false} {
				t.Run(name+"/"+delay.String()+"/"+mode, func(t *testing.T) {
					w := newWorld(t)
					w.inlinePayment, w.gateway.answer = inline, payment.Pending
					began := w.env.Now()
					w.notify(time.Minute, c.hint)
					w.env.RegisterDelayedCallback(func() { w.gateway.knows(c.state) }, time.Minute+delay)
					require.NoError(t, w.start(tea(order.Immediate), provider{w.gateway}, w.bus))
					require.Equal(t, c.status, w.record().Status)
					found := w.find(c.found)
					require.Equal(t, "e-1", found.CausationID, "the notification is the cause")
					// The pause doubles: it is found after at most twice the delay, and what the machine itself takes.
					require.LessOrEqual(t, found.Time.Sub(began), time.Minute+2*delay+30*time.Second)
					types, _ := w.lateStream()
					require.Empty(t, types)
				})
			}
		}
	}
}

// The gateway never knows of it: it is asked a bounded number of times, and the notification is late when the order is undone.
func TestNotificationThatIsNeverConfirmed(t *testing.T) {
	for wait, most := range map[time.Duration]int{30 * time.Minute: 30, 3 * 24 * time.Hour: 110} {
		w := newWorld(t)
		w.timing.PaymentPending, w.gateway.answer = wait, payment.Pending
		began := w.env.Now()
		w.notify(time.Minute, order.PaymentHint{ID: "p", Cause: "e-1", Succeeded: true})
		require.NoError(t, w.start(tea(order.Immediate), provider{w.gateway}, w.bus))
		require.Equal(t, order.ReasonPaymentTimeout, w.record().Reason)
		requireAbout(t, wait, w.timeOf(event.OrderFailed).Sub(began))
		require.Greater(t, w.gateway.lookups(), 8)
		require.Less(t, w.gateway.lookups(), most, "the order's run and the late one")
		types, _ := w.lateStream()
		require.Equal(t, event.EventLate, types[0])
	}
}

// Neither a cancellation nor a second notification waits for the pause before the gateway is asked again.
func TestPauseBeforeNextLookupIsInterrupted(t *testing.T) {
	first := order.PaymentHint{ID: "p-1", Cause: "e-1", Succeeded: true}
	t.Run("by a cancellation", func(t *testing.T) {
		w := newWorld(t)
		w.gateway.answer = payment.Pending
		began := w.env.Now()
		w.notify(time.Minute, first)
		w.env.RegisterDelayedCallback(w.env.CancelWorkflow, 10*time.Minute)
		require.NoError(t, w.start(tea(order.Immediate), provider{w.gateway}, w.bus))
		require.Equal(t, order.StatusCancelled, w.record().Status)
		requireAbout(t, 10*time.Minute, w.timeOf(event.OrderCancelled).Sub(began))
		require.Contains(t, w.late(), "event.late e-1")
	})
	t.Run("by another notification", func(t *testing.T) {
		w := newWorld(t)
		w.gateway.answer = payment.Pending
		began := w.env.Now()
		w.notify(time.Minute, first)
		w.env.RegisterDelayedCallback(func() { w.gateway.knows(payment.Authorized) }, 10*time.Minute)
		w.notify(10*time.Minute+time.Second, order.PaymentHint{ID: "p-2", Cause: "e-2", Succeeded: true})
		require.NoError(t, w.start(tea(order.Immediate), provider{w.gateway}, w.bus))
		require.Equal(t, order.StatusCompleted, w.record().Status)
		// Without the notification it is asked again after fourteen minutes.
		require.Less(t, w.timeOf(event.PaymentAuthorized).Sub(began), 11*time.Minute)
	})
}

// Money that came after the end, of which the gateway does not know yet, is not written off.
func TestLatePaymentUnknownToGateway(t *testing.T) {
	settle := func(w *world) {
		workers.RegisterActivities(w.env, w.orders(&activities.Recorder{}, w.gateway), w.lateMoney(provider{w.gateway}))
		w.env.RegisterWorkflowWithOptions(latepayment.Flow.Run, workflow.RegisterOptions{Name: latepayment.Workflow})
		w.env.ExecuteWorkflow(latepayment.Workflow, saga.Input{ID: "42"})
		require.True(w.t, w.env.IsWorkflowCompleted())
		require.NoError(w.t, w.env.GetWorkflowError())
	}
	t.Run("it arrives", func(t *testing.T) {
		w := newWorld(t)
		w.unpaid()
		w.came("e1", event.PaymentSucceeded)
		w.env.RegisterDelayedCallback(func() {
			w.gateway.mu.Lock()
			defer w.gateway.mu.Unlock()
			w.gateway.arrived = 900
		}, time.Minute)
		settle(w)
		types, s := w.lateStream()
		require.Equal(t, []string{event.EventLate, event.PaymentArrivedLate, event.PaymentRefunded}, types)
		require.Less(t, s.UpdatedAt.Sub(s.CreatedAt), 3*time.Minute)
	})
	t.Run("it never arrives", func(t *testing.T) {
		w := newWorld(t)
		w.unpaid()
		w.came("e1", event.PaymentSucceeded)
		settle(w)
		types, s := w.lateStream()
		require.Equal(t, []string{event.EventLate, event.PaymentNothingArrived}, types)
		require.Less(t, s.UpdatedAt.Sub(s.CreatedAt), time.Hour)
		require.Less(t, w.gateway.lookups(), 20)
	})
	t.Run("it was captured in time", func(t *testing.T) {
		w := newWorld(t)
		w.unpaid()
		w.gateway.knows(payment.Captured)
		w.came("e1", event.PaymentSucceeded)
		settle(w)
		require.Equal(t, 1, w.gateway.lookups())
	})
}
