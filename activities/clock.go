package activities

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"
)

// clockKey is the key of a step's clock in its context.
type clockKey struct{}

// WithClock returns a context whose clock shows workflow time. It starts at asked, the workflow's time at which the step was
// scheduled, and advances by the time since then: the pause before this attempt, as the server measured it, and the
// duration of the attempt, as the worker's clock measures it. The worker's time of day is irrelevant,
// so all events of a stream are timed by one clock, whichever worker records them.
func WithClock(ctx context.Context, asked time.Time, worker func() time.Time) context.Context {
	if asked.IsZero() {
		return ctx
	}
	attempt, began := attemptTime(ctx, asked), worker()
	return context.WithValue(ctx, clockKey{}, func() time.Time {
		return attempt.Add(max(worker().Sub(began), 0))
	})
}

// attemptTime is the workflow's time at which this attempt of an activity began that was asked for at asked.
func attemptTime(ctx context.Context, asked time.Time) time.Time {
	if !activity.IsActivity(ctx) {
		return asked
	}
	info := activity.GetInfo(ctx)
	return asked.Add(max(info.StartedTime.Sub(info.ScheduledTime), 0))
}

// Now is the time of an event that is recorded now: workflow time where the input had it, otherwise the worker's.
func Now(ctx context.Context, worker func() time.Time) time.Time {
	if clock, ok := ctx.Value(clockKey{}).(func() time.Time); ok {
		return clock()
	}
	return worker()
}

// now is the time of an event that a step records now.
func (r *Recorder) now(ctx context.Context) time.Time { return Now(ctx, r.Clock) }
