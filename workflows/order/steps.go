package order

import (
	"context"
	"errors"
	"slices"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/refunds"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Participants are what the order's step functions call.
type Participants struct {
	Stock   Stock
	Gateway payment.Gateway
	// Refunds is the log in which refunds are reserved.
	Refunds event.StreamAppender
}

// Validate names the participants that are missing.
func (p *Participants) Validate() error {
	if p == nil || p.Stock == nil || p.Gateway == nil || p.Refunds == nil {
		return fault.New(fault.Invalid, "the order flow requires a stock ledger, a payment gateway and a refund ledger")
	}
	return nil
}

type call = saga.Call[State]

// Reserve reserves every SKU of the order, for all of its lines together. When one is refused, the others may hold stock, which the outcome says and the compensation
// gives back. When one is short because other orders hold its SKU for now, the order keeps what it holds and tries again.
func (p *Participants) Reserve(ctx context.Context, c call) (saga.Outcome, error) {
	items := c.State.Order.Items()
	answers, err := p.Stock.Acquire(ctx, ReserveRequest{OrderID: c.ID, Items: items, From: c.Hint, Last: c.Last})
	if err != nil {
		return saga.Outcome{}, err
	}
	shortOf := ""
	for n, answer := range answers {
		switch answer.Effect {
		case Undone:
			return saga.Fenced(), nil
		case Short:
			shortOf = items[n].SKU
		}
	}
	if shortOf != "" {
		return saga.TryLater(shortOf, "stock that other orders hold for now"), nil
	}
	return reserved(items, answers), nil
}

// FindReservation asks the ledger for the result of a reservation whose outcome is unknown. It adopts what it finds: that every line
// holds stock, or that one was refused.
func (p *Participants) FindReservation(ctx context.Context, c call) (saga.Outcome, error) {
	items := c.State.Order.Items()
	answers, err := p.Stock.Lookup(ctx, c.ID, items)
	effects := make([]Effect, len(items))
	for n, answer := range answers {
		effects[n] = answer.Effect
	}
	known := slices.Contains(effects, Refused) || !slices.Contains(effects, "")
	if err != nil || slices.Contains(effects, Undone) || !known {
		return saga.NotFound(), err
	}
	return reserved(items, answers), nil
}

// reserved is the outcome of a reservation.
func reserved(items []Item, answers []Reservation) saga.Outcome {
	outcomes := make([]LineOutcome, len(items))
	for n, answer := range answers {
		outcomes[n] = LineOutcome{
			SKU: items[n].SKU, Quantity: items[n].Quantity, Reserved: answer.Effect == Done, Reason: answer.Reason, Available: answer.Available,
		}
	}
	if r, refused := rejected(outcomes); refused {
		return saga.Refused(r)
	}
	return saga.Done(lines{items})
}

// Release makes it so that no line of the order holds stock, and keeps it so.
func (p *Participants) Release(ctx context.Context, c call) (saga.Outcome, error) {
	items := c.State.Order.Items()
	return saga.Undone(lines{items}), p.Stock.Release(ctx, c.ID, items)
}

// Commit makes the reservation final: the stock has left.
func (p *Participants) Commit(ctx context.Context, c call) (saga.Outcome, error) {
	items := c.State.Order.Items()
	return saga.Done(lines{items}), p.Stock.Commit(ctx, c.ID, items)
}

// Authorize sets the order's money aside.
func (p *Participants) Authorize(ctx context.Context, c call) (saga.Outcome, error) {
	pay := c.State.PaymentOf()
	result, err := p.Gateway.Authorize(ctx, pay.Key(StepAuthorize), pay)
	if err != nil {
		return saga.Outcome{}, err
	}
	return p.authorization(c, result)
}

// FindPayment asks the gateway for the result of a payment whose outcome is not known, or that was pending. It adopts
// what it finds.
func (p *Participants) FindPayment(ctx context.Context, c call) (saga.Outcome, error) {
	pay := c.State.PaymentOf()
	if settler, ok := p.Gateway.(payment.Settler); ok && c.Fact != nil {
		notification, err := saga.DataOf[paymentFact](c.Fact)
		if err == nil {
			err = settler.Settle(ctx, pay, c.Fact.Type == event.PaymentSucceeded, notification.Code)
		}
		if err != nil {
			return saga.Outcome{}, err
		}
	}
	result, err := p.Gateway.Lookup(ctx, pay)
	if err != nil {
		return saga.Outcome{}, err
	}
	switch {
	case result.State == payment.Absent, result.State == payment.Undone, result.State == payment.Pending && c.Pending:
		return saga.NotFound(), nil
	}
	return p.authorization(c, result)
}

// authorization converts the result of an authorization into an outcome.
func (p *Participants) authorization(c call, result payment.Result) (saga.Outcome, error) {
	switch result.State {
	case payment.Authorized, payment.Captured:
		return saga.Done(c.State.paid(result.PaymentID)), nil
	case payment.Pending:
		return saga.Pending(c.State.paid(result.PaymentID)), nil
	case payment.Refused:
		return saga.Refused(c.State.declined(result.PaymentID, result.Code, result.Asynchronous)), nil
	case payment.Undone:
		return saga.Fenced(), nil
	}
	return saga.Outcome{}, fault.New(fault.Internal, "gateway %s answered an authorization with %q", p.Gateway.Traits().Name, result.State)
}

// Capture takes the money that was set aside.
func (p *Participants) Capture(ctx context.Context, c call) (saga.Outcome, error) {
	pay := c.State.PaymentOf()
	result, err := p.Gateway.Capture(ctx, pay.Key(StepCapture), pay)
	if err != nil {
		return saga.Outcome{}, err
	}
	switch result.State {
	case payment.Captured:
		return saga.Done(c.State.paid(pay.ID)), nil
	case payment.CaptureRefused:
		return saga.Refused(refusal{pay.ID, ReasonCaptureRefused, result.Code}), nil
	}
	return saga.Outcome{}, fault.New(fault.Internal, "gateway %s answered a capture with %q", p.Gateway.Traits().Name, result.State)
}

// FindCapture asks the gateway whether the payment was captured, and adopts it if it was. A capture that is on its way, and comes after
// the answer, is found by the void, which gives it back.
func (p *Participants) FindCapture(ctx context.Context, c call) (saga.Outcome, error) {
	pay := c.State.PaymentOf()
	result, err := p.Gateway.Lookup(ctx, pay)
	if err != nil || result.State != payment.Captured && result.State != payment.Refunded {
		return saga.NotFound(), err
	}
	return saga.Done(c.State.paid(pay.ID)), nil
}

// Void makes sure that the order has no authorization, now or later. A capture of which the order did not know is given
// back.
func (p *Participants) Void(ctx context.Context, c call) (saga.Outcome, error) {
	pay := c.State.PaymentOf()
	_, err := p.Gateway.Void(ctx, pay.Key("void"), pay)
	if errors.Is(err, fault.EffectSettled) {
		return p.refundCaptured(ctx, c, pay, err)
	}
	return saga.Undone(c.State.paid(c.State.PaymentID)), err
}

// refundCaptured gives back a payment that cannot be voided because it was captured. Captured is what the void said. A
// compensation that comes late must never refund a good capture, whatever its run believes: what the order has decided is
// read here, after the payment was found captured, and the decision to undo is final.
func (p *Participants) refundCaptured(ctx context.Context, c call, pay payment.Payment, captured error) (saga.Outcome, error) {
	found, err := p.Gateway.Lookup(ctx, pay)
	if err != nil {
		return saga.Outcome{}, fault.Wrap(err, fault.CodeOf(err), "look up the payment of order %s, which is captured", pay.OrderID)
	}
	if found.State != payment.Captured && found.State != payment.Refunded {
		return saga.Outcome{}, captured
	}
	undo := UndoSlot(StepAuthorize)
	newest, err := c.Newest(ctx)
	switch {
	case err != nil:
		return saga.Outcome{}, err
	case newest.Decision != Back:
		return saga.Outcome{}, fault.Wrap(captured, fault.EffectSettled, "order %s has not decided to compensate", pay.OrderID)
	case newest.Has(undo):
		// Another run was faster, or a person has decided: the log has the answer.
		return saga.Fenced(), nil
	}
	claim := refunds.Claim{
		Reference: pay.OrderID, Key: undo, Source: refunds.Captured, Amount: pay.Amount, Limit: pay.Amount, Currency: pay.Currency,
	}
	reserved, err := refunds.Reserve(ctx, p.Refunds, claim, c.Now())
	if err != nil {
		return saga.Outcome{}, err
	}
	if err := payment.Refund(ctx, p.Gateway, pay.Key(undo), pay, reserved.Amount); err != nil {
		return saga.Outcome{}, fault.Wrap(err, fault.CodeOf(err), "refund the payment of order %s, which is captured", pay.OrderID)
	}
	return c.State.refunded(found.PaymentID, reserved.Amount), nil
}

// RefundParcel gives back the money for goods that did not arrive. The amount is reserved first, so that no other refund gives it back.
func (p *Participants) RefundParcel(ctx context.Context, c call) (saga.Outcome, error) {
	n := slices.IndexFunc(c.State.Refunds, func(r ParcelRefund) bool { return r.Item == c.Item })
	if n < 0 {
		return saga.Outcome{}, fault.New(fault.Internal, "order %s has no refund %s", c.ID, c.Item)
	}
	pay, amount, slot := c.State.PaymentOf(), c.State.Refunds[n].Amount, SlotRefund+"/"+c.Item
	reserved, err := refunds.Reserve(ctx, p.Refunds, refunds.Claim{
		Reference: pay.OrderID, Key: slot, Source: refunds.Captured, Amount: amount, Limit: pay.Amount, Currency: pay.Currency,
	}, c.Now())
	switch {
	case err != nil:
		return saga.Outcome{}, err
	case reserved.Amount != amount:
		return saga.Outcome{}, fault.New(fault.Conflict, "%d of the %d to refund of order %s are reserved for other refunds", amount-reserved.Amount, amount, c.ID)
	}
	err = payment.Refund(ctx, p.Gateway, pay.Key(slot), pay, amount)
	return saga.Done(paid{PaymentID: pay.ID, Amount: amount, Currency: pay.Currency}), err
}

// PaymentOf is the order's payment as a gateway knows it.
func (s State) PaymentOf() payment.Payment {
	return payment.Payment{
		OrderID: s.Order.ID, ID: s.PaymentID, Amount: s.Order.TotalAmount,
		Currency: s.Order.Currency, Method: s.Order.Payment.Method, CreatedAt: s.CreatedAt,
	}
}

// paid is the data of events about the payment, and refusal of those about its refusals, but for what the kit adds.
type (
	paid struct {
		PaymentID string `json:"paymentId,omitempty"`
		Amount    int64  `json:"amount"`
		Currency  string `json:"currency"`
	}
	refusal struct {
		PaymentID string `json:"paymentId,omitempty"`
		Reason    string `json:"reason"`
		Code      string `json:"code,omitempty"`
	}
	rejection struct {
		Reason string        `json:"reason"`
		Lines  []LineOutcome `json:"lines"`
		Held   bool          `json:"held"`
	}
)

func (s State) paid(paymentID string) paid {
	return paid{PaymentID: paymentID, Amount: s.Order.TotalAmount, Currency: s.Order.Currency}
}
