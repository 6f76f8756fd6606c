package reconcile

import (
	"context"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/refunds"
	"github.com/ordersaga/ordersaga/workflows/refund"
)

// refundedMoney is what an order must have cost after its refunds, which net is compared with. A refund that is under way, or that a person has
// decided about, may have been made: byHand reports that only such a decision explains net.
func (u *unit) refundedMoney(ctx context.Context, want, net int64) (after int64, byHand bool, err error) {
	stream := event.RefundsStream(u.id)
	u.needs(MoneyWrong, u.head.Version, stream)
	records, ok, err := u.read(ctx, stream)
	if !ok {
		return want, false, err
	}
	ledger, unreadable := refunds.Fold(records)
	if unreadable != nil {
		return want, false, nil //nolint:nilerr // found where it is walked
	}
	// open may have been made, decided was not to be.
	open, decided := int64(0), int64(0)
	for _, key := range ledger.Keys {
		id, ofSaga := refund.Flow.IDOf(key)
		r := ledger.ByKey[key]
		switch {
		case !ofSaga:
		case r.Refunded:
			want -= r.Amount
		case !r.Released:
			open += r.Amount
		default:
			s, ok, err := u.refundOf(ctx, id)
			if err != nil {
				return want, false, err
			}
			if ok && s.Saga.Reason == refund.ReasonSkipped {
				decided += r.Amount
			}
		}
	}
	switch {
	case net < want && net >= want-open:
		return net, false, nil
	case net < want && net >= want-open-decided:
		return want, true, nil
	}
	return want, false, nil
}

// refundOf reads and folds a refund. ok is false when it is damaged or does not fold.
func (l *look) refundOf(ctx context.Context, id string) (s refund.State, ok bool, err error) {
	records, ok, err := l.read(ctx, refund.Flow.StreamOf(id))
	if !ok {
		return s, false, err
	}
	s, err = refund.Flow.Fold(s, records)
	return s, err == nil, nil
}

// refund checks a refund against the refund ledger, the books of the simulator and the stock ledger: what it has refunded was reserved, and refunded
// once with its key; what it has not refunded holds nothing; and what it has restocked is in stock.
func (u *flowUnit) refund(ctx context.Context) error {
	s, unreadable := refund.Flow.Fold(refund.State{}, u.records)
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
	r := ledger.ByKey[u.stream]
	if s.Paid && (!r.Refunded || r.Amount != s.Amount) {
		u.found(PaymentContradiction, s.Head.Version, "it has refunded %d, and the refund ledger of order %s has %d for it", s.Amount, of, r.Amount)
	}
	if s.Ended && !s.Counts() && r.Amount > 0 && !r.Released {
		u.found(PaymentContradiction, s.Head.Version, "it has ended as %s, and holds %d in the refund ledger of order %s", s.Status, r.Amount, of)
	}
	if s.Paid {
		if err := u.paidBack(ctx, s); err != nil {
			return err
		}
	}
	return u.restocked(ctx, event.RefundRestocked, of, u.id)
}

// paidBack checks that the simulator, where it has books of the order, has made the refund, with its key.
func (u *flowUnit) paidBack(ctx context.Context, s refund.State) error {
	of := s.Request.OrderID
	slot := "refund/" + event.Key(of, u.stream)
	books, err := u.cfg.Log.FindAll(ctx, event.PaymentStream(of), []string{"authorize", slot})
	if damaged(err) || err != nil || books["authorize"].Version == 0 {
		if damaged(err) {
			err = nil
		}
		return err
	}
	d, err := event.Decode[struct{ Amount int64 }](books[slot].Event)
	if books[slot].Type != event.ChargeRefunded || err != nil || d.Amount != s.Amount {
		u.found(PaymentContradiction, s.Head.Version, "it has refunded %d, and the gateway has not, with its key", s.Amount)
	}
	return nil
}

// restocked checks that goods that events of a type have put into stock are in the stock ledger, in the slot of an ID of the order.
func (u *flowUnit) restocked(ctx context.Context, eventType, orderID, id string) error {
	for _, r := range u.records {
		if r.Type != eventType {
			continue
		}
		d, unreadable := event.Decode[struct {
			Lines []struct {
				SKU      string
				Quantity int64
			}
		}](r.Event)
		if unreadable != nil {
			return nil //nolint:nilerr // found by the fold
		}
		for _, line := range d.Lines {
			slot := event.Escape(orderID) + "/return/" + event.Escape(id)
			reserve := event.Escape(orderID) + "/reserve"
			found, err := u.cfg.Log.FindAll(ctx, event.StockStream(line.SKU), []string{slot, reserve})
			if damaged(err) {
				continue
			}
			if err != nil {
				return err
			}
			if u.cfg.Warehouse != nil && found[reserve].Version == 0 {
				continue // the inventory service has the stock of the order
			}
			if m, err := event.Decode[movement](found[slot].Event); found[slot].Type != event.StockReturned || err != nil || m.Quantity != line.Quantity {
				u.found(StockOutcome, r.Version, "it has restocked %d of sku %s, and the stock ledger has not", line.Quantity, line.SKU)
			}
		}
	}
	return nil
}
