package main

import (
	"fmt"
	"maps"
)

// charge is the content of a request about a payment.
type charge struct {
	OrderID      string `json:"orderId"`
	Flow         string `json:"flow"`
	Amount       int64  `json:"amount"`
	Currency     string `json:"currency"`
	Method       string `json:"method"`
	PaymentID    string `json:"paymentId"`
	RefundAmount int64  `json:"refundAmount,omitempty"`
}

// payment is what was decided about a key. State is authorized, refused, undone or captured; Fenced is set when the void came first.
type payment struct {
	charge
	State   string           `json:"state"`
	Fenced  bool             `json:"fenced,omitempty"`
	Refunds map[string]int64 `json:"refunds,omitempty"`
}

// refusal is the provider's code of every refusal. A real service stores the one that its provider has answered.
const refusal = "card_declined"

// payment returns what was decided about a key, unless it was decided about another payment.
func (s *service) payment(key string, c charge) (payment, error) {
	p, found := s.payments[key]
	if !found || p.Fenced {
		return p, nil
	}
	if c.PaymentID == "" {
		c.PaymentID = p.PaymentID
	}
	c.RefundAmount = 0
	if c != p.charge {
		return p, conflict("the key was used for other content")
	}
	return p, nil
}

func (s *service) findPayment(key, _ string, _ struct{}) (object, error) {
	p, found := s.payments[key]
	switch {
	case !found:
		return object{"state": "absent"}, nil
	case p.State == "refused":
		return object{"state": p.State, "reason": refusal}, nil
	case p.State == "undone":
		return object{"state": p.State}, nil
	case len(p.Refunds) > 0:
		return object{"state": "refunded", "paymentId": p.PaymentID}, nil
	}
	return object{"state": p.State, "paymentId": p.PaymentID}, nil
}

func (s *service) authorize(key, _ string, c charge) (object, error) {
	p, err := s.payment(key, c)
	if err != nil {
		return nil, err
	}
	if p.State == "" { // the first request decides, and the decision stays
		if c.Amount < 1 || c.PaymentID != "" {
			return nil, invalid("expected an amount above 0, and no paymentId: the payment is new")
		}
		p = payment{charge: c, State: "authorized"}
		p.PaymentID = "pay_" + key
		if c.Method == "tok_declined" { // here a real service calls its provider, with the key as idempotency key
			p.State = "refused"
		}
		if err := s.save(record{Key: key, Payment: &p}); err != nil {
			return nil, err
		}
	}
	switch p.State {
	case "refused":
		return object{"result": "refused", "reason": refusal}, nil
	case "undone":
		return object{"result": "undone"}, nil
	}
	return object{"result": "done", "paymentId": p.PaymentID, "captured": p.State == "captured"}, nil
}

func (s *service) capture(key, _ string, c charge) (object, error) {
	p, err := s.payment(key, c)
	switch {
	case err != nil:
		return nil, err
	case p.State == "undone":
		return nil, settled("the payment was voided")
	case p.State == "", p.State == "refused":
		return nil, invalid("the payment is not authorized")
	case p.State == "authorized":
		p.State = "captured"
		err = s.save(record{Key: key, Payment: &p})
	}
	return object{"result": "done", "paymentId": p.PaymentID}, err
}

func (s *service) void(key, _ string, c charge) (object, error) {
	p, err := s.payment(key, c)
	switch {
	case err != nil:
		return nil, err
	case p.State == "captured":
		return nil, settled("the payment was captured")
	case p.State == "refused":
		return object{"result": "refused", "reason": refusal}, nil
	case p.State == "": // the authorization that comes later finds this
		err = s.save(record{Key: key, Payment: &payment{State: "undone", Fenced: true}})
	case p.State == "authorized":
		p.State = "undone"
		err = s.save(record{Key: key, Payment: &p})
	}
	return object{"result": "undone"}, err
}

func (s *service) refund(key, refundKey string, c charge) (object, error) {
	p, err := s.payment(key, c)
	if err != nil {
		return nil, err
	}
	left := p.Amount
	for _, amount := range p.Refunds {
		left -= amount
	}
	before, again := p.Refunds[refundKey]
	switch {
	case again && before != c.RefundAmount:
		return nil, conflict("the refund key was used for another amount")
	case again:
	case p.State != "captured", c.RefundAmount < 1, c.RefundAmount > left:
		return nil, invalid(fmt.Sprintf("the payment is not captured, or only %d of it can still be refunded", left))
	default:
		p.Refunds = maps.Clone(p.Refunds)
		if p.Refunds == nil {
			p.Refunds = make(map[string]int64)
		}
		p.Refunds[refundKey] = c.RefundAmount
		err = s.save(record{Key: key, Payment: &p})
	}
	return object{"result": "done", "paymentId": p.PaymentID}, err
}
