package reconcile

import (
	"context"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
)

// late checks what came after an order had ended: that the order has, and that what is open is settled.
func (c *chain) late() {
	folds(c, latepayment.State{}, latepayment.State.Fold, func(ctx context.Context, s latepayment.State) error {
		version := s.Head.Version
		c.needs(LateUnfounded, version, event.OrderStream(c.id))
		of, records, ok, err := c.orderOf(ctx, c.id)
		switch {
		case err != nil:
			return err
		case ok && len(records) == 0:
			c.found(LateUnfounded, version, "the log has no such order")
		case ok && !of.Ended:
			c.found(LateUnfounded, version, "the order is %s at version %d", of.Status, of.Head.Version)
		}
		if !s.Open() {
			return nil
		}
		run, err := c.cfg.Sagas.InspectLate(ctx, c.id)
		switch {
		case err != nil:
			return err
		case run.Running:
			c.lateProgress(s, run)
		case !run.Found:
			c.found(LateUnsettled, version, "it is %s, and Temporal has no workflow for its late events", s.OrderStatus)
		default:
			c.found(LateUnsettled, version, "it is %s, and the newest run for its late events is %s", s.OrderStatus, run.Status)
		}
		return nil
	})
}

// lateProgress looks for a run that is there and comes to nothing.
func (c *chain) lateProgress(s latepayment.State, run Run) {
	if s.Attention.Open && c.now.Sub(s.Attention.Since) > attentionForLong {
		c.found(AttentionForLong, s.Head.Version, "%s since %s", s.Attention.Step, s.Attention.Since.UTC().Format(time.RFC3339))
	}
	since, stale := c.quiet(s.UpdatedAt, run)
	switch {
	case run.TaskAttempts >= failingAttempts:
		c.found(WorkflowFailing, s.Head.Version, "the workflow task for its late events has failed %d times in a row", run.TaskAttempts-1)
	case stale && !s.Attention.Open && run.Activities == 0:
		c.found(OrderStalled, s.Head.Version, "the saga for its late events has made no progress since %s", since)
	}
}

// lateMoney explains money that an ended order has cost too much by late events: it is about to be refunded, or an
// operator decided about it. Why is empty when neither is so.
func (u *unit) lateMoney(ctx context.Context, surplus int64) (open bool, why string, err error) {
	u.needs(MoneyWrong, u.head.Version, event.LateStream(u.id))
	records, ok, err := u.read(ctx, event.LateStream(u.id))
	if err != nil {
		return false, "", err
	}
	s, err := latepayment.State{}.Fold(records)
	readable := err == nil
	if !ok || !readable || s.Unsettled() {
		// What is damaged or does not fold is found where it is walked.
		return true, "", nil
	}
	for _, p := range s.Payments {
		if p.ByHand == "" {
			continue
		}
		why = "the refund of a late payment"
		if surplus -= p.Amount; p.Amount <= 0 {
			// The gateway was not asked: it was taken for settled, whatever it was.
			surplus = 0
		}
	}
	if surplus > 0 {
		why = ""
	}
	return false, why, nil
}
