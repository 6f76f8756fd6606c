package reconcile

import (
	"context"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/order"
	"github.com/ordersaga/ordersaga/internal/refunds"
)

// refundsVisitor adds up the refund ledger of one payment.
type refundsVisitor struct {
	*chain
	reference string
	records   []event.Record
}

func (v *refundsVisitor) record(r event.Record, damaged error) {
	if v.follows(r, damaged) {
		v.records = append(v.records, r)
	}
}

// end checks that no source has more reserved than there was.
func (v *refundsVisitor) end(context.Context) error {
	if v.broken || len(v.records) == 0 {
		return nil
	}
	newest := v.records[len(v.records)-1].Version
	ledger, err := refunds.Fold(v.records)
	if err != nil {
		v.found(StreamFold, newest, "%v", err)
		return nil
	}
	for _, source := range []refunds.Source{refunds.Captured, refunds.Arrived} {
		if reserved, limit := ledger.Reserved[source], ledger.Limits[source]; reserved > limit {
			v.look.found(PaymentContradiction, v.reference, v.stream, newest, "refunds of %d are reserved of %d that were %s", reserved, limit, source)
		}
	}
	return nil
}

// reserved checks that what was given back while an order was undone had been reserved.
func (l *look) reserved(ctx context.Context, u *unit) error {
	if !u.state.Refunded {
		return nil
	}
	stream := event.RefundsStream(u.id)
	l.need(PaymentContradiction, u.stream, u.records[len(u.records)-1].Version, stream)
	records, err := l.cfg.Log.Read(ctx, stream, 0, 0)
	if damaged(err) {
		return nil
	}
	if err != nil {
		return err
	}
	undo := order.UndoSlot(order.StepAuthorize)
	ledger, err := refunds.Fold(records)
	if _, known := ledger.ByKey[undo]; err == nil && !known {
		u.found(PaymentContradiction, "captured money was refunded that the refund ledger does not reserve for %s", undo)
	}
	return nil
}
