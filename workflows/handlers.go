package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/internal/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/order"
)

// handle registers the handlers of signals, Updates and of Temporal's own cancellation. They only set facts.
func (r *orderRun) handle(ctx workflow.Context) error {
	err := workflow.SetUpdateHandlerWithOptions(ctx, UpdateCancel, r.cancel, workflow.UpdateHandlerOptions{
		Validator: func(_ workflow.Context, c order.Cancellation) error {
			if !event.ValidID(c.ID) {
				return fault.New(fault.Invalid, "the id of a cancellation %s", event.IDRule)
			}
			return nil
		},
		Description: "Asks to cancel the order and waits for the verdict.",
	})
	if err != nil {
		return err
	}
	listen(r, SignalCancel, func(c order.Cancellation) { r.addCancellation(c) })
	listen(r, SignalPayment, func(h order.PaymentHint) {
		if r.firstSight(h.ID) {
			r.facts.Hint = &h
		}
	})
	listen(r, SignalShipment, r.addShipment)
	workflow.Go(r.ctx, func(waiting workflow.Context) {
		// The Web UI's Cancel button: the workflow's own context ends.
		ctx.Done().Receive(waiting, nil)
		if ctx.Err() != nil {
			r.addCancellation(order.Cancellation{
				ID: "temporal-" + workflow.GetInfo(ctx).WorkflowExecution.RunID, Reason: "cancelled in Temporal",
			})
		}
	})
	return nil
}

// listen takes in every signal of a name for as long as the run lasts.
func listen[T any](r *orderRun, name string, take func(T)) {
	channel := workflow.GetSignalChannel(r.ctx, name)
	workflow.Go(r.ctx, func(ctx workflow.Context) {
		for {
			var signal T
			if !channel.Receive(ctx, &signal) {
				return
			}
			take(signal)
		}
	})
}

// cancel asks to cancel and waits for the verdict, which is an event.
func (r *orderRun) cancel(ctx workflow.Context, c order.Cancellation) (CancelVerdict, error) {
	r.addCancellation(c)
	disconnected, _ := workflow.NewDisconnectedContext(ctx)
	err := workflow.Await(disconnected, func() bool {
		return r.state.Ended || r.state.Cancelling() || r.state.Refused(c.ID)
	})
	if err != nil {
		return CancelVerdict{}, err
	}
	return CancelVerdict{
		Accepted: r.state.Cancelled(), Status: r.state.Status, Detail: r.state.WhyNotCancellable(),
	}, nil
}

func (r *orderRun) addCancellation(c order.Cancellation) {
	if r.firstSight(c.ID) {
		r.facts.Cancellations = append(r.facts.Cancellations, c)
	}
}

func (r *orderRun) addShipment(s ShipmentSignal) {
	if !r.firstSight(s.ID) {
		return
	}
	fact := s.ShipmentFact
	switch s.Kind {
	case ShipmentDispatched:
		r.facts.Dispatched = &fact
	case ShipmentDelivered:
		r.facts.Delivered = &fact
	case ShipmentLost:
		r.facts.Lost = &fact
	}
}

// firstSight reports whether a signal of that id is new, and remembers it.
func (r *orderRun) firstSight(id string) bool {
	if r.seen[id] {
		return false
	}
	r.seen[id] = true
	r.changes++
	return true
}
