package workflows

import (
	"reflect"

	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/internal/event"
	"github.com/ordersaga/ordersaga/internal/order"
)

// Order is the order saga. It is a driver: order.Next decides, activities act, the log remembers.
//
// Any run can finish any order. A run begins with what the order's stream knows, so it does not matter whether
// it is the first, one that took over from a terminated one, or one whose workflow task was thrown away after
// its effects had happened.
func Order(ctx workflow.Context, in OrderInput) (OrderResult, error) {
	run, err := setup(ctx, in)
	if err != nil {
		return OrderResult{}, err
	}
	return run.run()
}

// orderRun is one run of an order's saga.
type orderRun struct {
	// ctx is disconnected from the workflow's cancellation: a cancellation is a fact, not an interruption.
	ctx workflow.Context
	// own is the workflow's own context, looked at for that fact.
	own workflow.Context
	log log.Logger
	in  OrderInput

	state  order.State
	facts  order.Facts
	timing order.Timing
	// inlinePayment tells that the gateway may be called inside a workflow task.
	inlinePayment bool
	// seen are the ids of signals, so that a duplicate changes nothing.
	seen map[string]bool
	// changes counts facts; a wait ends when it moves.
	changes int
	// late are events that came when the order had ended.
	late []activities.LateEvent
	// conflict tells that the stream belongs to an order of other content.
	conflict bool
	// unlisted tells that the read model does not show the order's end yet.
	unlisted bool
	// batches counts the batches of attempts of a step that is stuck.
	batches int

	outbox outbox
	shown  order.Status
}

// setup registers the handlers. It does nothing else: what a handler sets is looked at by run.
func setup(ctx workflow.Context, in OrderInput) (*orderRun, error) {
	disconnected, _ := workflow.NewDisconnectedContext(ctx)
	r := &orderRun{
		ctx: disconnected, own: ctx, log: workflow.GetLogger(ctx), in: in,
		timing: order.DefaultTiming(), seen: make(map[string]bool), shown: order.StatusAccepted,
	}
	if in.Resume != nil {
		r.facts, r.outbox.confirmed = in.Resume.Facts, in.Resume.Published
		for _, id := range in.Resume.Seen {
			r.seen[id] = true
		}
	}
	if err := r.handle(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

// run drives the order to its end.
func (r *orderRun) run() (OrderResult, error) {
	if err := r.open(); err != nil {
		return OrderResult{}, err
	}
	if r.conflict = !reflect.DeepEqual(r.state.Order, r.in.Order); r.conflict {
		r.log.Error("the stream belongs to an order of other content", "order_id", r.in.Order.ID)
		return OrderResult{OrderID: r.in.Order.ID, Status: r.state.Status, Conflict: true}, r.finishHandlers()
	}
	for {
		r.takeIn()
		if r.mayContinueAsNew() {
			return OrderResult{}, r.continueAsNew()
		}
		a := order.Next(r.state, r.facts, workflow.Now(r.ctx), r.timing)
		var err error
		switch a.Kind {
		case order.Close:
			return r.close()
		case order.Record:
			err = r.record()
		case order.Wait:
			err = r.wait(a)
		default:
			err = r.step(a)
		}
		if err != nil {
			return OrderResult{}, err
		}
	}
}

// open appends order.accepted, or finds the stream as another run left it.
func (r *orderRun) open() error {
	in := activities.OpenInput{Order: r.in.Order, CorrelationID: r.in.CorrelationID, CausationID: r.in.CausationID}
	var result activities.OpenResult
	err := r.untilDone(policy{activity: activities.NameOpen, queue: QueueOrders, summary: "open the order's stream"}, in, &result)
	if err != nil {
		return err
	}
	r.timing, r.inlinePayment = result.Timing, result.InlinePayment
	return r.fold(result.StepResult)
}

// record appends what order.Next decided, and everything that it decides right after it, in one append.
func (r *orderRun) record() error {
	entries := order.Decisions(r.state, r.facts, workflow.Now(r.ctx), r.timing)
	in := r.stepInput()
	in.Entries = entries
	var result activities.StepResult
	p := policy{activity: activities.NameRecord, queue: QueueOrders, summary: "record " + types(entries)}
	if err := r.untilDone(p, in, &result); err != nil {
		return err
	}
	r.facts.Stuck = nil
	return r.fold(result)
}

// mayContinueAsNew reports whether the history is long enough, and nothing would be lost by a new run. An Update that
// waits for its verdict keeps this run going: only this loop can give it one.
func (r *orderRun) mayContinueAsNew() bool {
	return workflow.GetInfo(r.ctx).GetContinueAsNewSuggested() && !r.state.Ended && !r.outbox.pending &&
		workflow.AllHandlersFinished(r.ctx)
}

// fold takes in what a step found in the log.
func (r *orderRun) fold(result activities.StepResult) error {
	state, err := r.state.Fold(result.Tail)
	if err != nil {
		return err
	}
	r.outbox.add(result.Tail)
	r.outbox.confirm(result.Published)
	if state.Payment != r.state.Payment {
		// What was found out about an earlier attempt says nothing about this one.
		r.facts.GivenUp, r.facts.LookedUp = "", false
	}
	r.state, r.unlisted = state, result.Unlisted
	return nil
}

// close ends the run once everything is published and every caller has its answer.
func (r *orderRun) close() (OrderResult, error) {
	r.show("")
	if r.unlisted {
		list := policy{activity: activities.NameList, queue: QueueOrders, summary: "list the order"}
		if err := r.untilDone(list, activities.ListInput{State: r.state}, nil); err != nil {
			return OrderResult{}, err
		}
	}
	if err := r.flush(); err != nil {
		return OrderResult{}, err
	}
	if err := r.finishHandlers(); err != nil {
		return OrderResult{}, err
	}
	if err := r.judgeLate(); err != nil {
		return OrderResult{}, err
	}
	return OrderResult{
		OrderID: r.state.Order.ID, Status: r.state.Status, Reason: r.state.Reason, Version: r.state.Head.Version,
	}, nil
}

// continueAsNew bounds the history of a run that waits for long.
func (r *orderRun) continueAsNew() error {
	next := r.in
	next.Resume = &Resume{Facts: r.facts, Seen: workflow.DeterministicKeys(r.seen), Published: r.outbox.confirmed}
	return workflow.NewContinueAsNewError(r.ctx, NameOrder, next)
}

// judgeLate writes a verdict on every event that came when the order had ended, until no other one has come meanwhile.
func (r *orderRun) judgeLate() error {
	r.unanswered()
	for r.takeIn(); len(r.late) > 0; r.takeIn() {
		in := activities.LateInput{
			OrderID: r.state.Order.ID, Status: r.state.Status, CorrelationID: r.state.CorrelationID, Events: r.late,
		}
		r.late = nil
		late := policy{activity: activities.NameLate, queue: QueueOrders, summary: "write down what came late"}
		if err := r.untilDone(late, in, nil); err != nil {
			return err
		}
	}
	return nil
}

// unanswered finds what the run took for a fact before it knew that another attempt had ended the order: it came late too.
func (r *orderRun) unanswered() {
	late := func(id, cause, eventType string) {
		if cause != "" {
			r.late = append(r.late, activities.LateEvent{ID: id, EventID: cause, Type: eventType})
		}
	}
	for _, c := range r.facts.Cancellations {
		if !r.state.Cancelled() && !r.state.Refused(c.ID) {
			late(c.ID, c.Cause, event.OrderCancellationRequested)
		}
	}
	if r.state.Decision == order.Forward || r.state.AtLarge {
		return
	}
	if f := r.facts.Dispatched; f != nil {
		late(f.ID, f.Cause, event.ShipmentDispatched)
	}
	if f := r.facts.Delivered; f != nil {
		late(f.ID, f.Cause, event.ShipmentDelivered)
	}
	if f := r.facts.Lost; f != nil {
		late(f.ID, f.Cause, event.ShipmentLost)
	}
	if h := r.facts.Hint; h != nil {
		eventType := event.PaymentFailed
		if h.Succeeded {
			eventType = event.PaymentSucceeded
		}
		late(h.ID, h.Cause, eventType)
	}
}

// finishHandlers waits until every Update has its answer.
func (r *orderRun) finishHandlers() error {
	return workflow.Await(r.ctx, func() bool { return workflow.AllHandlersFinished(r.ctx) })
}

// types lists the types of events, for people.
func types(entries []event.Entry) string {
	list := ""
	for i, e := range entries {
		if i > 0 {
			list += ", "
		}
		list += e.Type
	}
	return list
}
