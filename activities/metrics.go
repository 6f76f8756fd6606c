package activities

import (
	"context"
	"slices"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Metrics counts what the activities do. Its methods are called by any number of goroutines, and must not block.
type Metrics interface {
	// Started counts a saga whose first event was appended, or of an endless flow one that has something to do.
	Started(flow string)
	// Ended counts a saga whose terminal event was appended, or of an endless flow one in which nothing is left to do.
	Ended(flow string, status saga.Status, reason string, took time.Duration)
	// Attempted counts an attempt of a step.
	Attempted(a Attempt)
	// Published counts an event that the broker has confirmed. Lag is the time from the event to the confirm.
	Published(lag time.Duration)
}

// Attempt is a call of a step function.
type Attempt struct {
	Flow, Step string
	Kind       saga.ActionKind
	Result     Result
	// Inline reports that it ran inside a workflow task.
	Inline bool
	Took   time.Duration
}

// Result says what an attempt came to.
type Result string

// The results.
const (
	// ResultDone: the participant did what was requested, or will notify.
	ResultDone Result = "done"
	// ResultRefused: the participant answered otherwise: refused, not now, not found, or compensated before.
	ResultRefused Result = "refused"
	// ResultUnknown: there was no answer.
	ResultUnknown Result = "unknown"
)

func resultOf(o saga.Outcome, err error) Result {
	switch {
	case err != nil:
		return ResultUnknown
	case o.Succeeded():
		return ResultDone
	}
	return ResultRefused
}

// attempted counts an attempt that began at began.
func (f *Flow[S, P]) attempted(ctx context.Context, step string, kind saga.ActionKind, began time.Time, o saga.Outcome, err error) {
	if f.Metrics == nil {
		return
	}
	f.Metrics.Attempted(Attempt{
		Flow: f.Table.Name, Step: step, Kind: kind, Result: resultOf(o, err), Took: max(f.Clock().Sub(began), 0),
		Inline: activity.IsActivity(ctx) && activity.GetInfo(ctx).IsLocalActivity,
	})
}

// started counts a saga if its first event was appended by this call.
func (f *Flow[S, P]) started(stream string, first event.Entry, tail []event.Record) {
	if f.Metrics != nil && f.isNew(stream, first, tail) {
		f.Metrics.Started(f.Table.Name)
	}
}

// resumed counts a saga of an endless flow in which a run finds something to do. A run that takes over in this process is not counted again.
func (f *Flow[S, P]) resumed(s S) {
	k := f.Table.Kit(&s)
	stream := f.Table.StreamOf(k.ID)
	if f.Metrics == nil || !f.Table.Endless || !f.busy(&s) || f.begun.get(stream) > f.counted.get(stream) {
		return
	}
	f.begun.put(stream, k.Head.Version)
	f.since.put(stream, k.UpdatedAt.UnixMilli())
	f.Metrics.Started(f.Table.Name)
}

// busy reports whether a saga of an endless flow has something to do.
func (f *Flow[S, P]) busy(s *S) bool {
	return f.Table.Kit(s).Opened() && f.Table.ViewOf(s).Status != saga.Completed
}

// ended counts a saga if its terminal event was appended by this call, or of an endless flow the last one that was to come.
func (f *Flow[S, P]) ended(stream string, entries []event.Entry, tail []event.Record, before, s S) {
	after := f.Table.Kit(&s)
	if f.Table.Endless {
		if last := entries[len(entries)-1]; f.busy(&before) && !f.busy(&s) && f.isNew(stream, last, tail) {
			since := f.Table.Kit(&before).UpdatedAt // of a run that another process began
			if ms := f.since.get(stream); ms > 0 {
				since = time.UnixMilli(ms)
			}
			v := f.Table.ViewOf(&s)
			f.Metrics.Ended(f.Table.Name, v.Status, v.Reason, max(last.Time.Sub(since), 0))
		}
		return
	}
	if !after.Ended {
		return
	}
	end := slices.IndexFunc(entries, func(e event.Entry) bool { return e.Key == saga.SlotEnd })
	if end >= 0 && f.isNew(stream, entries[end], tail) {
		f.Metrics.Ended(f.Table.Name, after.Status, after.Reason, max(entries[end].Time.Sub(after.CreatedAt), 0))
	}
}

// isNew reports whether an entry was appended by this call, and not by an earlier attempt with the same content: that one has another time,
// or this process remembers it. An entry whose first append was not confirmed is not new when it is appended again.
func (r *Recorder) isNew(stream string, e event.Entry, tail []event.Record) bool {
	i := slices.IndexFunc(tail, func(t event.Record) bool { return t.Key == e.Key && t.Time.Equal(e.Time) })
	if i < 0 || r.counted.get(stream) >= tail[i].Version {
		return false
	}
	r.counted.put(stream, tail[i].Version)
	return true
}

// published counts records that the broker has confirmed.
func (r *Recorder) published(records []event.Record) {
	if r.Metrics == nil {
		return
	}
	now := r.Clock()
	for i := range records {
		r.Metrics.Published(max(now.Sub(records[i].Time), 0))
	}
}
