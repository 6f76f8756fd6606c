package reconcile

import (
	"context"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/late"
	"github.com/ordersaga/ordersaga/internal/order"
)

// lateVisitor folds what came after an order had ended.
type lateVisitor struct {
	sagaVisitor[late.State]
	id string
}

// lateVisitor asks about the order, and about the saga that settles what is open.
func (l *look) lateVisitor(id, stream string) visitor {
	v := &lateVisitor{id: id}
	v.chain, v.judge = l.chain(stream), func(ctx context.Context, _ late.State) error {
		if err := v.founded(ctx); err != nil {
			return err
		}
		return v.settles(ctx)
	}
	return v
}

// says is a finding about the order as far as the late stream knows it.
func (v *lateVisitor) says(k Kind, format string, args ...any) {
	v.look.found(k, v.id, v.stream, v.state.Head.Version, format, args...)
}

// founded checks that the order has ended.
func (v *lateVisitor) founded(ctx context.Context) error {
	stream := event.OrderStream(v.id)
	v.look.need(LateUnfounded, v.stream, v.state.Head.Version, stream)
	records, err := v.look.cfg.Log.Read(ctx, stream, 0, 0)
	if damaged(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(records) == 0 {
		v.says(LateUnfounded, "the log has no such order")
		return nil
	}
	if s, err := order.Fold(records); err == nil && !s.Ended {
		v.says(LateUnfounded, "the order is %s at version %d", s.Status, s.Head.Version)
	}
	return nil
}

// settles checks that somebody settles what is open.
func (v *lateVisitor) settles(ctx context.Context) error {
	if !v.state.Open() {
		return nil
	}
	run, err := v.look.cfg.Sagas.InspectLate(ctx, v.id)
	switch {
	case err != nil:
		return err
	case run.Found && run.Running:
		v.progress(run)
	case !run.Found:
		v.says(LateUnsettled, "it is %s, and Temporal has no saga of what came later", v.state.Status)
	default:
		v.says(LateUnsettled, "it is %s, and the newest saga of what came later is %s", v.state.Status, run.Status)
	}
	return nil
}

// progress looks for a run that is there and comes to nothing.
func (v *lateVisitor) progress(run Run) {
	l, s := v.look, v.state
	if s.Attention.Open && l.now.Sub(s.Attention.Since) > attentionForLong {
		v.says(AttentionForLong, "%s since %s", s.Attention.Step, s.Attention.Since.UTC().Format(time.RFC3339))
	}
	since := s.UpdatedAt
	if run.StartedAt.After(since) {
		since = run.StartedAt
	}
	switch {
	case run.TaskAttempts >= failingAttempts:
		v.says(WorkflowFailing, "the workflow task of what came later has failed %d times in a row", run.TaskAttempts-1)
	case s.Attention.Open, run.Activities > 0, l.now.Sub(since) <= l.o.Stale:
	case run.TaskAttempts > 0 && l.now.Sub(run.TaskSince) <= l.o.Stale:
	default:
		v.says(OrderStalled, "nothing has come of the saga of what came later since %s", since.UTC().Format(time.RFC3339))
	}
}

// lateMoney explains money that an ended order has cost too much by what came late: it is about to be given back, or an
// operator decided about it. Why is empty when neither is so.
func (l *look) lateMoney(ctx context.Context, u *unit, surplus int64) (open bool, why string, err error) {
	stream := event.LateStream(u.id)
	l.need(MoneyWrong, u.stream, u.records[len(u.records)-1].Version, stream)
	records, err := l.cfg.Log.Read(ctx, stream, 0, 0)
	if damaged(err) {
		return true, "", nil
	}
	if err != nil {
		return false, "", err
	}
	s, ok := foldLate(records)
	if !ok || s.Unsettled() {
		// What does not fold is found where it is walked.
		return true, "", nil
	}
	for _, p := range s.Payments {
		switch {
		case p.ByHand == "":
		case p.Amount > 0:
			surplus -= p.Amount
		default:
			// Nobody asked the gateway: it was taken for settled, whatever it was.
			surplus = 0
		}
		if p.ByHand != "" {
			why = "giving back what came late"
		}
	}
	if surplus > 0 {
		why = ""
	}
	return false, why, nil
}

// foldLate reports whether the stream folds.
func foldLate(records []event.Record) (late.State, bool) {
	s, err := late.State{}.Fold(records)
	return s, err == nil
}
