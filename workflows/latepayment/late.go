// Package latepayment is what becomes of events that come after their order has ended: verdicts (late.go), what follows from them, the
// decisions of the saga that settles it (next.go), its workflow (run.go) and its activities.
//
// An order's stream is closed by its terminal event, so there is a stream of its own, late-<orderId>. Every late event
// gets a verdict there. Two kinds of them have consequences: money that was paid, which is looked for and given back,
// and goods that left although the order did not complete, which only people can find.
//
// Nothing but the activities does I/O, reads a clock or makes a random ID.
package latepayment

import (
	"slices"
	"strconv"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Steps of the saga, in events and in the Temporal Web UI.
const (
	// StepJudge asks the gateway whether money has arrived.
	StepJudge order.Step = "judge"
	// StepRefund gives it back.
	StepRefund order.Step = "refund"
	// StepDispatch is what people do about goods that left.
	StepDispatch = order.StepDispatch
)

// Slots of the stream. Verdicts stand under the id of their event; these are prefixes of that id, SlotGoods is not.
const (
	slotJudge     = "judge/"
	slotRefund    = "refund/"
	SlotGoods     = "goods"
	slotAttention = "attention/"
	slotResolved  = "attention/resolved/"
)

// Verdict is the data of event.late.
type Verdict struct {
	// ID is the slot, made from the source and the id of the late event; see Slots. It is not part of the data.
	ID      string `json:"-"`
	OrderID string `json:"orderId"`
	// EventID and Type name the late event.
	EventID string `json:"eventId"`
	Type    string `json:"type"`
	// Identity names the late event by its source, type, subject, id and content. Verdicts that were written before there was
	// one do not have it.
	Identity string `json:"identity,omitempty"`
	// Status is what the order had ended as.
	Status order.Status `json:"status"`
	// Handled tells that goods which had left were looked after before the order ended.
	Handled bool `json:"handled,omitempty"`
	// Detail is for people.
	Detail string `json:"detail"`
}

// Consequential reports whether something follows from the late event: then somebody starts the saga.
func (v Verdict) Consequential() bool { return v.money() || v.goods() }

// money reports whether the event says that somebody has paid.
func (v Verdict) money() bool { return v.Type == event.PaymentSucceeded }

// goods reports whether the event says that goods have left although the order did not complete.
func (v Verdict) goods() bool {
	switch v.Type {
	case event.ShipmentDispatched, event.ShipmentDelivered, event.ShipmentLost:
		return v.Status != order.StatusCompleted && !v.Handled
	}
	return false
}

// Slots are the slots that a verdict may take: ID, and another one when a different event with the same source and id has
// taken that. ID was the only one once, so that an event which got its verdict then gets no second one now.
func (v Verdict) Slots() []string {
	second := v.Identity
	if second == "" {
		second = event.DerivedID("late", v.Type, v.ID)
	}
	return []string{v.ID, second}
}

// Of reports whether the record is a verdict on the same event. The slot says which source and id the event has, the stream
// says its subject, and the data has its type; only the content is not known of a verdict without identity.
func (v Verdict) Of(r event.Record) bool {
	stored, err := event.Decode[Verdict](r.Event)
	if err != nil || r.Type != event.EventLate {
		return false
	}
	if stored.Identity != "" && v.Identity != "" {
		return stored.Identity == v.Identity
	}
	return stored.Type == v.Type
}

// Entry writes the verdict down, in the slot ID.
func (v Verdict) Entry(correlationID string, at time.Time) event.Entry {
	v.Detail = "the order had ended; the event changed nothing"
	switch {
	case v.money():
		v.Detail = "the order had ended; money that arrived is given back"
	case v.goods():
		v.Detail = "the order had ended; somebody has to look after the goods"
	}
	return event.New(event.LateStream(v.OrderID), v.ID, event.EventLate, v.OrderID, at, v).CausedBy(correlationID, v.EventID)
}

// Money is the data of payment.arrived_late, payment.nothing_arrived and payment.refunded.
type Money struct {
	OrderID string `json:"orderId"`
	// EventID names the late event.
	EventID   string `json:"eventId"`
	PaymentID string `json:"paymentId,omitempty"`
	// Amount is in minor units of Currency.
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

// Matter is a payment that came late.
type Matter struct {
	// ID is the verdict's slot, Cause the id of the late event.
	ID    string `json:"id"`
	Cause string `json:"cause"`
	// Judged tells that the gateway was asked; Amount is what had arrived, and Refunded that it was given back.
	Judged    bool   `json:"judged,omitempty"`
	Amount    int64  `json:"amount,omitempty"`
	PaymentID string `json:"paymentId,omitempty"`
	Refunded  bool   `json:"refunded,omitempty"`
	// ByHand is what an operator decided instead of being told by the gateway; empty when nobody did.
	ByHand order.ResolutionAction `json:"byHand,omitempty"`
}

// open reports whether the payment is not settled.
func (m Matter) open() bool { return !m.Judged || m.Amount > 0 && !m.Refunded }

// step is what is to be done about a payment that is open.
func (m Matter) step() order.Step {
	if !m.Judged {
		return StepJudge
	}
	return StepRefund
}

// Flow is how a late stream is folded. It never ends: a run closes when nothing is left, and the next late event starts another.
var Flow = saga.Flow[State, any]{Name: "late event", Stream: "late", Events: "order", Subject: "orderId", Own: own, Clone: clone}

// State is what a late stream tells. Fold makes it.
type State struct {
	saga.Saga
	OrderID string `json:"orderId"`
	// OrderStatus is what the order had ended as.
	OrderStatus order.Status `json:"status,omitempty"`
	// Payments are the payments that came late, oldest first; in a bounded state the open ones, see Bounded.
	Payments []Matter `json:"payments,omitempty"`
	// Settled sums up the payments that a bounded state has left out because they are settled. More reports that it has left
	// out open ones, too: they are in the log.
	Settled Settled `json:"settled,omitzero"`
	More    bool    `json:"more,omitempty"`
	// Goods tells that goods have left; GoodsSettled that somebody has looked after them.
	Goods        bool `json:"goods,omitempty"`
	GoodsSettled bool `json:"goodsSettled,omitempty"`
	// About is the payment that a person was last asked about, if it is about one.
	About string `json:"about,omitempty"`
	// HowDecided is how the newest decision settled what is open, for people; empty when none did.
	HowDecided string `json:"byHand,omitempty"`
}

// Fold returns the state that records make of s; see saga.Flow.Fold.
func (s State) Fold(records []event.Record) (State, error) { return Flow.Fold(s, records) }

func clone(s *State) { s.Payments = slices.Clone(s.Payments) }

// own folds what only the events of a late stream say.
func own(s *State, r event.Record) error {
	s.OrderID = r.Subject
	switch r.Type {
	case event.EventLate:
		return event.DecodeInto(r.Event, func(v Verdict) {
			s.OrderStatus = v.Status
			if v.money() && !s.More {
				s.Payments = append(s.Payments, Matter{ID: r.Key, Cause: v.EventID})
			}
			s.Goods = s.Goods || v.goods()
		})
	case event.PaymentArrivedLate, event.PaymentNothingArrived:
		return event.DecodeInto(r.Event, func(m Money) {
			s.payment(slotJudge, r.Key, func(p *Matter) { p.Judged, p.Amount, p.PaymentID = true, m.Amount, m.PaymentID })
		})
	case event.PaymentRefunded:
		s.payment(slotRefund, r.Key, func(p *Matter) { p.Refunded = true })
	case event.OrderNeedsAttention:
		// Payments are settled one after the other, so it is about the oldest one that is open.
		s.About, s.HowDecided = "", ""
		if p, open := s.open(); open && s.Attention.Step == p.step() {
			s.About = p.ID
		}
	case event.OrderStepSkipped, event.OrderStepSubstituted:
		return event.DecodeInto(r.Event, func(d saga.ResolutionData) { s.decided(r, d) })
	}
	return nil
}

// decided folds an operator's decision: it stands under the slot of what it settles.
func (s *State) decided(r event.Record, d saga.ResolutionData) {
	s.HowDecided = string(d.Action) + " by hand"
	if d.By != "" {
		s.HowDecided += " by " + d.By
	}
	if r.Key == SlotGoods {
		s.GoodsSettled = true
	}
	s.payment(slotJudge, r.Key, func(p *Matter) { p.Judged, p.ByHand = true, d.Action })
	s.payment(slotRefund, r.Key, func(p *Matter) { p.Refunded, p.ByHand = true, d.Action })
}

// payment changes the payment that a key is about.
func (s *State) payment(prefix, key string, change func(*Matter)) {
	for i := range s.Payments {
		if prefix+s.Payments[i].ID == key {
			change(&s.Payments[i])
		}
	}
}

// entry makes an event after the state. Times never go back in a stream, whichever clock is behind.
func (s State) entry(slot, eventType string, at time.Time, data any) event.Entry {
	s.ID = s.OrderID
	return s.Entry(event.LateStream(s.OrderID), slot, eventType, at, data)
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
	// Amount is what operators have given back in another way, Unknown the number of those payments whose amount nobody has
	// asked the gateway about.
	Amount  int64 `json:"amount,omitempty"`
	Unknown int   `json:"unknown,omitempty"`
}

// Bounded returns the state without the payments that are settled, and with at most MaxPayments of those that are open: what a
// run keeps and its activities get does not grow with the number of late events. It is folded further like any other. When
// it has no open payment left and More is set, the stream must be folded anew.
func (s State) Bounded() State {
	var kept []Matter
	for _, p := range s.Payments {
		switch {
		case !p.open():
			s.Settled.Count++
			s.Settled.Arrived += p.Amount
			switch {
			case p.ByHand == "":
			case p.Amount > 0:
				s.Settled.Amount += p.Amount
			case p.ByHand == order.Substitute:
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

// Exhausted reports whether a bounded state must be folded anew from the log before it is known what is next.
func (s State) Exhausted() bool {
	_, open := s.open()
	return s.More && !open
}

// Due is what is to be given back of the money that the gateway says is there. What an operator has looked after is not
// given back a second time: the gateway does not know that it was. Total is what a payment comes to whose amount nobody
// has asked the gateway about.
func (s State) Due(arrived, total int64) int64 {
	arrived -= s.Settled.Amount + int64(s.Settled.Unknown)*total
	for _, p := range s.Payments {
		switch {
		case p.ByHand == "":
		case p.Amount > 0:
			arrived -= p.Amount
		case p.ByHand == order.Substitute:
			arrived -= total
		}
	}
	return max(arrived, 0)
}

// Judged writes down what the gateway said of a late payment: how much has arrived.
func (s State) Judged(m Matter, paymentID, currency string, amount int64, at time.Time) event.Entry {
	d := Money{OrderID: s.OrderID, EventID: m.Cause, PaymentID: paymentID, Amount: amount, Currency: currency}
	if amount == 0 {
		return s.entry(slotJudge+m.ID, event.PaymentNothingArrived, at, d)
	}
	return s.entry(slotJudge+m.ID, event.PaymentArrivedLate, at, d)
}

// Refunded writes down that the money of a late payment was given back.
func (s State) Refunded(m Matter, currency string, at time.Time) event.Entry {
	return s.entry(slotRefund+m.ID, event.PaymentRefunded, at,
		Money{OrderID: s.OrderID, EventID: m.Cause, PaymentID: m.PaymentID, Amount: m.Amount, Currency: currency})
}

// attention asks an operator to look.
func (s State) attention(f order.Stuck, at time.Time) event.Entry {
	d := saga.Object("orderId", s.OrderID, saga.NewAttention(f))
	return s.entry(slotAttention+strconv.Itoa(s.Attention.Count+1), event.OrderNeedsAttention, at, d)
}

// attentionResolved says that what an operator was asked to look at is resolved.
func (s State) attentionResolved(at time.Time) event.Entry {
	how := "it went through"
	if s.HowDecided != "" {
		how = s.HowDecided
	}
	return s.entry(slotResolved+strconv.Itoa(s.Attention.Count), event.OrderAttentionResolved, at,
		saga.Object("orderId", s.OrderID, saga.AttentionResolution{Step: s.Attention.Step, Note: how}))
}
