package reconcile

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// run holds a saga against its newest run, unless it ended too long ago.
func (c *chain) run(ctx context.Context, f Flow, v saga.View, records []event.Record) error {
	if !c.recent(v.Ended, v.UpdatedAt) {
		return nil
	}
	run, err := f.Sagas.Inspect(ctx, c.id)
	switch {
	case err != nil:
		return err
	case run.Running:
		return c.progress(f, v, records, run)
	case !run.Found && !v.Ended:
		c.found(WorkflowGone, v.Version, "it is %s at version %d, and Temporal has no workflow of it", v.Status, v.Version)
	case !v.Ended:
		c.found(WorkflowClosed, v.Version, "it is %s at version %d, and its newest run is %s", v.Status, v.Version, run.Status)
	case run.Found && !run.Completed:
		c.found(EndUnpublished, v.Version, "it ended as %s, and its newest run is %s", v.Status, run.Status)
	}
	return nil
}

// progress looks for a run that is there and comes to nothing.
func (c *chain) progress(f Flow, v saga.View, records []event.Record, run Run) error {
	if v.Attention != nil && c.now.Sub(v.UpdatedAt) > attentionForLong {
		c.found(AttentionForLong, v.Version, "%s since %s", v.Attention.Step, v.UpdatedAt.UTC().Format(time.RFC3339))
	}
	kind, why, err := c.stalled(f, v, records, run)
	if err == nil && kind != "" {
		c.found(kind, v.Version, "%s", why)
	}
	return err
}

// recent reports whether the gateway, Temporal and the stock ledger are asked about a saga.
func (l *look) recent(ended bool, updatedAt time.Time) bool {
	return !ended || l.o.Since == 0 || l.now.Sub(updatedAt) <= l.o.Since
}

// quiet returns since when nothing has come of a run, and whether that is for too long; a workflow task that was scheduled lately
// may still be taken.
func (l *look) quiet(updated time.Time, run Run) (since string, stale bool) {
	updated = later(updated, run.StartedAt)
	stale = l.now.Sub(updated) > l.o.Stale && (run.TaskAttempts == 0 || l.now.Sub(run.TaskSince) > l.o.Stale)
	return updated.UTC().Format(time.RFC3339), stale
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// stalled says why nothing comes of the run of a saga: it is WorkflowFailing or OrderStalled; "" when something does, or may.
func (l *look) stalled(f Flow, v saga.View, records []event.Record, run Run) (kind Kind, why string, err error) {
	if run.TaskAttempts >= failingAttempts {
		return WorkflowFailing, fmt.Sprintf("its workflow task has failed %d times in a row", run.TaskAttempts-1), nil
	}
	since, stale := l.quiet(v.UpdatedAt, run)
	why = "nothing has come of it since " + since
	switch {
	case !stale:
		return "", "", nil
	case run.TaskAttempts > 0:
		return OrderStalled, why + "; no worker takes its workflow task", nil
	case run.Activities > 0, v.Attention != nil:
		return "", "", nil
	case len(records) == 0:
		return OrderStalled, why + "; it has not recorded anything", nil
	case v.Ended:
		return OrderStalled, why + "; it has ended and its run does not close", nil
	}
	due, within, err := f.Due(records, saga.Facts{}, l.now, f.Timing)
	if err != nil || due == "" || l.now.Sub(later(v.UpdatedAt, run.StartedAt)) <= within {
		return "", "", err
	}
	return OrderStalled, why + "; what is to be done is: " + due, nil
}

// eachSaga checks the sagas that a list of runs names; in a second look, those that it is about. Sagas of endless flows are left out: their runs
// record nothing where nothing is to be done, and are told nothing that their streams do not have.
func (l *look) eachSaga(
	ctx context.Context, runs func(f Flow) iter.Seq2[string, error], check func(ctx context.Context, f Flow, id string) error,
) error {
	if l.streams != nil {
		for stream := range l.streams {
			if f, id, ok := l.flowOf(stream); ok && !f.Info().Endless {
				l.work.Go(func() error { return check(ctx, f, id) })
			}
		}
		return nil
	}
	for _, f := range l.cfg.Flows {
		if f.Info().Endless {
			continue
		}
		seen := make(map[string]bool)
		for id, err := range runs(f) {
			if err != nil {
				return err
			}
			if !seen[id] {
				seen[id] = true
				l.work.Go(func() error { return check(ctx, f, id) })
			}
		}
	}
	return nil
}

// unrecorded looks for sagas that Temporal alone knows.
func (l *look) unrecorded(ctx context.Context) error {
	// Runs that have completed count too: their events are gone if the log was restored from an older backup.
	var since time.Time
	if l.o.Since > 0 {
		since = l.now.Add(-l.o.Since)
	}
	return l.eachSaga(ctx, func(f Flow) iter.Seq2[string, error] { return f.Sagas.All(ctx, since) }, l.unrecordedSaga)
}

// recorded reports whether the log has an event of a saga that Temporal knows. A stream that is damaged has: that is found where it is walked.
func (l *look) recorded(ctx context.Context, stream string) (bool, error) {
	l.need(OrderUnrecorded, stream, 0, stream)
	// Two, because the first one alone may be remembered by this process, and the server may have lost it.
	records, err := l.cfg.Log.Read(ctx, stream, 0, 2)
	if err == nil && len(records) == 0 {
		// An event that is not there leads to a new run, which ends the one that is there.
		records, err = eventlog.ReadCertain(ctx, l.cfg.Log, stream, 0, 2)
	}
	if len(records) > 0 || damaged(err) {
		return true, nil
	}
	return false, err
}

// unrecordedSaga looks at the newest run of a saga without events. A run records before it does anything else: one that has got on without has
// lost what it recorded. A binary without the flow fails its tasks.
func (l *look) unrecordedSaga(ctx context.Context, f Flow, id string) error {
	stream := f.StreamOf(id)
	if recorded, err := l.recorded(ctx, stream); recorded || err != nil {
		return err
	}
	run, err := f.Sagas.Inspect(ctx, id)
	if err != nil || !run.Found {
		return err
	}
	kind, why, err := l.stalled(f, saga.View{}, nil, run)
	switch {
	case err != nil:
		return err
	case !run.Running:
		l.found(OrderUnrecorded, id, stream, 0, "its newest run is %s, and the log has no event of it", run.Status)
	case kind == WorkflowFailing, kind != "" && run.TaskAttempts > 0:
		l.found(kind, id, stream, 0, "%s", why)
	case run.TaskAttempts == 0 && l.now.Sub(run.StartedAt) > l.o.Stale:
		l.found(OrderUnrecorded, id, stream, 0, "its run has been open since %s, and the log has no event of it", run.StartedAt.UTC().Format(time.RFC3339))
	}
	return nil
}
