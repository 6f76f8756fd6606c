package activities

import (
	"context"
	"time"

	"github.com/ordersaga/ordersaga/internal/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/order"
	"github.com/ordersaga/ordersaga/internal/payment"
)

// Authorize sets the order's money aside.
func (p *Payment) Authorize(ctx context.Context, in StepInput) (StepResult, error) {
	return p.step(ctx, in, func(ctx context.Context) ([]event.Entry, error) {
		pay := paymentOf(in.State)
		result, err := p.Gateway.Authorize(ctx, pay.Key(string(order.StepAuthorize)), pay)
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
		if err == nil && in.Hint != nil && in.Hint.Cause != "" {
			entries[0] = entries[0].CausedBy(in.State.CorrelationID, in.Hint.Cause)
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
		result, err := p.Gateway.Capture(ctx, pay.Key(string(order.StepCapture)), pay)
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
// was not. A capture that is on its way, and comes after the answer, is for the void to find.
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

// Void makes it so that no authorization of the order stands, and keeps it so.
func (p *Payment) Void(ctx context.Context, in StepInput) (StepResult, error) {
	return p.step(ctx, in, func(ctx context.Context) ([]event.Entry, error) {
		pay := paymentOf(in.State)
		if _, err := p.Gateway.Void(ctx, pay.Key("void"), pay); err != nil {
			return nil, err
		}
		return []event.Entry{in.State.Undone(order.StepAuthorize, p.now(ctx))}, nil
	})
}

// paymentOf is the order's payment as a gateway knows it.
func paymentOf(s order.State) payment.Payment {
	return payment.Payment{
		OrderID: s.Order.ID, ID: s.PaymentID, Amount: s.Order.TotalAmount,
		Currency: s.Order.Currency, Method: s.Order.Payment.Method,
	}
}
