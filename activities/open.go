package activities

import (
	"cmp"
	"context"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Open appends the first event, or finds that the stream has it already, and returns what the stream says: a run
// starts from what the log knows. With it come the cancellations that were there before the saga.
func (f *Flow[S, P]) Open(ctx context.Context, in saga.OpenInput) (saga.OpenResult[S], error) {
	ctx = f.about(WithClock(ctx, in.Now, f.Clock), in.ID, in.CorrelationID)
	result, state, err := f.open(ctx, in)
	if err != nil {
		return saga.OpenResult[S]{}, ToTemporal(err)
	}
	var early []saga.Cancellation
	if in.CallerID {
		// After the append: what is kept from now on is also sent to the run, see inbound.Executor.
		if early, err = f.early(ctx, in.ID, f.Table.Kit(&state)); err != nil {
			return saga.OpenResult[S]{}, ToTemporal(err)
		}
	}
	var none S
	if result.Unlisted, err = f.project(ctx, none, state); err != nil {
		return saga.OpenResult[S]{}, ToTemporal(err)
	}
	settings := f.Settings
	settings.Inline = cmp.Or(settings.Inline, f.Gate.Budget())
	result.Slow = f.slow(settings)
	return saga.OpenResult[S]{StepResult: result, Settings: settings, Early: early}, nil
}

func (f *Flow[S, P]) open(ctx context.Context, in saga.OpenInput) (result saga.StepResult[S], state S, err error) {
	if in.Known || f.Table.Endless {
		if result, state, err = f.load(ctx, in.ID, state); err != nil || f.Table.Kit(&state).Opened() {
			f.resumed(state)
			return result, state, err
		}
	}
	first, err := f.begin(ctx, in)
	if err != nil || first == nil {
		return result, state, err
	}
	var none S
	_, tail, err := f.Log.Append(ctx, f.Table.StreamOf(in.ID), event.Head{}, []event.Entry{*first})
	if err != nil && !Lost(err) {
		return saga.StepResult[S]{}, none, err
	}
	if err == nil {
		f.started(f.Table.StreamOf(in.ID), *first, tail)
	}
	return f.answer(none, tail)
}

// begin makes the first event; nil when there is none to be made.
func (f *Flow[S, P]) begin(ctx context.Context, in saga.OpenInput) (*event.Entry, error) {
	switch {
	case f.Table.Begin != nil:
		return f.Table.Begin(f.Participants, ctx, in, f.now(ctx))
	case f.Table.Endless:
		return nil, nil //nolint:nilnil // others begin the stream
	}
	first := f.Table.Accept(in, f.now(ctx))
	return &first, nil
}

// early reads the cancellations that came before their saga. What the saga has decided stays decided.
func (f *Flow[S, P]) early(ctx context.Context, id string, k *saga.Saga) ([]saga.Cancellation, error) {
	if k.Decision != "" || k.Ended || f.Table.EarlyStreamOf(id) == "" {
		return nil, nil
	}
	records, err := f.Log.Read(ctx, f.Table.EarlyStreamOf(id), 0, saga.MaxEarly)
	if err != nil {
		return nil, err
	}
	kept, err := f.Table.EarlyCancellations(records)
	return kept, fault.Wrap(err, fault.CodeOf(err), "read the early cancellations of %s %s", f.Table.Name, id)
}

// list writes the list.
func (f *Flow[S, P]) list(ctx context.Context, in saga.ListInput[S]) (saga.ListResult, error) {
	if f.List == nil {
		return saga.ListResult{}, nil
	}
	k := f.Table.Kit(&in.State)
	err := f.List.Project(f.about(ctx, k.ID, k.CorrelationID), in.State)
	return saga.ListResult{}, ToTemporal(fault.Wrap(err, fault.CodeOf(err), "list %s %s as %s", f.Table.Name, k.ID, k.Status))
}

// late records late events.
func (f *Flow[S, P]) late(ctx context.Context, in saga.LateInput) (saga.LateResult, error) {
	ctx = f.about(WithClock(ctx, in.Now, f.Clock), in.ID, "")
	if f.Late == nil {
		return saga.LateResult{}, ToTemporal(KeepLate(ctx, f.Log, f.Table, in, f.now(ctx)))
	}
	return f.Late(ctx, in)
}

// Publish publishes records in order. It fails, retryably, when the broker has not confirmed any of them; when it has
// confirmed some, it says so, and is called again for the others.
func (r *Recorder) Publish(ctx context.Context, in saga.PublishInput) (saga.PublishResult, error) {
	published, err := r.publish(ctx, in)
	return saga.PublishResult{Published: published}, ToTemporal(err)
}

// Recover reads the facts that the runs before this one received. It changes nothing.
func (f *Flow[S, P]) Recover(ctx context.Context, in saga.RecoverInput) (saga.RecoverResult, error) {
	if f.Predecessors == nil {
		return saga.RecoverResult{}, ToTemporal(fault.New(fault.Unavailable, "this worker cannot read the runs of %s %s", f.Table.Name, in.ID))
	}
	result, err := f.Predecessors.Recover(ctx, in)
	return result, ToTemporal(err)
}
