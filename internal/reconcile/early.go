package reconcile

import (
	"context"
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/late"
	"github.com/ordersaga/ordersaga/internal/order"
)

// earlyState is what a stream of early cancellations tells.
type earlyState struct {
	kept    []order.Cancellation
	version int64
	// newest is when the newest of them came.
	newest time.Time
}

// Fold implements folder.
func (s earlyState) Fold(records []event.Record) (earlyState, error) {
	more, err := order.EarlyCancellations(records)
	if err != nil {
		return s, err
	}
	s.kept = append(slices.Clone(s.kept), more...)
	for _, r := range records {
		s.version, s.newest = r.Version, r.Time
	}
	return s, nil
}

// earlyVisitor checks that an order was cancelled by what came before it, or has answered it.
func (l *look) earlyVisitor(id, stream string) visitor {
	return &sagaVisitor[earlyState]{chain: l.chain(stream), judge: func(ctx context.Context, s earlyState) error {
		if l.now.Sub(s.newest) <= l.o.Stale {
			// Its event may still be on its way.
			return nil
		}
		return l.unanswered(ctx, id, stream, s)
	}}
}

func (l *look) unanswered(ctx context.Context, id, stream string, s earlyState) error {
	of := event.OrderStream(id)
	l.need(CancellationUnanswered, stream, s.version, of)
	state, opened, err := l.orderOf(ctx, of)
	if err != nil || !opened || state.Cancelled() {
		return err
	}
	verdicts, err := l.cfg.Log.Read(ctx, event.LateStream(id), 0, 0)
	if err != nil {
		if damaged(err) {
			return nil
		}
		return err
	}
	answered := func(c order.Cancellation) bool {
		v := late.Verdict{Type: event.OrderCancellationRequested, Identity: c.Identity(id)}
		return state.Caused(v.Identity) || state.CancelRefused ||
			slices.ContainsFunc(verdicts, func(r event.Record) bool { return r.CausationID == c.Cause && v.Of(r) })
	}
	// Once one of them is refused, the others are answered without an event.
	if !slices.ContainsFunc(s.kept, answered) {
		l.found(CancellationUnanswered, id, stream, s.version, "%d of them came before the order, which is %s", len(s.kept), state.Status)
	}
	return nil
}
