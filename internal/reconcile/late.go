package reconcile

import (
	"bytes"
	"context"
	"maps"
	"slices"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

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

// lostLate names what an ended order was told and from which something would follow, if it is not recorded as a late event.
func (l *look) lostLate(ctx context.Context, records []event.Record, facts saga.Facts) (string, error) {
	s, err := order.Fold(records)
	if err != nil || s.Decision == saga.GoForward {
		return "", err
	}
	var causes []string // of records of older versions, which do not say which event of the bus caused them
	for _, r := range records {
		if order.NamesCause(r.Type) && !bytes.Contains(r.Data, []byte(`"eventIdentity"`)) {
			causes = append(causes, r.CausationID)
		}
	}
	for _, fact := range facts.Received {
		v := latepayment.LateRecord{ID: fact.ID, Type: fact.Type, Identity: fact.Identity, Status: s.Status, Handled: s.DispatchedAfterCancel()}
		if fact.Cause == "" || slices.Contains(causes, fact.Cause) || s.Caused(fact.Identity) || !v.Consequential() {
			continue
		}
		standing, err := l.cfg.Log.FindAll(ctx, event.LateStream(s.Order.ID), v.Slots())
		if err != nil {
			return "", err
		}
		if !slices.ContainsFunc(slices.Collect(maps.Values(standing)), v.Of) {
			return fact.Type, nil
		}
	}
	return "", nil
}
