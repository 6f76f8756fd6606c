package reconcile

import (
	"context"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/order"
)

// deadUnfinished is how long a replay or a retry of a dead letter may take before it was broken off.
const deadUnfinished = 5 * time.Minute

// deadVisitor looks for what was decided about a dead letter, begun and not finished.
func (l *look) deadVisitor(id, stream string) visitor {
	return &sagaVisitor[deadletter.State]{chain: l.chain(stream), judge: func(ctx context.Context, s deadletter.State) error {
		begun := s.Status == deadletter.StatusReplaying || s.Status == deadletter.StatusRetrying
		if begun && l.now.Sub(s.UpdatedAt) > deadUnfinished {
			l.found(DeadUnfinished, id, stream, s.Head.Version, "it is %s since %s", s.Status, s.UpdatedAt.UTC().Format(time.RFC3339))
		}
		if t, known := event.Find(s.Type); known && t.Fact && s.Status == deadletter.StatusOpen && l.now.Sub(s.UpdatedAt) > deadUnfinished {
			return l.undelivered(ctx, s, stream)
		}
		return nil
	}}
}

// undelivered checks that the order which a letter's fact is about is not known, or that the fact is there all the same: an
// order is cancelled by a cancellation that came before it.
func (l *look) undelivered(ctx context.Context, s deadletter.State, stream string) error {
	of := event.OrderStream(s.Subject)
	l.need(FactUndelivered, stream, s.Head.Version, of)
	state, opened, err := l.orderOf(ctx, of)
	if err != nil || !opened || s.Type == event.OrderCancellationRequested && state.Cancelled() {
		return err
	}
	l.found(FactUndelivered, s.ID, stream, s.Head.Version, "it is a %s about order %s, which is %s", s.Type, s.Subject, state.Status)
	return nil
}

// orderOf folds an order that something else is about. What is damaged is found where it is walked, and counts as not there.
func (l *look) orderOf(ctx context.Context, stream string) (s order.State, opened bool, err error) {
	records, err := l.cfg.Log.Read(ctx, stream, 0, 0)
	if damaged(err) {
		return s, false, nil
	}
	if err != nil {
		return s, false, err
	}
	s, err = order.Fold(records)
	return s, err == nil && s.Opened(), nil
}
