package reconcile

import (
	"context"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/order"
)

// saga holds the order against its newest run.
func (l *look) saga(ctx context.Context, u *unit) error {
	if !l.recent(u.state) {
		return nil
	}
	run, err := l.cfg.Sagas.Inspect(ctx, u.id)
	if err != nil {
		return err
	}
	ended := u.state.Ended
	switch {
	case run.Found && run.Running:
		u.progress(run)
	case !run.Found && !ended:
		u.found(WorkflowGone, "it is %s at version %d, and Temporal has no workflow of it", u.state.Status, u.state.Head.Version)
	case !ended:
		u.found(WorkflowClosed, "it is %s at version %d, and its newest run is %s", u.state.Status, u.state.Head.Version, run.Status)
	case run.Found && !run.Completed:
		u.found(EndUnpublished, "it ended as %s, and its newest run is %s", u.state.Status, run.Status)
	}
	return nil
}

// progress looks for a run that is there and comes to nothing.
func (u *unit) progress(run Run) {
	l := u.look
	if u.state.Attention.Open && l.now.Sub(u.state.UpdatedAt) > attentionForLong {
		u.found(AttentionForLong, "%s since %s", u.state.Attention.Step, u.state.UpdatedAt.UTC().Format(time.RFC3339))
	}
	switch why, failing := l.stalled(u.state, run); {
	case failing:
		u.found(WorkflowFailing, "%s", why)
	case why != "":
		u.found(OrderStalled, "%s", why)
	}
}

// stalled says why nothing comes of a run; "" when something does, or may. Failing tells that it is the workflow task.
func (l *look) stalled(s order.State, run Run) (why string, failing bool) {
	if run.TaskAttempts >= failingAttempts {
		return "its workflow task has failed " + itoa(run.TaskAttempts-1) + " times in a row", true
	}
	since := s.UpdatedAt
	if run.StartedAt.After(since) {
		since = run.StartedAt
	}
	if l.now.Sub(since) <= l.o.Stale {
		return "", false
	}
	quiet := "nothing has come of it since " + since.UTC().Format(time.RFC3339)
	switch {
	case run.TaskAttempts > 0:
		if l.now.Sub(run.TaskSince) <= l.o.Stale {
			return "", false
		}
		return quiet + "; no worker takes its workflow task", false
	case run.Activities > 0, s.Attention.Open:
		return "", false
	case !s.Opened():
		return quiet + "; it has not recorded anything", false
	case s.Ended:
		return quiet + "; it has ended and its run does not close", false
	}
	next := order.Next(s, order.Facts{}, l.now, l.cfg.Timing)
	if next.Kind == order.Wait || next.Step == order.StepReserve && l.now.Sub(since) <= l.cfg.Timing.Reserve {
		// A run that waits for stock that others hold for now waits, too, and the log does not say so.
		return "", false
	}
	return quiet + "; what is to be done is: " + string(next.Kind) + " " + string(next.Step), false
}

// unrecorded looks for orders that Temporal alone knows.
func (l *look) unrecorded(ctx context.Context) error {
	if l.streams != nil {
		for stream := range l.streams {
			if id, ok := event.OrderIDOf(stream); ok {
				if err := l.unrecordedOrder(ctx, id); err != nil {
					return err
				}
			}
		}
		return nil
	}
	// Runs that have completed count too: their events are gone if the log was restored from an older backup.
	var completedSince time.Time
	if l.o.Since > 0 {
		completedSince = l.now.Add(-l.o.Since)
	}
	for id, err := range l.cfg.Sagas.Orders(ctx, completedSince) {
		if err != nil {
			return err
		}
		l.work.Go(func() error { return l.unrecordedOrder(ctx, id) })
	}
	return nil
}

func (l *look) unrecordedOrder(ctx context.Context, orderID string) error {
	stream := event.OrderStream(orderID)
	l.need(OrderUnrecorded, stream, 0, stream)
	// Two, because the first one alone may be remembered by this process, and the server may have lost it.
	records, err := l.cfg.Log.Read(ctx, stream, 0, 2)
	if err == nil && len(records) == 0 {
		// What is not there leads to a new run, which ends the one that is there.
		records, err = eventlog.ReadCertain(ctx, l.cfg.Log, stream, 0, 2)
	}
	if len(records) > 0 || damaged(err) {
		return nil
	}
	if err != nil {
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
		l.found(OrderUnrecorded, orderID, stream, 0, "its newest run is %s, and the log has no event of it", run.Status)
	}
	return nil
}

// unrecordedRun looks at an open run of an order without events. A run records before it does anything else: one that has got
// on without has lost what it recorded.
func (l *look) unrecordedRun(orderID, stream string, run Run) {
	why, failing := l.stalled(order.State{}, run)
	switch {
	case failing:
		l.found(WorkflowFailing, orderID, stream, 0, "%s", why)
	case run.TaskAttempts > 0:
		if why != "" {
			l.found(OrderStalled, orderID, stream, 0, "%s", why)
		}
	case l.now.Sub(run.StartedAt) > l.o.Stale:
		l.found(OrderUnrecorded, orderID, stream, 0, "its run has been open since %s, and the log has no event of it",
			run.StartedAt.UTC().Format(time.RFC3339))
	}
}
