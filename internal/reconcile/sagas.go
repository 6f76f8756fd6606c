package reconcile

import (
	"context"
	"fmt"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// saga holds the order against its newest run.
func (u *unit) saga(ctx context.Context) error {
	if !u.recent(u.state) {
		return nil
	}
	run, err := u.cfg.Sagas.Inspect(ctx, u.id)
	if err != nil {
		return err
	}
	status, version := u.state.Status, u.state.Head.Version
	switch {
	case run.Running:
		u.progress(run)
	case !run.Found && !u.state.Ended:
		u.says(WorkflowGone, "it is %s at version %d, and Temporal has no workflow for it", status, version)
	case !u.state.Ended:
		u.says(WorkflowClosed, "it is %s at version %d, and its newest run is %s", status, version, run.Status)
	case run.Found && !run.Completed:
		u.says(EndUnpublished, "it ended as %s, and its newest run is %s", status, run.Status)
	}
	return nil
}

// progress looks for a run that is there and comes to nothing.
func (u *unit) progress(run Run) {
	if u.state.Attention.Open && u.now.Sub(u.state.UpdatedAt) > attentionForLong {
		u.says(AttentionForLong, "%s since %s", u.state.Attention.Step, u.state.UpdatedAt.UTC().Format(time.RFC3339))
	}
	if kind, why := u.stalled(u.state, run); kind != "" {
		u.says(kind, "%s", why)
	}
}

// quiet returns since when a run has made no progress, and whether that is too long; a workflow task that was scheduled lately
// may still be taken.
func (l *look) quiet(updated time.Time, run Run) (since string, stale bool) {
	updated = later(updated, run.StartedAt)
	stale = l.now.Sub(updated) > l.o.Stale && (run.TaskAttempts == 0 || l.now.Sub(run.TaskSince) > l.o.Stale)
	return updated.UTC().Format(time.RFC3339), stale
}

// stalled says why nothing comes of an order's run: it is WorkflowFailing or OrderStalled; "" when something does, or may.
func (l *look) stalled(s order.State, run Run) (kind Kind, why string) {
	if run.TaskAttempts >= failingAttempts {
		return WorkflowFailing, fmt.Sprintf("its workflow task has failed %d times in a row", run.TaskAttempts-1)
	}
	since, stale := l.quiet(s.UpdatedAt, run)
	why = "no progress since " + since
	switch {
	case !stale:
		return "", ""
	case run.TaskAttempts > 0:
		return OrderStalled, why + "; no worker takes its workflow task"
	case run.Activities > 0, s.Attention.Open:
		return "", ""
	case !s.Opened():
		return OrderStalled, why + "; it has not recorded anything"
	case s.Ended:
		return OrderStalled, why + "; it has ended and its run does not close"
	}
	next := order.Next(s, order.Facts{}, l.now, l.cfg.Timing)
	reserving := next.Step == order.StepReserve && l.now.Sub(later(s.UpdatedAt, run.StartedAt)) <= l.cfg.Timing.Reserve
	if next.Kind == order.Wait || reserving {
		// A run that waits for stock that others hold for now waits, too, and the log does not say so.
		return "", ""
	}
	return OrderStalled, why + "; the next action is: " + string(next.Kind) + " " + next.Step
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// unrecorded looks for orders that Temporal alone knows.
func (l *look) unrecorded(ctx context.Context) error {
	// Runs that have completed count too: their events are gone if the log was restored from an older backup.
	var completedSince time.Time
	if l.o.Since > 0 {
		completedSince = l.now.Add(-l.o.Since)
	}
	return l.eachOrder(ctx, l.cfg.Sagas.Orders(ctx, completedSince), l.unrecordedOrder)
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

func (l *look) unrecordedOrder(ctx context.Context, orderID string) error {
	stream := event.OrderStream(orderID)
	if recorded, err := l.recorded(ctx, stream); recorded || err != nil {
		return err
	}
	run, err := l.cfg.Sagas.Inspect(ctx, orderID)
	switch {
	case err != nil:
		return err
	case !run.Found:
	case run.Running:
		l.unrecordedRun(orderID, stream, run)
	default:
		l.found(OrderUnrecorded, orderID, stream, 0, "its newest run is %s, and the log has no events of the order", run.Status)
	}
	return nil
}

// unrecordedRun looks at an open run of an order without events. A run records before it does anything else: one that has got
// on without has lost what it recorded.
func (l *look) unrecordedRun(orderID, stream string, run Run) {
	kind, why := l.stalled(order.State{}, run)
	switch {
	case kind == WorkflowFailing, kind != "" && run.TaskAttempts > 0:
		l.found(kind, orderID, stream, 0, "%s", why)
	case run.TaskAttempts == 0 && l.now.Sub(run.StartedAt) > l.o.Stale:
		l.found(OrderUnrecorded, orderID, stream, 0, "its run has been open since %s, and the log has no events of the order",
			run.StartedAt.UTC().Format(time.RFC3339))
	}
}
