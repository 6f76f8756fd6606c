package latepayment

import (
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// The situations in which an operator is asked to look.
const (
	// LookupStuck: the gateway does not say whether money has arrived.
	LookupStuck order.Situation = "it is not known whether money came after the order had ended"
	// RefundStuck: the gateway does not give it back.
	RefundStuck order.Situation = "giving back money that came after the order had ended is stuck"
	// GoodsLeft: only people can find them.
	GoodsLeft order.Situation = "the goods were dispatched and the order had ended without them"
)

// Allowed is the table of what may be decided when.
var Allowed = map[order.Situation][]order.ResolutionAction{
	LookupStuck: {order.Retry, order.Skip, order.Substitute},
	RefundStuck: {order.Retry, order.Skip, order.Substitute},
	GoodsLeft:   {order.Skip, order.Substitute},
}

// Situation returns what an operator is asked to look at, "" when nothing is open.
func (s State) Situation() order.Situation {
	switch {
	case !s.Attention.Open || s.settled():
		return ""
	case s.Attention.Step == StepJudge:
		return LookupStuck
	case s.Attention.Step == StepRefund:
		return RefundStuck
	}
	return GoodsLeft
}

// Actions lists what may be decided about what is open; nil when nothing is.
func (s State) Actions() []order.ResolutionAction { return Allowed[s.Situation()] }

// WhyNotResolvable says for people why a decision does not fit, or "" when it does.
func (s State) WhyNotResolvable(r order.Resolution) string {
	situation := s.Situation()
	if situation == "" {
		return "nothing is stuck: the order has ended, and what came after that is settled or on its way"
	}
	return r.WhyNotIn(situation, Allowed[situation], s.Attention.Count)
}

// Decided returns the first decision that fits and is not recorded yet.
func (s State) Decided(f Facts) (order.Resolution, bool) {
	for _, r := range f.Resolutions {
		if !s.Recorded(r.ID) && s.WhyNotResolvable(r) == "" {
			return r, true
		}
	}
	return order.Resolution{}, false
}

// resolution writes a decision down, under the slot of what it settles: a late success of the step cannot be recorded
// any more.
func (s State) resolution(r order.Resolution, at time.Time) event.Entry {
	slot := SlotGoods
	switch {
	case r.Action == order.Retry:
		slot = saga.RetrySlot(s.Attention)
	case s.Attention.Step == StepJudge:
		slot = slotJudge + s.About
	case s.Attention.Step == StepRefund:
		slot = slotRefund + s.About
	}
	return s.entry(slot, r.EventType("order"), at, saga.Object("orderId", s.OrderID, r.Data(s.Attention)))
}
