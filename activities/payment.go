package activities

import (
	"context"
	"errors"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/refunds"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// Authorize sets the order's money aside.
func (p *Payment) Authorize(ctx context.Context, in StepInput) (StepResult, error) {
	return p.step(ctx, in, func(ctx context.Context) ([]event.Entry, error) {
		pay := paymentOf(in.State)
		result, err := p.Gateway.Authorize(ctx, pay.Key(order.StepAuthorize), pay)
		if err != nil {
			return nil, err
		}
		return p.outcome(in, result, p.now(ctx))
	})
}

// Lookup asks the gateway what became of a payment whose outcome nobody knows, or that was pending. It adopts
// what it finds; an empty tail says that nothing definite is known.
func (p *Payment) Lookup(ctx context.Context, in StepInput) (StepResult, error) {
	pay := paymentOf(in.State)
	if settler, ok := p.Gateway.(payment.Settler); ok && in.Hint != nil {
		if err := settler.Settle(ctx, pay, in.Hint.Succeeded, in.Hint.Code); err != nil {
			return StepResult{}, toTemporal(err)
		}
	}
	result, err := p.Gateway.Lookup(ctx, pay)
	if err != nil {
		return StepResult{}, toTemporal(err)
	}
	switch {
	case result.State == payment.Absent, result.State == payment.Undone,
		result.State == payment.Pending && in.State.Payment == order.PaymentPending:
		return StepResult{}, nil
	}
	return p.step(ctx, in, func(ctx context.Context) ([]event.Entry, error) {
		entries, err := p.outcome(in, result, p.now(ctx))
		if err == nil && in.Hint != nil && len(entries) > 0 {
			entries[0] = in.State.Notified(*in.Hint, entries[0])
		}
		return entries, err
	})
}

// outcome makes the event of what an authorization came to.
func (p *Payment) outcome(in StepInput, result payment.Result, now time.Time) ([]event.Entry, error) {
	s := in.State
	switch result.State {
	case payment.Authorized, payment.Captured:
		return []event.Entry{s.Authorized(result.PaymentID, now)}, nil
	case payment.Pending:
		return []event.Entry{s.PaymentPending(result.PaymentID, now, now.Add(in.Timing.PaymentPending))}, nil
	case payment.Refused:
		return []event.Entry{s.Declined(result.PaymentID, result.Code, result.Asynchronous, now)}, nil
	case payment.Undone:
		return nil, nil
	}
	return nil, fault.New(fault.Internal, "gateway %s answered an authorization with %q", p.Gateway.Traits().Name, result.State)
}

// Capture takes the money that was set aside.
func (p *Payment) Capture(ctx context.Context, in StepInput) (StepResult, error) {
	return p.step(ctx, in, func(ctx context.Context) ([]event.Entry, error) {
		pay := paymentOf(in.State)
		result, err := p.Gateway.Capture(ctx, pay.Key(order.StepCapture), pay)
		if err != nil {
			return nil, err
		}
		switch result.State {
		case payment.Captured:
			return []event.Entry{in.State.Captured(pay.ID, p.now(ctx))}, nil
		case payment.CaptureRefused:
			return []event.Entry{in.State.CaptureRefused(result.Code, p.now(ctx))}, nil
		}
		return nil, fault.New(fault.Internal, "gateway %s answered a capture with %q", p.Gateway.Traits().Name, result.State)
	})
}

// LookupCapture asks the gateway whether the payment was captured, and adopts it if it was; an empty tail says that it
// was not. A capture that is on its way, and comes after the answer, is found by the void, which gives it back.
func (p *Payment) LookupCapture(ctx context.Context, in StepInput) (StepResult, error) {
	pay := paymentOf(in.State)
	result, err := p.Gateway.Lookup(ctx, pay)
	if err != nil {
		return StepResult{}, toTemporal(err)
	}
	if result.State != payment.Captured && result.State != payment.Refunded {
		return StepResult{}, nil
	}
	return p.step(ctx, in, func(ctx context.Context) ([]event.Entry, error) {
		return []event.Entry{in.State.Captured(pay.ID, p.now(ctx))}, nil
	})
}

// Void makes it so that no authorization of the order stands, and keeps it so. A capture that nobody had heard of is given
// back.
func (p *Payment) Void(ctx context.Context, in StepInput) (StepResult, error) {
	return p.step(ctx, in, func(ctx context.Context) ([]event.Entry, error) {
		pay := paymentOf(in.State)
		_, err := p.Gateway.Void(ctx, pay.Key("void"), pay)
		if errors.Is(err, fault.EffectSettled) {
			return p.refundCaptured(ctx, in.State, pay, err)
		}
		if err != nil {
			return nil, err
		}
		return []event.Entry{in.State.Undone(order.StepAuthorize, p.now(ctx))}, nil
	})
}

// refundCaptured gives back a payment that cannot be voided because it was captured. Captured is what the void said. A
// compensation that comes late must never refund a good capture, whatever its run believes: what the order has decided is
// read here, after the payment was found captured, and the decision to undo is final.
func (p *Payment) refundCaptured(ctx context.Context, s order.State, pay payment.Payment, captured error) ([]event.Entry, error) {
	found, err := p.Gateway.Lookup(ctx, pay)
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeOf(err), "look up the payment of order %s, which is captured", pay.OrderID)
	}
	if found.State != payment.Captured && found.State != payment.Refunded {
		return nil, captured
	}
	newest, err := p.newest(ctx, s)
	switch {
	case err != nil:
		return nil, err
	case newest.Decision != order.Back:
		return nil, fault.Wrap(captured, fault.EffectSettled, "order %s has not decided to be undone", pay.OrderID)
	case newest.IsUndone(order.StepAuthorize):
		// Another run was faster, or an operator has decided: the log has the answer.
		return nil, nil
	}
	undo := order.UndoSlot(order.StepAuthorize)
	reserved, err := refunds.Reserve(ctx, p.Log, refunds.Claim{
		Reference: pay.OrderID, Key: undo, Source: refunds.Captured, Amount: pay.Amount, Limit: pay.Amount, Currency: pay.Currency,
	}, p.now(ctx))
	if err != nil {
		return nil, err
	}
	if _, err := p.Gateway.Refund(ctx, pay.Key(undo), pay, reserved.Amount); err != nil {
		return nil, fault.Wrap(err, fault.CodeOf(err), "refund the payment of order %s, which is captured", pay.OrderID)
	}
	return s.RefundedCapture(found.PaymentID, reserved.Amount, p.now(ctx)), nil
}

// newest is the order as the log has it now. A log that knows less than the run did is not up to date: Unavailable.
func (p *Payment) newest(ctx context.Context, s order.State) (order.State, error) {
	stream := event.OrderStream(s.Order.ID)
	records, err := p.Log.Read(ctx, stream, 0, 0)
	if err != nil {
		return order.State{}, err
	}
	newest, err := order.Fold(records)
	if err == nil && newest.Head.Version < s.Head.Version {
		err = fault.New(fault.Unavailable, "stream %s ends at version %d, and version %d was there before", stream, newest.Head.Version, s.Head.Version)
	}
	return newest, err
}

// paymentOf is the order's payment as a gateway knows it.
func paymentOf(s order.State) payment.Payment {
	return payment.Payment{
		OrderID: s.Order.ID, ID: s.PaymentID, Amount: s.Order.TotalAmount,
		Currency: s.Order.Currency, Method: s.Order.Payment.Method,
	}
}
