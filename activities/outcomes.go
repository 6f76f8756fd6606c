package activities

import (
	"context"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// Open appends order.accepted, or finds that the stream has it already, and returns what the stream says: a run
// starts from what the log knows. With it come the cancellations that were there before the order.
func (o *Outcomes) Open(ctx context.Context, in OpenInput) (OpenResult, error) {
	ctx = withClock(ctx, in.Now, o.Clock)
	result, state, err := o.open(ctx, in)
	if err != nil {
		return OpenResult{}, toTemporal(err)
	}
	var early []order.Cancellation
	if in.CallerID {
		// After the append: what is kept from now on is also sent to the run, see inbound.Executor.
		if early, err = o.early(ctx, in.Order.ID, state); err != nil {
			return OpenResult{}, toTemporal(err)
		}
	}
	result.Unlisted = o.project(ctx, order.State{}, state)
	return OpenResult{StepResult: result, Timing: o.Timing, InlinePayment: o.InlinePayment, Quiet: true, Early: early}, nil
}

func (o *Outcomes) open(ctx context.Context, in OpenInput) (StepResult, order.State, error) {
	stream := event.OrderStream(in.Order.ID)
	if in.Known {
		if result, state, err := loadOrder(ctx, o.Log, stream, order.State{}); err != nil || state.Opened() {
			return result, state, err
		}
	}
	accept := order.Accept(in.Order, in.CorrelationID, in.CausationID, o.now(ctx))
	_, tail, err := o.Log.Append(ctx, stream, event.Head{}, []event.Entry{accept})
	if err != nil && !lost(err) {
		return StepResult{}, order.State{}, err
	}
	return answer(order.State{}, tail)
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
