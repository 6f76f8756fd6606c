package workflows_test

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workers"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

var happyImmediate = []string{
	"order.accepted", "inventory.reserved", "payment.authorized", "order.settling", "payment.captured",
	"inventory.committed", "order.completed",
}

func TestImmediateOrderCompletes(t *testing.T) {
	w := newWorld(t)
	result := w.run(tea(order.Immediate))
	require.Equal(t, order.StatusCompleted, result.Status)
	require.Equal(t, int64(7), result.Version)
	require.Equal(t, happyImmediate, w.timeline())
	require.Equal(t, happyImmediate, w.bus.types(), "everything was published, in order")
	require.Equal(t, []order.Status{order.StatusAccepted, order.StatusCompleted}, w.list.statuses)
}

func TestShipmentOrderWaitsForTheWarehouseAndTheCarrier(t *testing.T) {
	w := newWorld(t)
	w.env.RegisterDelayedCallback(func() {
		require.Equal(t, []string{"reserve"}, w.stock.calls)
		require.Equal(t, []string{"authorize"}, w.gateway.calls, "nothing is captured before the goods are on their way")
		w.env.SignalWorkflow(order.SignalShipment, order.ShipmentSignal{
			Kind: order.ShipmentDispatched, ShipmentFact: order.ShipmentFact{ID: "e1", Carrier: "dhl", TrackingNumber: "7"},
		})
	}, time.Hour)
	w.env.RegisterDelayedCallback(func() {
		w.env.SignalWorkflow(order.SignalShipment, order.ShipmentSignal{
			Kind: order.ShipmentDelivered, ShipmentFact: order.ShipmentFact{ID: "e2"},
		})
	}, 48*time.Hour)
	require.Equal(t, order.StatusCompleted, w.run(tea(order.Shipment)).Status)
	require.Equal(t, []string{
		"order.accepted", "inventory.reserved", "payment.authorized", "order.confirmed", "order.shipped",
		"order.settling", "payment.captured", "inventory.committed", "order.delivered", "order.completed",
	}, w.timeline())
	require.Equal(t, []order.Status{
		order.StatusAccepted, order.StatusAwaitingShipment, order.StatusShipped, order.StatusCompleted,
	}, w.list.statuses)
}

func TestDeadlinesUndoEverything(t *testing.T) {
	t.Run("not dispatched in time", func(t *testing.T) {
		w := newWorld(t)
		result := w.run(tea(order.Shipment))
		require.Equal(t, order.StatusFailed, result.Status)
		require.Equal(t, order.ReasonShipmentTimeout, result.Reason)
		require.Equal(t, []string{
			"order.accepted", "inventory.reserved", "payment.authorized", "order.confirmed", "order.compensating",
			"order.fulfillment_withdrawn", "payment.voided", "inventory.released", "order.failed",
		}, w.timeline())
		require.Equal(t, payment.Undone, w.gateway.state)
		require.Equal(t, "released", w.stock.end)
	})
	t.Run("pending too long", func(t *testing.T) {
		w := newWorld(t)
		w.gateway.answer = payment.Pending
		result := w.run(tea(order.Immediate))
		require.Equal(t, order.ReasonPaymentTimeout, result.Reason)
		require.Contains(t, w.gateway.calls, "lookup", "the gateway is asked before it is given up")
		require.Equal(t, payment.Undone, w.gateway.state)
	})
	t.Run("a step is unavailable", func(t *testing.T) {
		for _, inline := range []bool{true, false} {
			w := newWorld(t)
			w.inlinePayment = inline
			w.gateway.down = map[string]int{"authorize": -1}
			result := w.run(tea(order.Immediate))
			require.Equal(t, order.StatusFailed, result.Status)
			require.Equal(t, "authorize_unavailable", result.Reason)
			require.Equal(t, payment.Undone, w.gateway.state, "an unknown outcome is undone")
		}
	})
}

func TestAnUnknownOutcomeIsLookedUpAndAdopted(t *testing.T) {
	w := newWorld(t)
	w.gateway.down, w.gateway.doThenFail = map[string]int{"authorize": -1}, true
	require.Equal(t, order.StatusCompleted, w.run(tea(order.Immediate)).Status)
	require.Equal(t, happyImmediate, w.timeline())
}

func TestHints(t *testing.T) {
	hint := func(w *world, succeeded bool) {
		w.gateway.answer = payment.Pending
		w.env.RegisterDelayedCallback(func() {
			w.env.SignalWorkflow(order.SignalPayment, order.PaymentHint{ID: "h1", Succeeded: succeeded})
		}, time.Minute)
	}
	t.Run("paid", func(t *testing.T) {
		w := newWorld(t)
		hint(w, true)
		require.Equal(t, order.StatusCompleted, w.run(tea(order.Immediate)).Status)
	})
	t.Run("failed", func(t *testing.T) {
		w := newWorld(t)
		hint(w, false)
		result := w.run(tea(order.Immediate))
		require.Equal(t, order.StatusRejected, result.Status)
		require.Equal(t, order.ReasonPaymentFailed, result.Reason)
	})
	t.Run("early", func(t *testing.T) {
		w := newWorld(t)
		w.gateway.answer = payment.Pending
		w.env.RegisterDelayedCallback(func() {
			w.env.SignalWorkflow(order.SignalPayment, order.PaymentHint{ID: "h1", Succeeded: true})
		}, 0)
		require.Equal(t, order.StatusCompleted, w.run(tea(order.Immediate)).Status)
	})
}

func TestCancellation(t *testing.T) {
	undone := []string{
		"order.accepted", "inventory.reserved", "payment.authorized", "order.confirmed", "order.compensating",
		"order.fulfillment_withdrawn", "payment.voided", "inventory.released", "order.cancelled",
	}
	ways := map[string]func(w *world){
		"signal": func(w *world) {
			w.env.SignalWorkflow(saga.SignalCancel, order.Cancellation{ID: "c1", Reason: "too slow"})
		},
		"Web UI": func(w *world) { w.env.CancelWorkflow() },
		"Update": func(w *world) {
			w.env.UpdateWorkflow(saga.UpdateCancel, "c1", w.verdict(true), order.Cancellation{ID: "c1"})
		},
	}
	for name, cancel := range ways {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.env.RegisterDelayedCallback(func() { cancel(w) }, time.Hour)
			result := w.run(tea(order.Shipment))
			require.Equal(t, order.StatusCancelled, result.Status)
			require.Equal(t, order.ReasonRequested, result.Reason)
			require.Equal(t, undone, w.timeline())
		})
	}
	t.Run("after the pivot it is refused with an event", func(t *testing.T) {
		w := newWorld(t)
		w.env.RegisterDelayedCallback(func() {
			w.env.SignalWorkflow(order.SignalShipment, order.ShipmentSignal{
				Kind: order.ShipmentDispatched, ShipmentFact: order.ShipmentFact{ID: "e1"},
			})
		}, time.Hour)
		w.env.RegisterDelayedCallback(func() {
			w.env.UpdateWorkflow(saga.UpdateCancel, "c1", w.verdict(false), order.Cancellation{ID: "c1"})
		}, 2*time.Hour)
		w.env.RegisterDelayedCallback(func() {
			w.env.SignalWorkflow(order.SignalShipment, order.ShipmentSignal{
				Kind: order.ShipmentDelivered, ShipmentFact: order.ShipmentFact{ID: "e2"},
			})
		}, 3*time.Hour)
		require.Equal(t, order.StatusCompleted, w.run(tea(order.Shipment)).Status)
		require.Contains(t, w.timeline(), event.OrderCancellationRefused)
	})
	t.Run("while a step is retried it does not wait for the step", func(t *testing.T) {
		w := newWorld(t)
		w.gateway.down = map[string]int{"authorize": -1}
		w.env.RegisterDelayedCallback(func() {
			w.env.SignalWorkflow(saga.SignalCancel, order.Cancellation{ID: "c1"})
		}, 20*time.Second)
		result := w.run(tea(order.Immediate))
		require.Equal(t, order.StatusCancelled, result.Status)
		require.Equal(t, payment.Undone, w.gateway.state)
	})
}

// verdict expects an answer to a cancellation.
func (w *world) verdict(accepted bool) *updateCallbacks {
	return &updateCallbacks{
		reject: func(err error) { w.t.Errorf("the Update is rejected: %v", err) },
		complete: func(result any, err error) {
			if err != nil {
				w.t.Errorf("the Update fails: %v", err)
				return
			}
			if got := result.(saga.CancelAnswer).Accepted; got != accepted {
				w.t.Errorf("accepted is %t", got)
			}
		},
	}
}

type updateCallbacks struct {
	reject   func(error)
	complete func(any, error)
}

func (c *updateCallbacks) Accept()                        {}
func (c *updateCallbacks) Reject(err error)               { c.reject(err) }
func (c *updateCallbacks) Complete(result any, err error) { c.complete(result, err) }

// TestTheLogDecides: an earlier attempt of the same run captured, and died before its workflow task completed.
// The run that comes after it has a cancellation in view from its first moment on.
func TestTheLogDecides(t *testing.T) {
	w := newWorld(t)
	o := tea(order.Immediate)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := w.record(order.Accept(o, "corr", "cause", at))
	s = w.record(s.Reserved([]order.LineOutcome{{SKU: "tea", Quantity: 2, Reserved: true}}, at))
	s = w.record(s.Authorized("p-1", at))
	s = w.record(order.Decisions(s, order.Facts{}, at, w.timing)...)
	w.record(s.Captured("p-1", at))
	w.stock.do, w.gateway.state = order.Done, payment.Captured
	w.env.RegisterDelayedCallback(func() {
		w.env.SignalWorkflow(saga.SignalCancel, order.Cancellation{ID: "c1", Reason: "too late"})
	}, 0)
	require.Equal(t, order.StatusCompleted, w.run(o).Status)
	require.NotContains(t, w.gateway.calls, "void")
	require.NotContains(t, w.stock.calls, "release")
}

func TestARunOnAnEndedStreamChangesNothing(t *testing.T) {
	w := newWorld(t)
	require.Equal(t, order.StatusCompleted, w.run(tea(order.Immediate)).Status)
	again := newWorld(t)
	again.log, again.stock, again.gateway = w.log, w.stock, w.gateway
	before := len(w.gateway.calls) + len(w.stock.calls)
	require.Equal(t, order.StatusCompleted, again.run(tea(order.Immediate)).Status)
	require.Equal(t, happyImmediate, again.timeline())
	require.Len(t, append(again.gateway.calls, again.stock.calls...), before)
}

func TestARunLeavesAnotherOrderOfTheSameIDAlone(t *testing.T) {
	w := newWorld(t)
	w.record(order.Accept(tea(order.Shipment), "corr", "cause", time.Now()))
	result := w.run(tea(order.Immediate))
	require.True(t, result.Conflict)
	require.Equal(t, []string{"order.accepted"}, w.timeline())
	require.Empty(t, w.stock.calls)
}

func TestPublishingNeverStopsAnOrder(t *testing.T) {
	w := newWorld(t)
	w.bus.down = 50
	require.Equal(t, order.StatusCompleted, w.run(tea(order.Immediate)).Status)
	require.Equal(t, happyImmediate, w.bus.types(), "what was left behind is published before the run closes")
}

func TestStuckStepsRaiseAttentionAndGoOn(t *testing.T) {
	t.Run("an undo", func(t *testing.T) {
		w := newWorld(t)
		w.gateway.down = map[string]int{"void": 60}
		require.Equal(t, order.StatusFailed, w.run(tea(order.Shipment)).Status)
		require.Equal(t, []string{
			"order.accepted", "inventory.reserved", "payment.authorized", "order.confirmed", "order.compensating",
			"order.fulfillment_withdrawn", "order.needs_attention", "payment.voided", "order.attention_resolved",
			"inventory.released", "order.failed",
		}, w.timeline())
		require.Contains(t, w.list.statuses, order.StatusNeedsAttention)
		require.Equal(t, payment.Undone, w.gateway.state)
	})
	t.Run("a forward step", func(t *testing.T) {
		w := newWorld(t)
		w.gateway.down = map[string]int{"capture": 60}
		require.Equal(t, order.StatusCompleted, w.run(tea(order.Immediate)).Status)
		require.Contains(t, w.timeline(), event.OrderNeedsAttention)
	})
}

func TestRefusals(t *testing.T) {
	t.Run("out of stock", func(t *testing.T) {
		w := newWorld(t)
		w.stock.refuse = order.ReasonOutOfStock
		require.Equal(t, order.ReasonOutOfStock, w.run(tea(order.Immediate)).Reason)
		require.Equal(t, []string{"order.accepted", "inventory.rejected", "order.rejected"}, w.timeline())
		require.Empty(t, w.gateway.calls)
	})
	t.Run("declined", func(t *testing.T) {
		w := newWorld(t)
		w.gateway.answer = payment.Refused
		require.Equal(t, order.ReasonPaymentDeclined, w.run(tea(order.Immediate)).Reason)
		require.NotContains(t, w.gateway.calls, "void", "a recorded refusal needs no undo")
		require.Equal(t, "released", w.stock.end)
	})
	t.Run("capture refused", func(t *testing.T) {
		w := newWorld(t)
		w.gateway.captureRefused = true
		result := w.run(tea(order.Immediate))
		require.Equal(t, order.StatusRejected, result.Status)
		require.Equal(t, order.ReasonCaptureRefused, result.Reason)
		require.Equal(t, payment.Undone, w.gateway.state)
		require.Equal(t, "released", w.stock.end)
	})
}

// The ledger has done what it was asked and never said so: that is found out, not undone.
func TestAnUnknownReservationIsLookedUpAndAdopted(t *testing.T) {
	w := newWorld(t)
	w.stock.do = order.Done
	w.stock.fail = slices.Repeat([]string{"reserve"}, 100)
	require.Equal(t, order.StatusCompleted, w.run(tea(order.Immediate)).Status)
	require.Equal(t, happyImmediate, w.timeline())
	require.Contains(t, w.stock.calls, "lookup")
}

// An input that this version does not understand, such as that of another one, fails the workflow task and never the workflow: nothing
// is written to the stream of no order.
func TestAnInputWithoutIDFailsTheTask(t *testing.T) {
	w := newWorld(t)
	workers.RegisterWorkflows(w.env)
	recorder := &activities.Recorder{Log: w.log, Publisher: w.bus, Clock: w.clock, Logger: slog.New(slog.DiscardHandler)}
	workers.RegisterActivities(w.env, w.orders(recorder, w.gateway), w.lateMoney(w.gateway))
	w.env.ExecuteWorkflow(order.Flow.WorkflowType(), map[string]any{"order": tea(order.Immediate)})
	var panicked *temporal.PanicError
	require.ErrorAs(t, w.env.GetWorkflowError(), &panicked, "which fails the task outside of tests")
	require.Empty(t, w.log.Names())
}

// The money of an order is not taken for another one.
func TestDataOfAnotherOrderIsAConflict(t *testing.T) {
	w := newWorld(t)
	recorder := &activities.Recorder{Log: w.log, Publisher: w.bus, Clock: w.clock, Logger: slog.New(slog.DiscardHandler)}
	workers.RegisterWorkflows(w.env)
	workers.RegisterActivities(w.env, w.orders(recorder, w.gateway), w.lateMoney(w.gateway))
	in := input(tea(order.Immediate))
	in.ID = "43"
	w.env.ExecuteWorkflow(order.Flow.WorkflowType(), in)
	require.NoError(t, w.env.GetWorkflowError())
	var result saga.Result
	require.NoError(t, w.env.GetWorkflowResult(&result))
	require.True(t, result.Conflict)
	require.Empty(t, w.gateway.calls)
	require.Empty(t, w.stock.calls)
}
