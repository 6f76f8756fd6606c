package activities

import (
	"context"

	"github.com/ordersaga/ordersaga/internal/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/order"
)

// Open appends order.accepted, or finds that the stream has it already, and returns the whole stream: a run
// starts from what the log knows. With it come the cancellations that were there before the order.
func (o *Outcomes) Open(ctx context.Context, in OpenInput) (OpenResult, error) {
	ctx = withClock(ctx, in.Now, o.Clock)
	accept := order.Accept(in.Order, in.CorrelationID, in.CausationID, o.now(ctx))
	_, tail, err := o.Log.Append(ctx, event.OrderStream(in.Order.ID), event.Head{}, []event.Entry{accept})
	if err != nil && !lost(err) {
		return OpenResult{}, toTemporal(err)
	}
	var early []order.Cancellation
	if in.CallerID {
		// After the append: what is kept from now on is also sent to the run, see workers.Router.
		if early, err = o.early(ctx, in.Order.ID, tail); err != nil {
			return OpenResult{}, toTemporal(err)
		}
	}
	result := StepResult{Tail: tail, Unlisted: o.project(ctx, order.State{}, tail)}
	return OpenResult{StepResult: result, Timing: o.Timing, InlinePayment: o.InlinePayment, Quiet: true, Early: early}, nil
}

// Record appends events that a run has decided on.
func (o *Outcomes) Record(ctx context.Context, in StepInput) (StepResult, error) {
	if len(in.Entries) == 0 {
		return StepResult{}, toTemporal(fault.New(fault.Invalid, "nothing to record for order %s", in.State.Order.ID))
	}
	return o.step(ctx, in, func(context.Context) ([]event.Entry, error) { return in.Entries, nil })
}

// List writes the read model.
func (o *Outcomes) List(ctx context.Context, in ListInput) (ListResult, error) {
	err := o.ReadModel.Project(ctx, in.State)
	return ListResult{}, toTemporal(fault.Wrap(err, fault.CodeOf(err), "list order %s as %s", in.State.Order.ID, in.State.Status))
}

// Publish publishes records in order. It fails, retryably, when the broker has not confirmed all of them.
func (o *Outcomes) Publish(ctx context.Context, in PublishInput) (PublishResult, error) {
	n, err := o.Publisher.Publish(ctx, in.Records)
	if err != nil {
		return PublishResult{}, toTemporal(fault.Wrap(err, fault.Unavailable, "publish: %d of %d confirmed", n, len(in.Records)))
	}
	return PublishResult{Published: versionOf(in.Records, n)}, nil
}
