// Package latepayment handles late events of orders: their records and consequences (late.go), how
// they are written (record.go), and the saga that handles them (flow.go).
//
// An order's stream is closed by its terminal event, so late events are recorded in a separate stream, late-<orderId>. Every late event
// is recorded there with event.late. Two kinds have consequences: money that was paid, which is looked up and refunded,
// and goods that were dispatched although the order did not complete, which need attention.
//
// Only the step functions and the recorder do I/O, read a clock or make random IDs.
package latepayment

import (
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Slots of the stream. A late event is stored under the ID of its event; the outcome of a step about a payment in <step>/<id>.
const (
	slotJudge  = StepJudge + "/"
	slotRefund = StepRefund + "/"
	SlotGoods  = "goods"
)

// LateRecord is the data of event.late, the record of a late event.
type LateRecord struct {
	// ID is the slot, made from the source and the id of the late event; see Slots. It is not part of the data.
	ID      string `json:"-"`
	OrderID string `json:"orderId"`
	// EventID and Type name the late event.
	EventID string `json:"eventId"`
	Type    string `json:"type"`
	// Identity names the late event by its source, type, subject, id and content. Verdicts that were written before there was
	// one do not have it.
	Identity string `json:"identity,omitempty"`
	// Status is the final status of the order.
	Status saga.Status `json:"status"`
	// Handled reports that an operator had resolved the dispatch before the order ended.
	Handled bool `json:"handled,omitempty"`
	// Detail is for people.
	Detail string `json:"detail"`
}

// Consequential reports whether the late event has consequences: then the saga must be started.
func (v LateRecord) Consequential() bool { return v.money() || v.goods() }

// money reports whether the event says that money was paid.
func (v LateRecord) money() bool { return v.Type == event.PaymentSucceeded }

// goods reports whether the event says that goods were dispatched although the order did not complete.
func (v LateRecord) goods() bool {
	switch v.Type {
	case event.ShipmentDispatched, event.ShipmentDelivered, event.ShipmentLost:
		return v.Status != saga.Completed && !v.Handled
	}
	return false
}

// Slots are the slots that the record may take: ID, and another one when a different event with the same source and ID has
// taken that. Older versions used only ID, so an event that they recorded is not recorded a second time.
func (v LateRecord) Slots() []string {
	second := v.Identity
	if second == "" {
		second = event.DerivedID("late", v.Type, v.ID)
	}
	return []string{v.ID, second}
}

// Of reports whether the record is about the same event. The slot says which source and ID the event has, the stream
// says its subject, and the data has its type; only the content is unknown for a record without identity.
func (v LateRecord) Of(r event.Record) bool {
	stored, err := event.Decode[LateRecord](r.Event)
	if err != nil || r.Type != event.EventLate {
		return false
	}
	if stored.Identity != "" && v.Identity != "" {
		return stored.Identity == v.Identity
	}
	return stored.Type == v.Type
}

// Entry makes the event.late, in the slot ID.
func (v LateRecord) Entry(correlationID string, at time.Time) event.Entry {
	v.Detail = "the order had ended; the event changed nothing"
	switch {
	case v.money():
		v.Detail = "the order had ended; money that arrived is refunded"
	case v.goods():
		v.Detail = "the order had ended; an operator must decide about the goods"
	}
	return event.New(event.LateStream(v.OrderID), v.ID, event.EventLate, v.OrderID, at, v).CausedBy(correlationID, v.EventID)
}

// Money is the data of payment.arrived_late, payment.nothing_arrived and payment.refunded.
type Money struct {
	OrderID string `json:"orderId,omitempty"`
	// EventID names the late event.
	EventID   string `json:"eventId"`
	PaymentID string `json:"paymentId,omitempty"`
	// Amount is in minor units of Currency.
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

// LatePayment is a late payment.
type LatePayment struct {
	// ID is the slot of the event.late, Cause the ID of the late event.
	ID    string `json:"id"`
	Cause string `json:"cause"`
	// Decided reports that the gateway was asked; Amount is what had arrived, and Refunded that it was refunded.
	Decided   bool   `json:"judged,omitempty"`
	Amount    int64  `json:"amount,omitempty"`
	PaymentID string `json:"paymentId,omitempty"`
	Refunded  bool   `json:"refunded,omitempty"`
	// ByHand is the decision of an operator that replaces the gateway's answer; empty without one.
	ByHand saga.ResolutionAction `json:"byHand,omitempty"`
}

// open reports whether the payment is not settled.
func (m LatePayment) open() bool { return !m.Decided || m.Amount > 0 && !m.Refunded }

// step is the next action for a payment that is open.
func (m LatePayment) step() string {
	if !m.Decided {
		return StepJudge
	}
	return StepRefund
}

// State is the state of a late stream, computed by Fold.
type State struct {
	saga.Saga
	OrderID string `json:"orderId"`
	// OrderStatus is the final status of the order.
	OrderStatus saga.Status `json:"orderStatus,omitempty"`
	// Payments are the late payments, oldest first; in a bounded state the open ones, see Bounded.
	Payments []LatePayment `json:"payments,omitempty"`
	// Settled sums up the payments that a bounded state has left out because they are settled. More reports that it has left
	// out open ones, too: they are in the log.
	Settled Settled `json:"settled,omitzero"`
	More    bool    `json:"more,omitempty"`
	// Goods reports that goods were dispatched; GoodsSettled that an operator has resolved it.
	Goods        bool `json:"goods,omitempty"`
	GoodsSettled bool `json:"goodsSettled,omitempty"`
	// HowDecided is how the newest decision settled what is open, for people; empty when none did.
	HowDecided string `json:"howDecided,omitempty"`
}

// Fold returns the state that records make of s; see saga.Flow.Fold.
func (s State) Fold(records []event.Record) (State, error) { return Flow.Fold(s, records) }

func clone(s *State) { s.Payments = slices.Clone(s.Payments) }

// own folds what only the events of a late stream say.
func own(s *State, r event.Record) error {
	s.OrderID = r.Subject
	switch r.Type {
	case event.EventLate:
		return event.DecodeInto(r.Event, func(v LateRecord) {
			s.OrderStatus, s.Flow = v.Status, v.Status
			if v.money() && !s.More {
				s.Payments = append(s.Payments, LatePayment{ID: r.Key, Cause: v.EventID})
			}
			s.Goods = s.Goods || v.goods()
		})
	case event.PaymentArrivedLate, event.PaymentNothingArrived:
		return event.DecodeInto(r.Event, func(m Money) {
			s.payment(slotJudge, r.Key, func(p *LatePayment) { p.Decided, p.Amount, p.PaymentID = true, m.Amount, m.PaymentID })
		})
	case event.PaymentRefunded:
		s.payment(slotRefund, r.Key, func(p *LatePayment) { p.Refunded = true })
	case event.OrderNeedsAttention:
		s.HowDecided = ""
	case event.OrderStepSkipped, event.OrderStepSubstituted:
		return event.DecodeInto(r.Event, func(d saga.ResolutionData) { s.decided(r, d) })
	}
	return nil
}

// decided folds an operator's decision: it is stored under the slot of what it settles.
func (s *State) decided(r event.Record, d saga.ResolutionData) {
	s.HowDecided = string(d.Action) + " by hand"
	if d.By != "" {
		s.HowDecided += " by " + d.By
	}
	if r.Key == SlotGoods {
		s.GoodsSettled = true
	}
	s.payment(slotJudge, r.Key, func(p *LatePayment) { p.Decided, p.ByHand = true, d.Action })
	s.payment(slotRefund, r.Key, func(p *LatePayment) { p.Refunded, p.ByHand = true, d.Action })
}

// payment changes the payment that a key is about.
func (s *State) payment(prefix, key string, change func(*LatePayment)) {
	for i := range s.Payments {
		if prefix+s.Payments[i].ID == key {
			change(&s.Payments[i])
		}
	}
}

// Arrived is how much money has arrived in all, as far as the gateway was asked.
func (s State) Arrived() int64 {
	total := s.Settled.Arrived
	for _, p := range s.Payments {
		total += p.Amount
	}
	return total
}

// MaxPayments bounds the open payments of a bounded state.
const MaxPayments = 200

// Settled sums up payments that are settled.
type Settled struct {
	Count int `json:"count,omitempty"`
	// Arrived is how much money has arrived with them, as far as the gateway was asked.
	Arrived int64 `json:"arrived,omitempty"`
	// Amount is what operators have refunded by other means, Unknown the number of those payments for whose amount
	// the gateway was not asked.
	Amount  int64 `json:"amount,omitempty"`
	Unknown int   `json:"unknown,omitempty"`
}

// Bounded returns the state without the payments that are settled, and with at most MaxPayments of those that are open: what a
// run keeps and its activities get does not grow with the number of late events. It is folded further like any other. When
// it has no open payment left and More is set, the stream must be folded again.
func (s State) Bounded() State {
	var kept []LatePayment
	for _, p := range s.Payments {
		switch {
		case !p.open():
			s.Settled.Count++
			s.Settled.Arrived += p.Amount
			switch {
			case p.ByHand == "":
			case p.Amount > 0:
				s.Settled.Amount += p.Amount
			case p.ByHand == saga.Substitute:
				s.Settled.Unknown++
			}
		case len(kept) < MaxPayments:
			kept = append(kept, p)
		default:
			s.More = true
		}
	}
	s.Payments = kept
	return s
}

// Exhausted reports whether a bounded state must be folded again from the log before it is known what is next.
func (s State) Exhausted() bool {
	_, open := s.open()
	return s.More && !open
}

// Due is the amount to refund of the money that the gateway reports. What an operator has resolved is not
// refunded a second time: the gateway does not know about it. Total is the assumed amount of a payment for which
// the gateway was not asked.
func (s State) Due(arrived, total int64) int64 {
	arrived -= s.Settled.Amount + int64(s.Settled.Unknown)*total
	for _, p := range s.Payments {
		switch {
		case p.ByHand == "":
		case p.Amount > 0:
			arrived -= p.Amount
		case p.ByHand == saga.Substitute:
			arrived -= total
		}
	}
	return max(arrived, 0)
}

// Payment returns the payment of an item.
func (s State) Payment(id string) LatePayment {
	for _, p := range s.Payments {
		if p.ID == id {
			return p
		}
	}
	return LatePayment{}
}

// Open reports whether something is left to be settled.
func (s State) Open() bool { return s.Unsettled() || s.goodsOpen() || s.Attention.Open }

// Unsettled reports whether a payment is left to be looked up or refunded.
func (s State) Unsettled() bool {
	_, open := s.open()
	return open || s.More
}

// open returns the oldest payment that is not settled.
func (s State) open() (LatePayment, bool) {
	for _, p := range s.Payments {
		if p.open() {
			return p, true
		}
	}
	return LatePayment{}, false
}

func (s State) goodsOpen() bool { return s.Goods && !s.GoodsSettled }
