package reconcile

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// run holds a saga against its newest run.
func (u *flowUnit) run(ctx context.Context, v saga.View) error {
	run, err := u.flow.Sagas.Inspect(ctx, u.id)
	if err != nil {
		return err
	}
	switch {
	case run.Running:
		if v.Attention != nil && u.now.Sub(v.UpdatedAt) > attentionForLong {
			u.found(AttentionForLong, v.Version, "%s since %s", v.Attention.Step, v.UpdatedAt.UTC().Format(time.RFC3339))
		}
		kind, why, err := u.stalledFlow(u.flow, v, u.records, run)
		if err == nil && kind != "" {
			u.found(kind, v.Version, "%s", why)
		}
		return err
	case !run.Found && !v.Ended:
		u.found(WorkflowGone, v.Version, "it is %s at version %d, and Temporal has no workflow for it", v.Status, v.Version)
	case !v.Ended:
		u.found(WorkflowClosed, v.Version, "it is %s at version %d, and its newest run is %s", v.Status, v.Version, run.Status)
	case run.Found && !run.Completed:
		u.found(EndUnpublished, v.Version, "it ended as %s, and its newest run is %s", v.Status, run.Status)
	}
	return nil
}

// stalledFlow says why nothing comes of the run of a saga: it is WorkflowFailing or OrderStalled; "" when something does, or may.
func (l *look) stalledFlow(f Flow, v saga.View, records []event.Record, run Run) (kind Kind, why string, err error) {
	if run.TaskAttempts >= failingAttempts {
		return WorkflowFailing, fmt.Sprintf("its workflow task has failed %d times in a row", run.TaskAttempts-1), nil
	}
	since, stale := l.quiet(v.UpdatedAt, run)
	why = "no progress since " + since
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
	return OrderStalled, why + "; the next action is: " + due, nil
}

// eachSaga checks the sagas of added flows that a list of runs names; in a second look, those that it is about.
func (l *look) eachSaga(
	ctx context.Context, runs func(f Flow) iter.Seq2[string, error], check func(ctx context.Context, f Flow, id string) error,
) error {
	if l.streams != nil {
		for stream := range l.streams {
			if f, id, ok := l.flowOf(stream); ok {
				l.work.Go(func() error { return check(ctx, f, id) })
			}
		}
		return nil
	}
	for _, f := range l.cfg.Flows {
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

// unrecordedSagas looks for sagas of added flows that Temporal alone knows.
func (l *look) unrecordedSagas(ctx context.Context) error {
	var since time.Time
	if l.o.Since > 0 {
		since = l.now.Add(-l.o.Since)
	}
	return l.eachSaga(ctx, func(f Flow) iter.Seq2[string, error] { return f.Sagas.All(ctx, since) }, l.unrecordedSaga)
}

func (l *look) unrecordedSaga(ctx context.Context, f Flow, id string) error {
	stream := f.StreamOf(id)
	if recorded, err := l.recorded(ctx, stream); recorded || err != nil {
		return err
	}
	run, err := f.Sagas.Inspect(ctx, id)
	if err != nil || !run.Found {
		return err
	}
	kind, why, err := l.stalledFlow(f, saga.View{}, nil, run)
	switch {
	case err != nil:
		return err
	case !run.Running:
		l.found(OrderUnrecorded, id, stream, 0, "its newest run is %s, and the log has no events of the saga", run.Status)
	case kind == WorkflowFailing, kind != "" && run.TaskAttempts > 0:
		// A binary without the flow fails its tasks.
		l.found(kind, id, stream, 0, "%s", why)
	case run.TaskAttempts == 0 && l.now.Sub(run.StartedAt) > l.o.Stale:
		l.found(OrderUnrecorded, id, stream, 0, "its run has been open since %s, and the log has no events of the saga", run.StartedAt.UTC().Format(time.RFC3339))
	}
	return nil
}

// sagaSignals looks for signals to interrupted runs of added flows' sagas that no later run took over.
func (l *look) sagaSignals(ctx context.Context) error {
	return l.eachSaga(ctx, func(f Flow) iter.Seq2[string, error] { return f.Sagas.BrokenOff(ctx) }, l.lostSagaSignals)
}

func (l *look) lostSagaSignals(ctx context.Context, f Flow, id string) error {
	stream := f.StreamOf(id)
	records, ok, err := l.read(ctx, stream)
	if err != nil || !ok || len(records) == 0 {
		return err
	}
	v, folds := f.viewOf(records)
	if !folds || v.Ended {
		return nil // nothing follows from what comes after the end
	}
	run, err := f.Sagas.Inspect(ctx, id)
	if err != nil || !run.Running || run.TaskAttempts > 0 || run.Activities > 0 {
		// Another run is to take over, or this one is at work.
		return err
	}
	facts, err := f.Sagas.Lost(ctx, id)
	if err != nil {
		return err
	}
	waits, _, err := f.Due(records, saga.Facts{}, l.now, f.Timing)
	if err != nil || waits != "" {
		return err
	}
	if due, _, err := f.Due(records, facts, l.now, f.Timing); err != nil || due == "" {
		return err
	}
	var names []string
	if len(facts.Cancellations) > 0 {
		names = append(names, "a cancellation")
	}
	for _, fact := range facts.Heard {
		names = append(names, fact.Type)
	}
	l.found(SignalLost, id, stream, v.Version, "it is %s, and an interrupted run received: %s", v.Status, strings.Join(names, ", "))
	return nil
}
