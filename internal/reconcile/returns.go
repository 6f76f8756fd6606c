package reconcile

import (
	"context"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/refunds"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/refund"
	"github.com/ordersaga/ordersaga/workflows/returns"
)

// returned checks a return against the refund ledger, the order, its refund and the stock ledger: what came back is held, what did not is free, no
// more is returned than was delivered, and what it says of refund and stock has happened.
func (u *flowUnit) returned(ctx context.Context) error {
	s, unreadable := returns.Flow.Fold(returns.State{}, u.records)
	if unreadable != nil {
		return nil //nolint:nilerr // found by the views
	}
	of := s.Request.OrderID
	records, ok, err := u.read(ctx, event.RefundsStream(of))
	if !ok {
		return err
	}
	ledger, unreadable := refunds.Fold(records)
	if unreadable != nil {
		return nil //nolint:nilerr // found where it is walked
	}
	held := ledger.Returns[u.stream]
	for _, line := range s.Lines {
		switch n := held.Quantity(line.Line); {
		case s.Has(returns.StepAccount) && (!held.Settled || n != line.Received):
			u.found(StockOutcome, s.Head.Version, "%d of line %d came back, and the refund ledger of order %s has %d", line.Received, line.Line, of, n)
		case s.Ended && s.Outcome() != returns.Completed && n > 0:
			u.found(StockOutcome, s.Head.Version, "it has ended as %s, and holds %d of line %d of order %s", s.Outcome(), n, line.Line, of)
		}
	}
	if err := u.delivered(ctx, s, ledger); err != nil {
		return err
	}
	if s.Amount > 0 {
		made, ok, err := u.refundOf(ctx, s.RefundID)
		switch {
		case err != nil:
			return err
		case ok && (!made.Counts() || made.Amount != s.Amount || made.Request.ReturnID != u.id):
			u.found(PaymentContradiction, s.Head.Version, "it says that %d are refunded, and refund %s is %s with %d", s.Amount, s.RefundID, made.Outcome(), made.Amount)
		}
	}
	return u.restocked(ctx, event.ReturnRestocked, of, refund.ForReturn(u.id))
}

// delivered checks that the returns of an order hold no more of a line of this one than was delivered.
func (u *flowUnit) delivered(ctx context.Context, s returns.State, ledger refunds.Ledger) error {
	records, ok, err := u.read(ctx, event.OrderStream(s.Request.OrderID))
	if !ok || len(records) == 0 {
		return err
	}
	of, unreadable := order.Fold(records)
	if unreadable != nil {
		return nil //nolint:nilerr // found where it is walked
	}
	delivered := returns.Delivered(&of)
	for _, line := range s.Lines {
		n := int64(0)
		for _, r := range ledger.Returns {
			n += r.Quantity(line.Line)
		}
		if line.Line > len(delivered) || n > delivered[line.Line-1] {
			u.found(StockOutcome, s.Head.Version, "returns have %d of line %d of order %s, which is more than was delivered", n, line.Line, of.Order.ID)
		}
	}
	return nil
}
