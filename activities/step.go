package activities

import (
	"context"
	"log/slog"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Step is the activity of an operation: it runs the step function, records its outcome, and publishes earlier records meanwhile.
func (f *Flow[S, P]) Step(step string, kind saga.ActionKind) func(context.Context, saga.StepInput[S]) (saga.StepResult[S], error) {
	return func(ctx context.Context, in saga.StepInput[S]) (saga.StepResult[S], error) {
		if o := f.Table.Operation(&in.State, step, kind); o != nil && o.Once {
			return f.once(ctx, in, step, kind)
		}
		leave, err := f.enter(&in, step, kind)
		if err != nil {
			return saga.StepResult[S]{}, err
		}
		defer leave()
		return f.step(ctx, in, func(ctx context.Context) (saga.Outcome, []event.Entry, error) {
			return f.call(ctx, &in, step, kind, nil)
		}, step)
	}
}

// claim appends an event before an effect; see saga.Call.
type claim func(ctx context.Context, slot, eventType string, data any) (won bool, err error)

// call runs a step function. It returns the outcome, and the events of it after the input's state.
func (f *Flow[S, P]) call(
	ctx context.Context, in *saga.StepInput[S], step string, kind saga.ActionKind, claims claim,
) (saga.Outcome, []event.Entry, error) {
	operation := f.Table.Operation(&in.State, step, kind)
	if operation == nil || operation.Run == nil {
		return saga.Outcome{}, nil, fault.New(fault.Internal, "flow %s has no operation %s for step %s", f.Table.Name, kind, step)
	}
	k := f.Table.Kit(&in.State)
	part := step
	if in.Item != "" {
		part += "/" + in.Item
	}
	name, remote := f.remote(in, step, kind)
	began := f.Clock()
	inside, span := startSpan(ctx, step, kind)
	inside, cancel := f.bound(inside, in, remote)
	defer cancel()
	outcome, err := operation.Run(f.Participants, inside, saga.Call[S]{
		ID: k.ID, Key: event.Key(k.ID, part), Item: in.Item, State: in.State, Fact: in.Fact, Hint: in.Hint, Tries: in.Tries, Last: in.Last,
		Pending: f.Table.IsPending(&in.State, step), Claim: claims,
		Now:    func() time.Time { return f.now(ctx) },
		Newest: func(ctx context.Context) (S, error) { return f.newest(ctx, in.State) },
	})
	if remote {
		f.measure(ctx, in, name, max(f.Clock().Sub(began), 0), err)
	}
	f.attempted(ctx, step, kind, began, outcome, err)
	f.endSpan(ctx, span, step, kind, outcome, err)
	if err != nil {
		return outcome, nil, err
	}
	if err := f.Table.CheckOutcome(*in, step, kind, outcome); err != nil {
		return outcome, nil, fault.Wrap(err, fault.Internal, "%s %s", kind, step)
	}
	entries, err := f.Table.Entries(*in, step, outcome, f.now(ctx))
	return outcome, entries, fault.Wrap(err, fault.Internal, "record the outcome of %s", step)
}

// Record appends events that a run has decided on. In an endless flow there may be none: then it reads what others have appended.
func (f *Flow[S, P]) Record(ctx context.Context, in saga.StepInput[S]) (saga.StepResult[S], error) {
	k := f.Table.Kit(&in.State)
	switch {
	case len(in.Entries) > 0:
		return f.step(ctx, in, func(context.Context) (saga.Outcome, []event.Entry, error) { return saga.Done(nil), in.Entries, nil }, "")
	case !f.Table.Endless:
		return saga.StepResult[S]{}, ToTemporal(fault.New(fault.Invalid, "nothing to record in stream %s", f.Table.StreamOf(k.ID)))
	}
	result, after, err := f.load(ctx, k.ID, in.State)
	if err == nil {
		_, err = f.project(ctx, in.State, after)
	}
	return result, ToTemporal(err)
}

// step does an effect, records its outcome, and publishes earlier records meanwhile.
func (f *Flow[S, P]) step(
	ctx context.Context, in saga.StepInput[S], do func(ctx context.Context) (saga.Outcome, []event.Entry, error), step string,
) (saga.StepResult[S], error) {
	k := f.Table.Kit(&in.State)
	ctx = f.about(WithClock(ctx, in.Now, f.Clock), k.ID, k.CorrelationID)
	if k.Attention.Open {
		if result, moved, err := f.moved(ctx, in.State); moved || err != nil {
			return result, ToTemporal(err)
		}
	}
	published := f.publishBeside(ctx, in.Unpublished)
	outcome, entries, err := do(ctx)
	var result saga.StepResult[S]
	switch {
	case err != nil:
	case outcome.Definite():
		result, err = f.record(ctx, in, entries, step)
	default:
		result.Later = outcome.Later()
	}
	result.Published, result.Slow = published(), f.slow(in.Settings)
	if err != nil {
		return saga.StepResult[S]{}, ToTemporal(err)
	}
	return result, nil
}

// moved reports whether a saga has gone on without the run, and returns how. A step that is stuck is attempted for hours: meanwhile a
// person's decision may have been followed by another run, or by this one in a workflow task that Temporal has discarded. What was
// decided then is not undone, and what a person has done is not done again.
func (f *Flow[S, P]) moved(ctx context.Context, before S) (result saga.StepResult[S], moved bool, err error) {
	k := f.Table.Kit(&before)
	result, after, err := f.load(ctx, k.ID, before)
	if err != nil || f.Table.Kit(&after).Head == k.Head {
		return saga.StepResult[S]{}, false, err
	}
	result.Unlisted, err = f.project(ctx, before, after)
	return result, true, err
}

// record appends the outcome of a step, together with the decisions that follow from it, and returns what the log has after the input's
// head. Losing a race is no error: what the log has is the answer.
func (f *Flow[S, P]) record(ctx context.Context, in saga.StepInput[S], entries []event.Entry, step string) (saga.StepResult[S], error) {
	k := f.Table.Kit(&in.State)
	stream := f.Table.StreamOf(k.ID)
	if len(entries) == 0 {
		result, after, err := f.load(ctx, k.ID, in.State)
		if err == nil && f.Table.Kit(&after).Head == k.Head {
			// The effect is compensated, but the log does not show it yet: its writer has not appended it.
			err = fault.New(fault.Concurrency, "%s %s is being compensated by another run", f.Table.Name, k.ID)
		}
		return result, err
	}
	entries, err := f.Table.WithDecisions(in, entries, f.now(ctx))
	if err != nil {
		return saga.StepResult[S]{}, err
	}
	tail, err := f.append(ctx, in, entries, step)
	if err != nil && !Lost(err) {
		return saga.StepResult[S]{}, err
	}
	if len(tail) == 0 {
		return saga.StepResult[S]{}, fault.Wrap(err, fault.Internal, "append %s after version %d of %s: the log returned no newer event", entries[0].Key, k.Head.Version, stream)
	}
	confirmed := err == nil
	result, after, err := f.answer(in.State, tail)
	if err != nil {
		return saga.StepResult[S]{}, err
	}
	if confirmed && f.Metrics != nil {
		f.ended(stream, entries, tail, in.State, after)
	}
	result.Unlisted, err = f.project(ctx, in.State, after)
	return result, err
}

// append appends after the input's head, and returns what the log has after it. What a step about an item came to stays true when others
// write to the stream meanwhile: it is appended after that, as long as the item is open.
func (f *Flow[S, P]) append(ctx context.Context, in saga.StepInput[S], entries []event.Entry, step string) (tail []event.Record, err error) {
	k := f.Table.Kit(&in.State)
	if step == "" || in.Item == "" {
		_, tail, err = f.Log.Append(ctx, f.Table.StreamOf(k.ID), k.Head, entries)
		return tail, err
	}
	fold := func(s S, page []event.Record) (S, error) {
		for _, r := range page {
			if r.Version > k.Head.Version+int64(len(tail)) {
				tail = append(tail, r)
			}
		}
		return f.Table.Fold(s, page)
	}
	_, err = event.AppendAfter(ctx, f.Log, f.Table.StreamOf(k.ID), k.Head, in.State, fold, func(s S) ([]event.Entry, error) {
		if item, open := f.Table.ItemOf(&s, step); !open || item != in.Item {
			return nil, nil
		}
		return entries, nil
	})
	return tail, err
}

// newest is the saga as the log has it now. A log that knows less than the run did is not up to date: Unavailable.
func (f *Flow[S, P]) newest(ctx context.Context, s S) (S, error) {
	var none S
	k := f.Table.Kit(&s)
	_, newest, err := f.load(ctx, k.ID, none)
	if version := f.Table.Kit(&newest).Head.Version; err == nil && version < k.Head.Version {
		err = fault.New(fault.Unavailable, "stream %s ends at version %d, but version %d was read before", f.Table.StreamOf(k.ID), version, k.Head.Version)
	}
	return newest, err
}

// project writes the list when a step brought the saga to a status that is listed, or no person must act any more. A list that cannot be
// written never stops a saga: an interim status is written again with the next one, and the end, which nothing comes
// after, is reported as unlisted. In an endless flow, the list is the only notice for operators: the error makes the step run again.
func (f *Flow[S, P]) project(ctx context.Context, before, after S) (unlisted bool, err error) {
	k := f.Table.Kit(&after)
	if f.List == nil || !f.Table.Lists(&before, &after) {
		return false, nil
	}
	err = f.List.Project(ctx, after)
	switch {
	case err == nil:
	case f.Table.Endless && k.Attention != f.Table.Kit(&before).Attention:
		return false, err
	default:
		f.Logger.LogAttrs(ctx, slog.LevelWarn, "the list entry of a saga could not be written",
			slog.String("stream", f.Table.StreamOf(k.ID)), slog.String("status", string(k.Status)), slog.Any("error", err))
		unlisted = k.Ended
	}
	return unlisted, nil
}
