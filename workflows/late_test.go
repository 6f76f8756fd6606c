package workflows_test

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/event/eventtest"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workers"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// unpaid writes the stream of an order that was cancelled while it waited for its payer.
func (w *world) unpaid() {
	w.t.Helper()
	at, facts := w.env.Now(), order.Facts{Cancellations: []order.Cancellation{{ID: "c1"}}}
	w.gateway.asked, w.gateway.state = true, payment.Undone
	s := w.record(order.Accept(tea(order.Immediate), "corr", "cause", at))
	s = w.record(s.Reserved([]order.LineOutcome{{SKU: "tea", Quantity: 2, Reserved: true}}, at))
	s = w.record(s.PaymentPending("p-1", at, at.Add(w.timing.PaymentPending)))
	s = w.record(order.Decisions(s, facts, at, w.timing)...)
	s = w.record(s.Undone(order.StepAuthorize, at))
	s = w.record(s.Undone(order.StepReserve, at))
	require.Equal(w.t, order.StatusCancelled, w.record(order.Decisions(s, facts, at, w.timing)...).Status)
}

// came writes the verdict on a late event.
func (w *world) came(id, eventType string) {
	v := latepayment.LateRecord{ID: id, OrderID: "42", EventID: id, Type: eventType, Status: order.StatusCancelled}
	require.NoError(w.t, latepayment.WriteLateRecord(context.Background(), w.log, v, "corr", w.env.Now()))
}

// more writes a verdict later, and tells the saga.
func (w *world) more(after time.Duration, id, eventType string) {
	w.env.RegisterDelayedCallback(func() {
		w.came(id, eventType)
		w.env.SignalWorkflow(latepayment.Signal, nil)
	}, after)
}

// settle runs the late saga and returns its error. Expect is called once everything is registered.
func (w *world) settle(expect ...func()) error {
	w.t.Helper()
	w.env.RegisterWorkflowWithOptions(latepayment.Flow.Run, workflow.RegisterOptions{Name: latepayment.Workflow})
	workers.RegisterActivities(w.env, w.orders(&activities.Recorder{}, w.gateway), w.lateMoney(w.gateway))
	for _, e := range expect {
		e()
	}
	w.env.ExecuteWorkflow(latepayment.Workflow, saga.Input{ID: "42"})
	require.True(w.t, w.env.IsWorkflowCompleted())
	return w.env.GetWorkflowError()
}

// lateStream is what came late: the types of the late stream's events, and its state.
func (w *world) lateStream() ([]string, latepayment.State) {
	w.t.Helper()
	records, err := w.log.Read(context.Background(), event.LateStream("42"), 0, 0)
	require.NoError(w.t, err)
	eventtest.CheckRecords(w.t, records...)
	s, err := latepayment.State{OrderID: "42"}.Fold(records)
	require.NoError(w.t, err)
	types := make([]string, len(records))
	for i, r := range records {
		types[i] = r.Type
	}
	return types, s
}

func TestLateMoneyIsGivenBack(t *testing.T) {
	w := newWorld(t)
	w.unpaid()
	w.came("e1", event.PaymentSucceeded)
	require.NoError(t, w.settle())
	types, s := w.lateStream()
	require.Equal(t, []string{event.EventLate, event.PaymentArrivedLate, event.PaymentRefunded}, types)
	require.False(t, s.Open())
	require.Equal(t, map[string]int64{"42/late/e1": 900}, w.gateway.refunds)
	require.Subset(t, []string{"nothing"}, w.desk.shown, "it never needed attention")
	var result saga.Result
	require.NoError(t, w.env.GetWorkflowResult(&result))
	require.Equal(t, saga.Result{ID: "42", Status: order.StatusCancelled, Version: 3}, result)
}

func TestALatePaymentThatBroughtNothing(t *testing.T) {
	w := newWorld(t)
	w.unpaid()
	w.gateway.asked = false
	w.came("e1", event.PaymentSucceeded)
	require.NoError(t, w.settle())
	types, _ := w.lateStream()
	require.Equal(t, []string{event.EventLate, event.PaymentNothingArrived}, types)
	require.Empty(t, w.gateway.refunds)
}

func TestSeveralLatePayments(t *testing.T) {
	w := newWorld(t)
	w.unpaid()
	for n := range 3 {
		w.came("e"+strconv.Itoa(n), event.PaymentSucceeded)
	}
	require.NoError(t, w.settle())
	types, _ := w.lateStream()
	require.Equal(t, []string{
		event.EventLate, event.EventLate, event.EventLate, event.PaymentArrivedLate, event.PaymentRefunded,
		event.PaymentNothingArrived, event.PaymentNothingArrived,
	}, types)
	require.Len(t, w.gateway.refunds, 1)
}

func TestARunWithNothingToSettleCloses(t *testing.T) {
	w := newWorld(t)
	w.unpaid()
	w.came("e1", event.PaymentFailed)
	require.NoError(t, w.settle())
	types, _ := w.lateStream()
	require.Equal(t, []string{event.EventLate}, types)
}

func TestALateRefundThatIsStuck(t *testing.T) {
	asked := []string{event.EventLate, event.PaymentArrivedLate, event.OrderNeedsAttention}
	for name, c := range map[string]struct {
		decision order.Resolution
		then     []string
		refunds  int
	}{
		"mends itself": {order.Resolution{}, []string{event.PaymentRefunded, event.OrderAttentionResolved}, 1},
		"retry": {order.Resolution{ID: "d1", Action: order.Retry},
			[]string{event.OrderStepRetried, event.PaymentRefunded, event.OrderAttentionResolved}, 1},
		"skip": {order.Resolution{ID: "d1", Action: order.Skip, Note: "kept"},
			[]string{event.OrderStepSkipped, event.OrderAttentionResolved}, 0},
		"substitute": {order.Resolution{ID: "d1", Action: order.Substitute, Reference: "transfer 4711"},
			[]string{event.OrderStepSubstituted, event.OrderAttentionResolved}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.unpaid()
			w.timing.Attention = time.Minute
			w.desk.fail = 2
			w.gateway.down = map[string]int{"refund": forever}
			w.came("e1", event.PaymentSucceeded)
			verdict := &saga.ResolveAnswer{}
			w.env.RegisterDelayedCallback(func() {
				types, s := w.lateStream()
				require.Equal(t, asked, types, "somebody is asked after ATTENTION_AFTER")
				requireSituation(t, latepayment.RefundStuck, s)
				if c.refunds > 0 {
					w.gateway.mend()
				}
				if c.decision.ID != "" {
					w.update(c.decision, verdict)
				}
			}, 90*time.Second)
			require.NoError(t, w.settle())
			types, s := w.lateStream()
			require.Equal(t, append(asked[:3:3], c.then...), types)
			require.False(t, s.Open())
			require.Len(t, w.gateway.refunds, c.refunds)
			require.Equal(t, []string{"refund", "nothing"}, w.desk.shown, "whatever it took")
			if c.decision.ID != "" {
				require.Equal(t, saga.ResolveAnswer{Accepted: true, Status: order.StatusCancelled}, *verdict)
			}
		})
	}
}

func TestALateSagaRefusesWhatDoesNotFit(t *testing.T) {
	w := newWorld(t)
	w.unpaid()
	w.came("e1", event.ShipmentDispatched)
	early, retry, wrong, fits := &saga.ResolveAnswer{}, &saga.ResolveAnswer{}, &saga.ResolveAnswer{}, &saga.ResolveAnswer{}
	w.env.RegisterDelayedCallback(func() { w.update(order.Resolution{ID: "d0", Action: order.Skip, Note: "n", Attention: 2}, early) }, 0)
	w.env.RegisterDelayedCallback(func() {
		w.update(order.Resolution{ID: "d1", Action: order.Retry}, retry)
		w.update(order.Resolution{ID: "d2", Action: order.Skip, Note: "n", Attention: 3}, wrong)
	}, time.Hour)
	w.env.RegisterDelayedCallback(func() {
		w.update(order.Resolution{ID: "d3", Action: order.Substitute, Reference: "back in the warehouse"}, fits)
	}, 40*24*time.Hour)
	require.NoError(t, w.settle())
	require.False(t, early.Accepted)
	require.NotEmpty(t, early.Detail)
	require.Contains(t, retry.Detail, "allowed actions are skip and substitute")
	require.Contains(t, wrong.Detail, "attention 3 is not open")
	require.Equal(t, order.StatusCancelled, wrong.Status)
	require.True(t, fits.Accepted)
	types, s := w.lateStream()
	require.Equal(t, []string{event.EventLate, event.OrderNeedsAttention, event.OrderStepSubstituted, event.OrderAttentionResolved}, types)
	require.False(t, s.Open())
	require.Equal(t, []string{"nothing", "dispatch", "nothing"}, slices.Compact(w.desk.shown))
}

func TestASignalBringsMore(t *testing.T) {
	w := newWorld(t)
	w.unpaid()
	w.came("e1", event.ShipmentDispatched)
	w.more(time.Hour, "e2", event.PaymentSucceeded)
	verdict := w.decide(2*time.Hour, order.Resolution{ID: "d1", Action: order.Skip, Note: "gone"})
	require.NoError(t, w.settle())
	require.True(t, verdict.Accepted)
	types, _ := w.lateStream()
	require.Equal(t, []string{
		event.EventLate, event.OrderNeedsAttention, event.EventLate, event.PaymentArrivedLate, event.PaymentRefunded,
		event.OrderStepSkipped, event.OrderAttentionResolved,
	}, types)
}

// A signal in the moment in which a step gets stuck does not hide that.
func TestASignalWhileItGetsStuck(t *testing.T) {
	w := newWorld(t)
	w.unpaid()
	w.timing.Attention = time.Minute
	w.gateway.down = map[string]int{"refund": forever}
	w.came("e1", event.PaymentSucceeded)
	for after := 55 * time.Second; after < 70*time.Second; after += 100 * time.Millisecond {
		w.more(after, "e-"+after.String(), event.PaymentFailed)
	}
	w.env.RegisterDelayedCallback(func() {
		_, s := w.lateStream()
		requireSituation(t, latepayment.RefundStuck, s)
		w.update(order.Resolution{ID: "d1", Action: order.Skip, Note: "kept"}, &saga.ResolveAnswer{})
	}, 75*time.Second)
	require.NoError(t, w.settle())
}

func TestALateSagaContinuesAsNew(t *testing.T) {
	w := newWorld(t)
	w.unpaid()
	w.came("e1", event.ShipmentDispatched)
	w.env.RegisterDelayedCallback(func() {
		w.env.SetContinueAsNewSuggested(true)
		w.env.SignalWorkflow(latepayment.Signal, nil)
	}, time.Hour)
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, w.settle(), &again)
	require.Equal(t, latepayment.Workflow, again.WorkflowType.Name)

	// The next run finds the desk as it was, and what it was asked about is decided.
	next := newWorld(t)
	next.log, next.desk, next.gateway = w.log, w.desk, w.gateway
	require.NoError(t, next.env.SetTypedSearchAttributesOnStart(temporal.NewSearchAttributes(saga.NeedsAttentionAttribute.ValueSet(true))))
	verdict := next.decide(time.Hour, order.Resolution{ID: "d1", Action: order.Skip, Note: "gone"})
	require.NoError(t, next.settle())
	require.True(t, verdict.Accepted)
}

// A run that goes on where another one asked somebody takes that back from its page, also when it has nothing to wait for.
func TestAContinuedRunTakesBackWhatItsPageShows(t *testing.T) {
	w := newWorld(t)
	w.unpaid()
	w.came("e1", event.PaymentSucceeded)
	_, s := w.lateStream()
	stuck := saga.Facts{Stuck: &order.Stuck{Step: latepayment.StepJudge, Error: "no answer"}}
	_, _, err := w.log.Append(context.Background(), event.LateStream("42"), s.Head, []event.Entry{latepayment.Flow.Decide(s, stuck, w.env.Now(), nil).Entry})
	require.NoError(t, err)
	require.NoError(t, w.env.SetTypedSearchAttributesOnStart(temporal.NewSearchAttributes(saga.NeedsAttentionAttribute.ValueSet(true))))
	require.NoError(t, w.settle(func() {
		w.env.OnUpsertTypedSearchAttributes(temporal.NewSearchAttributes(saga.NeedsAttentionAttribute.ValueSet(false))).Return(nil).Once()
	}))
	require.True(t, w.env.AssertExpectations(t))
	require.Len(t, w.gateway.refunds, 1)
	require.Equal(t, []string{"judge", "nothing"}, w.desk.shown, "the desk is told, whatever the run before had done")
}

// undoing is how long a release takes that fails ten times. It is long: when an activity is under way in real time, the
// test environment does not wait longer for it than until the next thing is to happen.
const undoing = 30 * time.Second

// undoes cancels the order, and has it take a while until it is undone.
func (w *world) undoes(after time.Duration) {
	w.stock.fail = slices.Repeat([]string{"release"}, 10)
	w.cancel(after)
}

// A payer pays at the worst moment: the order is being undone, and cannot turn round any more.
func TestAPaymentThatComesWhileItsOrderIsUndone(t *testing.T) {
	w := newWorld(t)
	w.gateway.answer = payment.Pending
	w.undoes(time.Minute)
	w.env.RegisterDelayedCallback(func() {
		require.Equal(t, order.Back, w.record().Decision)
		require.False(t, w.record().Ended)
		w.env.SignalWorkflow(order.SignalPayment, order.PaymentHint{ID: "h1", Cause: "e1", Succeeded: true})
	}, time.Minute+undoing/2)
	require.Equal(t, order.StatusCancelled, w.run(tea(order.Immediate)).Status)
	types, s := w.lateStream()
	require.Equal(t, event.EventLate, types[0])
	require.False(t, s.Open())
	require.Len(t, w.gateway.refunds, 1)
}

// The order has ended, and its run is there because its events are not published.
func TestAPaymentThatComesBehindTheEnd(t *testing.T) {
	w := newWorld(t)
	w.gateway.answer = payment.Pending
	w.bus.down = 60
	w.cancel(time.Minute)
	w.env.RegisterDelayedCallback(func() {
		require.True(t, w.record().Ended)
		w.env.SignalWorkflow(order.SignalPayment, order.PaymentHint{ID: "h1", Cause: "e1", Succeeded: true})
	}, 2*time.Minute)
	require.Equal(t, order.StatusCancelled, w.run(tea(order.Immediate)).Status)
	types, s := w.lateStream()
	require.Equal(t, []string{event.EventLate, event.PaymentArrivedLate, event.PaymentRefunded}, types)
	require.False(t, s.Open())
}

// The hint that the gateway could not be asked about until nobody waited for the payer any more is about money.
func TestAHintThatNobodyCouldAskAboutIsLate(t *testing.T) {
	w := newWorld(t)
	w.gateway.answer = payment.Pending
	w.timing.PaymentPending = 10 * time.Minute
	g := &deafGateway{gateway: w.gateway}
	g.deaf.Store(60)
	w.env.RegisterDelayedCallback(func() {
		w.env.SignalWorkflow(order.SignalPayment, order.PaymentHint{ID: "h1", Cause: "e1", Succeeded: true})
	}, 9*time.Minute+30*time.Second)
	require.NoError(t, w.start(tea(order.Immediate), g, w.bus))
	if w.record().Status != order.StatusFailed {
		t.Fatalf("the order is %s", w.record().Status)
	}
	types, s := w.lateStream()
	require.Equal(t, event.EventLate, types[0])
	require.False(t, s.Open())
	require.Len(t, w.gateway.refunds, 1)
}

// intruder tells the order's run of something while it writes a verdict.
type intruder struct {
	activities.Log
	tell func()
}

func (i *intruder) Append(ctx context.Context, stream string, head event.Head, entries []event.Entry) (event.Head, []event.Record, error) {
	next, tail, err := i.Log.Append(ctx, stream, head, entries)
	if stream == event.LateStream("42") && i.tell != nil {
		tell := i.tell
		i.tell = nil
		tell()
	}
	return next, tail, err
}

// What comes while the verdict on the goods is written finds the late saga at work already: it is told, not started again.
func TestALateSagaThatIsThereIsTold(t *testing.T) {
	w := newWorld(t)
	w.gateway.answer = payment.Pending
	w.undoes(time.Minute)
	w.env.RegisterDelayedCallback(func() {
		w.env.SignalWorkflow(order.SignalShipment, order.ShipmentSignal{
			Kind: order.ShipmentDispatched, ShipmentFact: order.ShipmentFact{ID: "g1", Cause: "g1"},
		})
	}, time.Minute+undoing/2)
	log := &intruder{Log: w.log, tell: func() {
		w.env.SignalWorkflow(order.SignalPayment, order.PaymentHint{ID: "h1", Cause: "e1", Succeeded: true})
	}}
	verdict := &saga.ResolveAnswer{}
	w.env.RegisterDelayedCallback(func() {
		d := order.Resolution{ID: "d1", Action: order.Skip, Note: "gone"}
		require.NoError(t, w.env.UpdateWorkflowByID(latepayment.Flow.WorkflowID("42"), saga.UpdateResolve, d.ID, &updateCallbacks{
			reject:   func(err error) { t.Errorf("the Update is rejected: %v", err) },
			complete: func(result any, err error) { *verdict = result.(saga.ResolveAnswer) },
		}, d))
	}, time.Hour)
	require.NoError(t, w.startOn(log))
	require.Nil(t, log.tell, "the payer paid while the first verdict was written")
	types, s := w.lateStream()
	require.Equal(t, 2, count(types, event.EventLate))
	require.True(t, verdict.Accepted)
	require.False(t, s.Open())
	require.Len(t, w.gateway.refunds, 1)
}

// startOn is start on another log.
func (w *world) startOn(log activities.Log) error {
	recorder := &activities.Recorder{Log: log, Publisher: w.bus, Clock: w.env.Now, Logger: slog.New(slog.DiscardHandler)}
	workers.RegisterWorkflows(w.env)
	workers.RegisterActivities(w.env, w.orders(recorder, w.gateway), w.lateMoney(w.gateway))
	w.env.ExecuteWorkflow(order.Flow.WorkflowType(), input(tea(order.Immediate)))
	require.True(w.t, w.env.IsWorkflowCompleted())
	return w.env.GetWorkflowError()
}

func count(types []string, eventType string) int {
	n := 0
	for _, t := range types {
		if t == eventType {
			n++
		}
	}
	return n
}

// A workflow task that has given a verdict is discarded before it starts the saga, and runs again with the signal in view
// from its beginning: now it looks like a fact that came in time. What the verdict began is done all the same.
func TestAVerdictOfADiscardedTaskIsFollowed(t *testing.T) {
	w := newWorld(t)
	verdict := latepayment.LateRecord{ID: "h-1", OrderID: "42", EventID: "e-1", Type: event.PaymentSucceeded, Status: order.StatusCompleted}
	_, _, err := w.log.Append(t.Context(), event.LateStream("42"), event.Head{}, []event.Entry{verdict.Entry("corr", w.env.Now())})
	require.NoError(t, err)
	w.resume = &saga.Resume{Missed: []saga.Fact{fact(t, order.SignalPayment, `{"id":"h-1","cause":"e-1","succeeded":true}`)}}
	require.Equal(t, order.StatusCompleted, w.run(tea(order.Immediate)).Status)
	records, err := w.log.Read(t.Context(), event.LateStream("42"), 0, 0)
	require.NoError(t, err)
	state, err := latepayment.State{OrderID: "42"}.Fold(records)
	require.NoError(t, err)
	require.False(t, state.Open(), "the late saga has looked at it")
	require.Len(t, records, 2)
}

func requireSituation(t *testing.T, want string, s latepayment.State) {
	t.Helper()
	situation, _ := latepayment.Flow.AttentionKind(&s)
	require.Equal(t, want, situation)
}
