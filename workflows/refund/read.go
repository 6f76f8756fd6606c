package refund

import (
	"context"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/refunds"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Outcome is what a refund came to, for people and programs.
type Outcome string

// The outcomes.
const (
	Accepted       Outcome = "accepted"
	Refunded       Outcome = "refunded"
	Refused        Outcome = "refused"
	NeedsAttention Outcome = "needs_attention"
)

// Outcome is refunded only after the gateway, or a person, has said so.
func (s *State) Outcome() Outcome {
	switch {
	case s.Status == saga.NeedsAttention:
		return NeedsAttention
	case s.Counts():
		return Refunded
	case s.Ended:
		return Refused
	}
	return Accepted
}

// Counts reports whether the amount is refunded: by the gateway, or by other means.
func (s *State) Counts() bool {
	hand, byHand := s.Settled(StepRefund, false)
	return s.Paid || byHand && hand.Action == saga.Substitute
}

// Reader reads refunds.
type Reader struct{ Log event.StreamReader }

// Load folds a refund; it is not opened if the log has none. Errors: those of the log and of Fold.
func (r Reader) Load(ctx context.Context, id string) (State, error) {
	return event.FoldPages(ctx, r.Log, key(id), 0, State{}, Flow.Fold)
}

// Price is what a request would come to for an order as it is. The error is a Refusal, or one of the log.
func (r Reader) Price(ctx context.Context, request Request, of *order.State) (amount int64, lines []refunds.Line, err error) {
	ledger, err := refunds.Load(ctx, r.Log, request.OrderID)
	if err != nil {
		return 0, nil, err
	}
	return quote{request, of}.price(ledger)
}

// Refundable is what can still be refunded of an order, in minor units.
func Refundable(l refunds.Ledger, of *order.State) int64 {
	total, err := quote{order: of}.total()
	if err != nil || l.Disputed() {
		return 0
	}
	return l.Left(refunds.Captured, total)
}

// Amount is what the refunds in the ledger of an order have refunded, in minor units. Errors: those of the log and of Fold.
func (r Reader) Amount(ctx context.Context, ledger refunds.Ledger) (amount int64, err error) {
	for _, key := range ledger.Keys {
		id, ok := Flow.IDOf(key)
		reservation := ledger.ByKey[key]
		switch {
		case !ok || reservation.Released:
		case reservation.Refunded:
			amount += reservation.Amount
		default:
			// It is under way, or was refunded by other means.
			s, err := r.Load(ctx, id)
			if err != nil {
				return 0, err
			}
			if s.Counts() {
				amount += reservation.Amount
			}
		}
	}
	return amount, nil
}
