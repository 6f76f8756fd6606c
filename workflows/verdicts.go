package workflows

import (
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// lateBatch is how many late events get their verdicts at once.
const lateBatch = 50

// maxCarried is how many late events a run that is due hands on to the next one.
const maxCarried = 200

// judgeLate writes a verdict on every event that came when the order had ended, until no other one has come meanwhile or the
// run is due, and has settled what follows from them. First reports that the facts of the run are looked at, too.
func (r *orderRun) judgeLate(first bool) error {
	if first {
		r.unanswered()
	}
	for r.TakeIn(); len(r.late) > 0 || r.unsettled; r.TakeIn() {
		if r.drain.Due(r.ctx) && len(r.late) <= maxCarried && !r.unsettled {
			return nil
		}
		batch := r.late[:min(len(r.late), lateBatch)]
		in := activities.LateInput{
			OrderID: r.state.Order.ID, Status: r.state.Status, CorrelationID: r.state.CorrelationID, Events: batch,
			Handled: r.state.DispatchedAfterCancel(), Unsettled: r.unsettled, Now: workflow.Now(r.ctx),
		}
		r.late, r.unsettled = r.late[len(batch):], false
		result, err := saga.UntilDone(r.ctx, callLate, in, r.show)
		if err == nil && result.Consequential {
			err = r.settleLate()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// cameLate keeps the event that has brought a fact for its verdict. What has caused one of the order's events came in time,
// and again, as it does when a workflow is reset.
func (r *orderRun) cameLate(fact any) { r.judge(r.lateEvent(fact)) }

// lateEvent is the event that has brought a fact, in case that it is late.
func (r *orderRun) lateEvent(fact any) activities.LateEvent {
	a := arrivalOf(r.in.Order.ID, fact)
	return activities.LateEvent{ID: a.id, EventID: a.cause, Type: a.eventType, Identity: a.identity}
}

// judge keeps an event for its verdict, unless no event of the bus brought the fact, or the log has its effect or its answer.
func (r *orderRun) judge(e activities.LateEvent) {
	if e.EventID != "" && !recorded(r.state, e.Identity, e.Type) {
		r.late = append(r.late, e)
	}
}

// unanswered finds what the run took for a fact before it knew that the order had ended, or was decided: it came late
// too. A workflow task is discarded when a signal arrives while it runs, and runs again with the signal in view; then the
// log knows more than the run.
func (r *orderRun) unanswered() {
	for _, c := range r.facts.Cancellations {
		if !r.state.Cancelled() && !r.state.CancelRefused {
			r.cameLate(c)
		}
	}
	if r.state.Decision != order.Forward {
		for _, e := range r.heard.events {
			if r.unheeded(e.Type) {
				r.judge(e)
			}
		}
	}
	r.paymentLate(r.unasked)
	r.paymentLate(r.facts.Hint)
	if r.state.Decision == order.Forward || r.state.DispatchedAfterCancel() {
		return
	}
	r.shipmentLate(ShipmentDispatched, r.facts.Dispatched)
	r.shipmentLate(ShipmentDelivered, r.facts.Delivered)
	r.shipmentLate(ShipmentLost, r.facts.Lost)
}

// unheeded reports whether nothing that the order has recorded answers an event of the type that came before its end was known.
func (r *orderRun) unheeded(eventType string) bool {
	switch eventType {
	case event.OrderCancellationRequested:
		return !r.state.Cancelled()
	case event.PaymentSucceeded, event.PaymentFailed:
		return true
	}
	return !r.state.DispatchedAfterCancel()
}

func (r *orderRun) paymentLate(h *order.PaymentHint) {
	switch {
	case h == nil:
		return
	case r.state.Decision == order.Forward:
		// It came in time and says nothing new, or an earlier attempt has taken it for late, and what it began is still
		// to be done.
		r.unsettled = r.unsettled || h.Succeeded
		return
	}
	r.cameLate(*h)
}

func (r *orderRun) shipmentLate(kind ShipmentKind, f *order.ShipmentFact) {
	if f != nil {
		r.cameLate(ShipmentSignal{Kind: kind, ShipmentFact: *f})
	}
}

// settleLate has a saga of its own settle what follows from late events. It outlives the order's.
func (r *orderRun) settleLate() error {
	id := LateWorkflowID(r.state.Order.ID)
	child := workflow.WithChildOptions(r.ctx, workflow.ChildWorkflowOptions{
		WorkflowID: id, TaskQueue: QueueOrders, ParentClosePolicy: enumspb.PARENT_CLOSE_POLICY_ABANDON,
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		StaticSummary:         saga.Summary(LateSummary(r.state.Order.ID)),
		TypedSearchAttributes: temporal.NewSearchAttributes(CustomerID.ValueSet(r.state.Order.CustomerID), NeedsAttention.ValueSet(false)),
	})
	for range settleAttempts {
		err := workflow.ExecuteChildWorkflow(child, NameLate, LateInput{OrderID: r.state.Order.ID}).
			GetChildWorkflowExecution().Get(r.ctx, nil)
		if !temporal.IsWorkflowExecutionAlreadyStartedError(err) {
			return err
		}
		if workflow.SignalExternalWorkflow(r.ctx, id, "", SignalLate, nil).Get(r.ctx, nil) == nil {
			return nil
		}
		// It has closed between the two: the next one is started.
		if err := workflow.Sleep(r.ctx, time.Second); err != nil {
			return err
		}
	}
	// What came stands in the log: a check finds that nobody looks after it.
	r.log.Error("the saga for what came late neither starts nor listens", "order_id", r.state.Order.ID)
	return nil
}

// settleAttempts bounds how often a saga that closes just then is asked.
const settleAttempts = 30
