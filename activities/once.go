package activities

import (
	"context"
	"errors"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// once runs the step function of an effect that cannot be repeated. The run records the outcome: an attempt that could not record it would
// be followed by one that does not know it.
func (f *Flow[S, P]) once(ctx context.Context, in saga.StepInput[S], step string, kind saga.ActionKind) (result saga.StepResult[S], err error) {
	before := in.State
	k := f.Table.Kit(&before)
	ctx = f.about(WithClock(ctx, in.Now, f.Clock), k.ID, k.CorrelationID)
	_, entries, err := f.call(ctx, &in, step, kind, func(ctx context.Context, slot, eventType string, data any) (won bool, err error) {
		result, in.State, won, err = f.claim(ctx, in.State, f.Table.Entry(&in.State, slot, eventType, f.now(ctx), data))
		return won, err
	})
	switch {
	case err != nil:
		return saga.StepResult[S]{}, ToTemporal(err)
	case len(entries) == 0:
		// Another attempt has the slot: the log has what is known of it.
		result, _, err = f.load(ctx, k.ID, before)
		return result, ToTemporal(err)
	}
	result.Answer = &saga.Answer{After: f.Table.Kit(&in.State).Head.Version, Entry: entries[len(entries)-1]}
	return result, nil
}

// claimPause is the pause before the log is asked again whether a claim is stored; claimReserve is what has to be left of
// the attempt's time, for the effect.
const (
	claimPause   = 250 * time.Millisecond
	claimReserve = 30 * time.Second
)

// claim appends the event that comes before an effect. While the log is away it is asked again: the next attempt has other data, and would
// take a claim of this one for an effect that may have happened.
func (f *Flow[S, P]) claim(ctx context.Context, before S, entry event.Entry) (result saga.StepResult[S], after S, won bool, err error) {
	k := f.Table.Kit(&before)
	for {
		_, tail, err := f.Log.Append(ctx, f.Table.StreamOf(k.ID), k.Head, []event.Entry{entry})
		if err == nil || Lost(err) {
			result, after, err = f.answer(before, tail)
			won = len(tail) > 0 && event.Same(tail[len(tail)-1].Entry, entry)
			return result, after, won, err
		}
		deadline, bounded := ctx.Deadline()
		if !errors.Is(err, fault.Unavailable) || bounded && time.Until(deadline) < claimReserve {
			return result, before, false, err
		}
		timer := time.NewTimer(claimPause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return result, before, false, err
		}
	}
}
