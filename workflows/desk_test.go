package workflows_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// forever is more often than any step is tried before the last decision of a test; it bounds a test that fails.
const forever = 300

// decide sends a decision at a time after the start. The verdict is there when the run has ended.
func (w *world) decide(after time.Duration, d order.Resolution) *saga.ResolveAnswer {
	verdict := &saga.ResolveAnswer{}
	w.env.RegisterDelayedCallback(func() { w.update(d, verdict) }, after)
	return verdict
}

// update sends a decision now. As sagaclient does, it answers from the log what the run rejects.
func (w *world) update(d order.Resolution, verdict *saga.ResolveAnswer) {
	w.env.UpdateWorkflow(saga.UpdateResolve, d.ID, &updateCallbacks{
		reject: func(err error) {
			requireTryAgain(w.t, err)
			if s := w.record(); !s.Ended {
				*verdict = order.Flow.ResolveAnswer(&s, d)
				return
			}
			_, s := w.lateStream()
			*verdict = latepayment.Flow.ResolveAnswer(&s, d)
		},
		complete: func(result any, err error) {
			require.NoError(w.t, err)
			*verdict = result.(saga.ResolveAnswer)
		},
	}, d)
}

func (w *world) shipment(after time.Duration, kind order.ShipmentKind) {
	w.env.RegisterDelayedCallback(func() {
		w.env.SignalWorkflow(order.SignalShipment, order.ShipmentSignal{
			Kind: kind, ShipmentFact: order.ShipmentFact{ID: string(kind)},
		})
	}, after)
}

func (w *world) cancel(after time.Duration) {
	w.env.RegisterDelayedCallback(func() {
		w.env.SignalWorkflow(saga.SignalCancel, order.Cancellation{ID: "c1"})
	}, after)
}

// find returns the first event of a type.
func (w *world) find(eventType string) event.Record {
	w.t.Helper()
	records, err := w.log.Read(context.Background(), event.OrderStream("42"), 0, 0)
	require.NoError(w.t, err)
	for _, r := range records {
		if r.Type == eventType {
			return r
		}
	}
	require.FailNow(w.t, "there is no "+eventType)
	return event.Record{}
}

// stuck are the situations of the desk: how an order comes to be stuck there. Each is by decideAt.
var stuck = map[order.AttentionKind]struct {
	fulfillment order.Fulfillment
	prepare     func(w *world)
}{
	order.UndoStuck: {order.Shipment, func(w *world) {
		w.gateway.down = map[string]int{"void": forever}
		w.cancel(time.Minute)
	}},
	order.CaptureStuck: {order.Immediate, func(w *world) { w.gateway.down = map[string]int{"capture": forever} }},
	order.ShippedCaptureStuck: {order.Shipment, func(w *world) {
		w.gateway.down = map[string]int{"capture": forever}
		w.shipment(time.Minute, order.ShipmentDispatched)
	}},
	order.ShippedCaptureRefused: {order.Shipment, func(w *world) {
		w.gateway.captureRefused = true
		w.shipment(time.Minute, order.ShipmentDispatched)
	}},
	order.CommitStuck: {order.Immediate, func(w *world) {
		for range 200 {
			w.stock.fail = append(w.stock.fail, "commit")
		}
	}},
	order.DeliveryMissing: {order.Shipment, func(w *world) { w.shipment(time.Minute, order.ShipmentLost) }},
	order.RefundStuck: {order.Shipment, func(w *world) {
		w.gateway.down = map[string]int{"refund": forever}
		w.shipment(time.Minute, order.ShipmentLost)
		w.decide(time.Minute+5*time.Second, order.Resolution{ID: "d-0", Action: order.Refund})
	}},
	order.GoodsDispatchedAfterCancel: {order.Shipment, func(w *world) {
		// The void takes a while, and the goods leave meanwhile.
		w.gateway.down = map[string]int{"void": 10}
		w.cancel(time.Minute)
		w.shipment(time.Minute+5*time.Second, order.ShipmentDispatched)
	}},
}

// decideAt is when every situation is there.
const decideAt = 7 * time.Minute

func decision(action order.ResolutionAction) order.Resolution {
	return order.Resolution{ID: "d-1", Action: action, By: "ada", Note: "called the provider", Reference: "T-7"}
}

func TestEveryStuckOrderIsResolvedInEveryAllowedWay(t *testing.T) {
	types := map[order.ResolutionAction]string{
		order.Retry: event.OrderStepRetried, order.Skip: event.OrderStepSkipped,
		order.Substitute: event.OrderStepSubstituted, order.Compensate: event.OrderCompensating,
		order.Refund: event.OrderRefundRequested, order.Resend: event.OrderResendRequested,
	}
	for situation, actions := range order.Allowed {
		for _, action := range actions {
			for _, inline := range []bool{true, false} {
				t.Run(situation+"/"+string(action), func(t *testing.T) {
					s := stuck[situation]
					w := newWorld(t)
					w.inlinePayment = inline
					s.prepare(w)
					var decided time.Time
					verdict := &saga.ResolveAnswer{}
					w.env.RegisterDelayedCallback(func() {
						require.Equal(t, situation, w.record().AttentionKind())
						decided = w.env.Now()
						if action == order.Retry {
							// What was down is there again.
							w.gateway.mend()
							w.stock.mend()
						}
						w.update(decision(action), verdict)
					}, decideAt)
					w.shipment(2*decideAt, order.ShipmentDelivered)
					result := w.run(tea(s.fulfillment))
					require.True(t, verdict.Accepted, verdict.Detail)
					require.Equal(t, w.timeline(), w.bus.types())
					e := w.find(types[action])
					require.Less(t, e.Time.Sub(decided), 2*time.Second, "it takes effect at once")
					require.Contains(t, string(e.Data), `"by":"ada"`)
					require.Contains(t, w.timeline(), event.OrderAttentionResolved)
					switch {
					case action == order.Compensate:
						require.Equal(t, order.StatusFailed, result.Status)
						require.Equal(t, "capture_unavailable", result.Reason)
						require.Equal(t, payment.Undone, w.gateway.state)
						require.Equal(t, "released", w.stock.end)
					case situation == order.UndoStuck, situation == order.GoodsDispatchedAfterCancel:
						require.Equal(t, order.StatusCancelled, result.Status)
						require.Equal(t, "released", w.stock.end)
					default:
						require.Equal(t, order.StatusCompleted, result.Status)
					}
				})
			}
		}
	}
}

// Whatever the run does at that moment, trying or pausing, the decision takes effect.
func TestADecisionInterruptsTriesAndPauses(t *testing.T) {
	for _, inline := range []bool{true, false} {
		// The pause after the first batch, the batch after it, and so on: the test environment gives a batch up after
		// ten attempts.
		for after := 50 * time.Second; after < 290*time.Second; after += 7 * time.Second {
			w := newWorld(t)
			w.inlinePayment = inline
			w.gateway.down = map[string]int{"capture": forever}
			verdict := w.decide(after, decision(order.Skip))
			require.Equal(t, order.StatusCompleted, w.run(tea(order.Immediate)).Status)
			require.True(t, verdict.Accepted, "after %s: %s", after, verdict.Detail)
			at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(after)
			require.WithinDuration(t, at, w.find(event.OrderStepSkipped).Time, 2*time.Second)
		}
	}
}

// A retry that fails leaves it open, and may be asked for again. It is tried for half a minute, and not again while this
// test looks.
func TestARetryThatFailsLeavesItOpen(t *testing.T) {
	w := newWorld(t)
	w.gateway.down = map[string]int{"capture": forever}
	var calls int
	w.env.RegisterDelayedCallback(func() { calls = w.gateway.count() }, decideAt)
	first := w.decide(decideAt+time.Second, order.Resolution{ID: "r-1", Action: order.Retry})
	w.env.RegisterDelayedCallback(func() {
		require.Greater(t, w.gateway.count(), calls, "it was tried again")
		require.Equal(t, order.CaptureStuck, w.record().AttentionKind())
		w.gateway.mend()
	}, decideAt+50*time.Second)
	second := w.decide(decideAt+time.Minute, order.Resolution{ID: "r-2", Action: order.Retry})
	require.Equal(t, order.StatusCompleted, w.run(tea(order.Immediate)).Status)
	require.True(t, first.Accepted)
	require.Equal(t, order.StatusNeedsAttention, first.Status)
	require.True(t, second.Accepted)
}

func TestDecisionsThatDoNotFitAreRefusedAtOnce(t *testing.T) {
	w := newWorld(t)
	w.gateway.down = map[string]int{"capture": forever}
	early := w.decide(10*time.Second, order.Resolution{ID: "d-0", Action: order.Retry})
	other := w.decide(decideAt, order.Resolution{ID: "d-3", Action: order.Skip, Note: "why", Attention: 2})
	bare := w.decide(decideAt, order.Resolution{ID: "d-2", Action: order.Skip})
	skip := w.decide(decideAt+2*time.Second, decision(order.Skip))
	require.Equal(t, order.StatusCompleted, w.run(tea(order.Immediate)).Status)
	require.Equal(t, saga.ResolveAnswer{Status: order.StatusSettling, Detail: "nothing is stuck: the order is settling"}, *early)
	require.Equal(t, "attention 2 is not open; the open one is 1: the capture is stuck", other.Detail)
	require.Equal(t, "the note is missing: say why the step is skipped", bare.Detail)
	require.False(t, bare.Accepted)
	require.True(t, skip.Accepted)
}

// Two operators: the second is told that it is over.
func TestOfTwoDecisionsOneIsFollowed(t *testing.T) {
	w := newWorld(t)
	w.gateway.down = map[string]int{"capture": forever}
	first := w.decide(decideAt, order.Resolution{ID: "d-1", Action: order.Skip, Note: "paid in cash"})
	same := w.decide(decideAt, order.Resolution{ID: "d-1", Action: order.Skip, Note: "paid in cash"})
	second := w.decide(decideAt, order.Resolution{ID: "d-2", Action: order.Substitute, Reference: "T-7"})
	require.Equal(t, order.StatusCompleted, w.run(tea(order.Immediate)).Status)
	require.True(t, first.Accepted)
	require.True(t, same.Accepted, "the same decision is one")
	require.False(t, second.Accepted)
	require.NotEmpty(t, second.Detail)
	require.NotContains(t, w.timeline(), event.OrderStepSubstituted)
}

// The step goes through while the decision is on its way: the log has its success, and the decision stops to fit.
func TestALateSuccessWinsAgainstASkip(t *testing.T) {
	w := newWorld(t)
	w.gateway.down = map[string]int{"capture": forever}
	verdict := &saga.ResolveAnswer{}
	w.env.RegisterDelayedCallback(func() {
		// An attempt of another worker, of which this run has not heard.
		s := w.record()
		w.record(s.Captured("p-1", w.env.Now()))
		w.gateway.captured()
		w.update(decision(order.Skip), verdict)
	}, decideAt)
	require.Equal(t, order.StatusCompleted, w.run(tea(order.Immediate)).Status)
	require.False(t, verdict.Accepted)
	require.Equal(t, "nothing is stuck: the order is settling", verdict.Detail)
	require.NotContains(t, w.timeline(), event.OrderStepSkipped)
	require.Contains(t, w.timeline(), event.PaymentCaptured)
}

// The skip was first: whatever the step still does, the log does not say that it did.
func TestASkipWinsAgainstALateSuccess(t *testing.T) {
	w := newWorld(t)
	w.gateway.down = map[string]int{"void": forever}
	w.cancel(time.Minute)
	verdict := w.decide(decideAt, decision(order.Skip))
	var s order.State
	w.env.RegisterDelayedCallback(func() { s = w.record() }, decideAt-time.Second)
	require.Equal(t, order.StatusCancelled, w.run(tea(order.Shipment)).Status)
	require.True(t, verdict.Accepted)
	_, tail, err := w.log.Append(context.Background(), event.OrderStream("42"), s.Head, []event.Entry{s.Undone(order.StepAuthorize, w.env.Now())})
	require.Error(t, err)
	require.NotEmpty(t, tail)
	require.Equal(t, event.OrderStepSkipped, tail[0].Type)
	require.NotContains(t, w.timeline(), event.PaymentVoided)
}

func TestCompensateAsksTheGateway(t *testing.T) {
	t.Run("captured behind our back", func(t *testing.T) {
		w := newWorld(t)
		w.gateway.down, w.gateway.doThenFail = map[string]int{"capture": forever}, true
		verdict := w.decide(decideAt, decision(order.Compensate))
		require.Equal(t, order.StatusCompleted, w.run(tea(order.Immediate)).Status)
		require.False(t, verdict.Accepted)
		require.Equal(t, "nothing is stuck: the order is settling", verdict.Detail)
		require.Equal(t, happyImmediate[:4], w.timeline()[:4])
		require.Contains(t, w.timeline(), event.PaymentCaptured, "what was found is adopted")
	})
	t.Run("the gateway does not answer", func(t *testing.T) {
		for _, inline := range []bool{true, false} {
			w := newWorld(t)
			w.inlinePayment = inline
			w.gateway.down = map[string]int{"capture": forever, "lookup": forever}
			var answered time.Time
			w.env.RegisterDelayedCallback(func() {
				w.env.UpdateWorkflow(saga.UpdateResolve, "d-1", &updateCallbacks{complete: func(result any, err error) {
					require.NoError(t, err)
					answered = w.env.Now()
					require.Contains(t, result.(saga.ResolveAnswer).Detail, "does not say whether the payment was captured")
				}}, decision(order.Compensate))
			}, decideAt)
			skip := decision(order.Skip)
			skip.ID = "d-2"
			verdict := w.decide(decideAt+time.Minute, skip)
			require.Equal(t, order.StatusCompleted, w.run(tea(order.Immediate)).Status)
			require.WithinDuration(t, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(decideAt), answered, 10*time.Second)
			require.True(t, verdict.Accepted, "another decision is heard")
		}
	})
}

// A decision that comes with the first task of a run waits until the run knows the order.
func TestADecisionFindsTheStuckOrderOfAnEarlierRun(t *testing.T) {
	w := newWorld(t)
	o := tea(order.Immediate)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := w.record(order.Accept(o, "corr", "cause", at))
	s = w.record(s.Reserved([]order.LineOutcome{{SKU: "tea", Quantity: 2, Reserved: true}}, at))
	s = w.record(s.Authorized("p-1", at))
	s = w.record(order.Decisions(s, order.Facts{}, at, w.timing)...)
	w.record(order.Decisions(s, order.Facts{Stuck: &order.Stuck{Step: order.StepCapture, Error: "down"}}, at, w.timing)...)
	w.stock.do, w.gateway.state = order.Done, payment.Authorized
	w.gateway.down = map[string]int{"capture": forever}
	verdict := w.decide(0, decision(order.Skip))
	require.Equal(t, order.StatusCompleted, w.run(o).Status)
	require.True(t, verdict.Accepted, verdict.Detail)
}

// The log knows of a decision, and the run does not: Temporal had failed the workflow task that followed it. What was done by hand is not
// done again when the step is tried the next time.
func TestADecisionThatTheRunHasForgottenIsFollowed(t *testing.T) {
	for _, inline := range []bool{true, false} {
		w := newWorld(t)
		w.inlinePayment = inline
		w.gateway.down = map[string]int{"capture": forever}
		attempts := 0
		w.env.RegisterDelayedCallback(func() {
			s := w.record()
			require.Equal(t, order.CaptureStuck, s.AttentionKind())
			now := w.env.Now()
			s = w.record(order.Decisions(s, order.Facts{Resolutions: []order.Resolution{decision(order.Substitute)}}, now, w.timing)...)
			s = w.record(s.CommittedStock(now))
			s = w.record(order.Decisions(s, order.Facts{}, now, w.timing)...)
			require.True(t, s.Ended)
			w.gateway.mend()
			attempts = w.gateway.count()
		}, decideAt)
		result := w.run(tea(order.Immediate))
		require.Equal(t, order.StatusCompleted, result.Status)
		require.Equal(t, attempts, w.gateway.count(), "%v", w.gateway.calls)
		require.Equal(t, w.timeline(), w.bus.types())
	}
}

func TestADecisionNeedsAnID(t *testing.T) {
	w := newWorld(t)
	rejected := false
	w.env.RegisterDelayedCallback(func() {
		w.env.UpdateWorkflow(saga.UpdateResolve, "u-1", &updateCallbacks{
			reject:   func(error) { rejected = true },
			complete: func(any, error) {},
		}, order.Resolution{ID: "a b", Action: order.Retry})
	}, time.Minute)
	w.shipment(2*time.Minute, order.ShipmentDelivered)
	w.run(tea(order.Shipment))
	require.True(t, rejected)
}

// Anyone may send an Update with Temporal's tools: one that is too large for the log, or for the input of the next run, is rejected.
func TestADecisionThatIsTooLargeIsRejected(t *testing.T) {
	large := strings.Repeat("x", 1<<20)
	w := newWorld(t)
	w.gateway.down = map[string]int{"capture": forever}
	rejected := 0
	for n, r := range []order.Resolution{
		{ID: "r-1", Action: order.Skip, Note: "paid", By: large}, {ID: "r-2", Action: order.Skip, Note: large},
		{ID: "r-3", Action: order.Substitute, Reference: large}, {ID: "r-4", Action: order.ResolutionAction(large)},
	} {
		w.env.RegisterDelayedCallback(func() {
			w.env.UpdateWorkflow(saga.UpdateResolve, r.ID, &updateCallbacks{
				reject: func(err error) {
					require.ErrorContains(t, err, "too long")
					rejected++
				},
				complete: func(any, error) { t.Errorf("%s is taken", r.ID) },
			}, r)
		}, decideAt+time.Duration(n)*time.Second)
	}
	w.env.RegisterDelayedCallback(w.gateway.mend, decideAt+time.Minute)
	require.Equal(t, order.StatusCompleted, w.run(tea(order.Immediate)).Status)
	require.Equal(t, 4, rejected)
}
