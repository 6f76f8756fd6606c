package activities

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// publishBesideBudget bounds how long a step waits for the broker after its own work is done. Publishing
// never stops an order: what is not confirmed by then is published later.
const publishBesideBudget = 250 * time.Millisecond

// effect does something to the world and returns the outcome to record; nothing when somebody else has undone
// the step already.
type effect func(ctx context.Context) ([]event.Entry, error)

// errShort ends an effect that has nothing to record because it is to be tried again later.
var errShort = errors.New("other orders hold the stock for now")

// step does an effect, records its outcome, and publishes earlier records meanwhile.
func (r *Recorder) step(ctx context.Context, in StepInput, do effect) (StepResult, error) {
	ctx = withClock(ctx, in.Now, r.Clock)
	if in.State.Attention.Open {
		if result, moved, err := r.moved(ctx, in.State); moved || err != nil {
			return result, toTemporal(err)
		}
	}
	published := r.publishBeside(ctx, in.Unpublished)
	entries, err := do(ctx)
	var result StepResult
	switch {
	case errors.Is(err, errShort):
		err = nil
	case err == nil:
		result, err = r.record(ctx, in, entries)
	}
	result.Published = published()
	if err != nil {
		return StepResult{}, toTemporal(err)
	}
	return result, nil
}

// moved reports whether the order has gone on without the run, and returns how. A step that is stuck is attempted for hours: meanwhile a
// person's decision may have been followed by another run, or by this one in a workflow task that Temporal has discarded. What was
// decided then is not undone, and what was done by hand is not done again.
func (r *Recorder) moved(ctx context.Context, before order.State) (result StepResult, moved bool, err error) {
	result, after, err := loadOrder(ctx, r.Log, event.OrderStream(before.Order.ID), before)
	if err != nil || after.Head == before.Head {
		return StepResult{}, false, err
	}
	result.Unlisted = r.project(ctx, before, after)
	return result, true, nil
}

// record appends the outcome of a step, together with the decisions that follow from it, and returns what
// stands behind the input's head. Losing a race is no error: what stands there is the answer.
func (r *Recorder) record(ctx context.Context, in StepInput, entries []event.Entry) (StepResult, error) {
	stream := event.OrderStream(in.State.Order.ID)
	if len(entries) == 0 {
		result, after, err := loadOrder(ctx, r.Log, stream, in.State)
		if err == nil && after.Head == in.State.Head {
			// The effect is undone and the log does not say so yet: its writer has not come that far.
			err = fault.New(fault.Concurrency, "order %s is being undone by another run", in.State.Order.ID)
		}
		return result, err
	}
	entries, err := r.withDecisions(in, entries, r.now(ctx))
	if err != nil {
		return StepResult{}, err
	}
	_, tail, err := r.Log.Append(ctx, stream, in.State.Head, entries)
	if err != nil && !lost(err) {
		return StepResult{}, err
	}
	if len(tail) == 0 {
		return StepResult{}, fault.Wrap(err, fault.Internal, "append %s behind version %d of %s, which knows of it", entries[0].Key, in.State.Head.Version, stream)
	}
	result, after, err := answer(in.State, tail)
	if err != nil {
		return StepResult{}, err
	}
	result.Unlisted = r.project(ctx, in.State, after)
	return result, nil
}

// withDecisions adds the decisions that follow from the outcome, where the step may decide.
func (r *Recorder) withDecisions(in StepInput, entries []event.Entry, now time.Time) ([]event.Entry, error) {
	s := in.State
	for _, e := range entries {
		next, err := s.Fold([]event.Record{{
			Stream: event.OrderStream(s.Order.ID), Version: s.Head.Version + 1, Entry: e,
		}})
		if err != nil {
			return nil, err
		}
		s = next
	}
	if !in.Inline && s.Decision == "" {
		return entries, nil
	}
	for _, e := range order.Decisions(s, order.Facts{}, now, in.Timing) {
		if e.Type == event.OrderNeedsAttention {
			// The run knows more: it may have heard already what somebody would be asked to find out.
			break
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// project writes the read model when a step brought the order to a status that is listed, or away from the attention
// desk. A list that cannot be
// written never stops an order: an interim status is written again with the next one, and the end, which nothing comes
// after, is reported as unlisted.
func (r *Recorder) project(ctx context.Context, before, after order.State) (unlisted bool) {
	if !order.Listed(after.Status) && before.Status != order.StatusNeedsAttention {
		return false
	}
	if err := r.ReadModel.Project(ctx, after); err != nil {
		r.Logger.LogAttrs(ctx, slog.LevelWarn, "the list of orders is behind",
			slog.String("order_id", after.Order.ID), slog.String("status", string(after.Status)), slog.Any("error", err))
		return after.Ended
	}
	return false
}

// publishBeside publishes records in the background. The returned function waits for it, briefly, and says
// up to which version the broker has confirmed.
func (r *Recorder) publishBeside(ctx context.Context, records []event.Record) func() int64 {
	if len(records) == 0 {
		return func() int64 { return 0 }
	}
	ctx, cancel := context.WithCancel(ctx)
	confirmed := make(chan int64, 1)
	go func() {
		p := &publication{log: r.Log, publisher: r.Publisher, sent: &r.sent}
		upTo, err := p.page(ctx, records)
		if err != nil {
			r.Logger.LogAttrs(ctx, slog.LevelDebug, "publish later",
				slog.String("stream", records[0].Stream), slog.Int64("confirmed", upTo), slog.Any("error", err))
		}
		confirmed <- upTo
	}()
	return func() int64 {
		defer cancel()
		timer := time.NewTimer(publishBesideBudget)
		defer timer.Stop()
		select {
		case upTo := <-confirmed:
			return upTo
		case <-timer.C:
			cancel()
			return <-confirmed
		}
	}
}

// versionOf returns the version of the last of the first n records.
func versionOf(records []event.Record, n int) int64 {
	if n == 0 {
		return 0
	}
	return records[n-1].Version
}

// lost reports whether an append found that somebody else was there first.
func lost(err error) bool {
	return errors.Is(err, fault.Concurrency) || errors.Is(err, fault.KeyTaken)
}
