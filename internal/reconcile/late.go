package reconcile

import (
	"context"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
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
