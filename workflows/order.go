package workflows

import (
	"reflect"

	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Order is the order saga: OrderSaga is its sequence, order.Next decides where in it the order stands, the kit drives,
// activities act, the log remembers.
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
	// quiet tells that search attributes follow the listed statuses only.
	quiet bool
	// seen are the newest identities of the events that signals passed on, so that a duplicate changes nothing.
	seen *recentIDs
	// changes counts facts; a wait ends when it moves.
	changes int
	desk    desk
	heard   heard
	// recovering is where to go on reading the runs that were broken off; nil when all of it is read.
	recovering *activities.RecoverCursor
	// drain is what callers see of a run that is about to continue as new.
	drain saga.Drain
	// late are events that came when the order had ended. unsettled reports that an earlier attempt may have given verdicts
	// from which something follows.
	late      []activities.LateEvent
	unsettled bool
	// unasked is what the bus said of a payment, and the gateway did not confirm: not asked in time, or asked too early.
	unasked *order.PaymentHint
	// conflict tells that the stream belongs to an order of other content.
	conflict bool
	// unlisted tells that the read model does not show the order's end yet.
	unlisted bool

	outbox outbox
	shown  order.Status
}

// setup registers the handlers. It does nothing else: what a handler sets is looked at by run.
func setup(ctx workflow.Context, in OrderInput) (*orderRun, error) {
	disconnected, _ := workflow.NewDisconnectedContext(ctx)
	r := &orderRun{
		ctx: disconnected, own: ctx, log: workflow.GetLogger(ctx), in: in,
		timing: order.DefaultTiming(), seen: newRecentIDs(nil), shown: order.StatusAccepted,
	}
	if in.Resume != nil {
		r.facts, r.outbox.confirmed, r.unasked = in.Resume.Facts, in.Resume.Published, in.Resume.Unasked
		r.seen, r.late = newRecentIDs(in.Resume.Seen), in.Resume.Late
		for _, fact := range factsOf(in.Resume.Facts) {
			// The run before may have remembered them by other names.
			r.seen.add(IdentityOf(in.Order.ID, fact))
		}
	}
	r.desk = r.newDesk()
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
	// Now it is known whether the order has ended: each signal is judged like one that comes now.
	switch handedOn, err := r.recover(); {
	case err != nil:
		return OrderResult{}, err
	case handedOn:
		r.TakeIn()
		return OrderResult{}, r.ContinueAsNew()
	}
	sequence, err := OrderSaga(r.state.Order.Fulfillment)
	if err != nil {
		return OrderResult{}, err
	}
	if err := saga.NewDriver(r.ctx, sequence, r).Run(); err != nil {
		return OrderResult{}, err
	}
	return OrderResult{
		OrderID: r.state.Order.ID, Status: r.state.Status, Reason: r.state.Reason, Version: r.state.Head.Version,
	}, nil
}

// open appends order.accepted, or finds the stream as another run left it, and takes in the cancellations that came before.
func (r *orderRun) open() error {
	in := activities.OpenInput{
		Order: r.in.Order, CorrelationID: r.in.CorrelationID, CausationID: r.in.CausationID, CallerID: r.in.CallerID,
		Known: r.in.Resume != nil, Now: workflow.Now(r.ctx),
	}
	result, err := saga.UntilDone(r.ctx, callOpen, in, r.show)
	if err != nil {
		return err
	}
	r.timing, r.inlinePayment, r.quiet = result.Timing, result.InlinePayment, result.Quiet
	r.fold(result.StepResult)
	for _, c := range result.Early {
		r.signalled(c)
	}
	return nil
}

// fold takes in what a step found in the log.
func (r *orderRun) fold(result activities.StepResult) {
	state := saga.Must(r.state.Fold(result.Tail))
	if result.State != nil && result.State.Head.Version > state.Head.Version {
		state = *result.State
	}
	if !state.Ended {
		r.heard.open()
	}
	r.outbox.add(result.Tail)
	r.outbox.skip(state.Head.Version)
	r.outbox.confirm(result.Published)
	if state.Payment != r.state.Payment || state.Inventory != r.state.Inventory {
		// What was found out about an earlier attempt says nothing about this one.
		r.facts.GivenUp, r.facts.LookedUp = "", false
	}
	r.state, r.unlisted = state, result.Unlisted
}

// finishHandlers waits until every Update has its answer.
func (r *orderRun) finishHandlers() error {
	return workflow.Await(r.ctx, func() bool { return workflow.AllHandlersFinished(r.ctx) })
}
