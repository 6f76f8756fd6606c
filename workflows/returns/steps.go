package returns

import (
	"context"
	"errors"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/refunds"
	"github.com/ordersaga/ordersaga/workflows/refund"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Participants are what the steps call.
type Participants struct {
	Orders refund.Orders
	// Ledger is the log of the refund ledgers.
	Ledger  event.StreamAppender
	Refunds Refunds
	Stock   refund.Stock
}

// Refunds are the sagas of the flow refund.
type Refunds interface {
	// Refund starts a refund, once, and returns what it is after at most a few seconds. Errors: Unavailable, Conflict for a refund that is there
	// with other content.
	Refund(ctx context.Context, id, correlationID string, r refund.Request) (refund.State, error)
}

// Validate reports which participants are missing.
func (p *Participants) Validate() error {
	if p == nil || p.Orders == nil || p.Ledger == nil || p.Refunds == nil || p.Stock == nil {
		return fault.New(fault.Invalid, "the return flow requires orders, a refund ledger, refunds and a stock ledger")
	}
	return nil
}

type call = saga.Call[State]

// Announce reserves the quantities. An order that is not known may be known soon.
func (p *Participants) Announce(ctx context.Context, c call) (saga.Outcome, error) {
	of, err := p.Orders.Load(ctx, c.State.Request.OrderID)
	a := announcement{c.State.Request, &of}
	switch {
	case errors.Is(err, fault.ErrMissing) && !c.Last:
		return saga.TryLater("", "the order"), nil
	case errors.Is(err, fault.ErrMissing):
		return saga.Refused(a.refuse(ReasonOrderUnknown, 0, "the order is not known")), nil
	case err != nil:
		return saga.Outcome{}, err
	}
	r, err := refunds.ReserveReturn(ctx, p.Ledger, of.Order.ID, key(c.ID), a.units, c.Now())
	var refusal *refund.Refusal
	switch {
	case errors.As(err, &refusal):
		return saga.Refused(refusal), nil
	case err != nil:
		return saga.Outcome{}, err
	case r.Settled:
		return saga.Fenced(), nil
	}
	d := announced{OrderID: of.Order.ID}
	for _, u := range r.Lines {
		d.Lines = append(d.Lines, lineUnit{u.Line, of.Order.Lines[u.Line-1].SKU, u.Quantity})
	}
	return saga.Done(d), nil
}

// Release frees the quantities, and prevents that they are reserved later.
func (p *Participants) Release(ctx context.Context, c call) (saga.Outcome, error) {
	of := c.State.Request.OrderID
	return saga.Undone(released{of}), refunds.SettleReturn(ctx, p.Ledger, of, key(c.ID), nil, c.Now())
}

// Account makes the received quantities final.
func (p *Participants) Account(ctx context.Context, c call) (saga.Outcome, error) {
	s := &c.State
	d := accounted{s.Request.OrderID, s.unitsOf(s.received()), s.unitsOf(s.missing())}
	return saga.Done(d), refunds.SettleReturn(ctx, p.Ledger, s.Request.OrderID, key(c.ID), s.received(), c.Now())
}

// Refund has a refund saga refund what was received, and waits for it. A refund that is refused needs attention.
func (p *Participants) Refund(ctx context.Context, c call) (saga.Outcome, error) {
	s := &c.State
	r := refund.Request{OrderID: s.Request.OrderID, Reason: s.Request.Reason, By: s.Request.By, ReturnID: c.ID}
	for _, u := range s.received() {
		r.Lines = append(r.Lines, refund.RequestLine{Line: int64(u.Line), Quantity: u.Quantity})
	}
	id := refund.ForReturn(c.ID)
	of, err := p.Refunds.Refund(ctx, id, s.CorrelationID, r)
	if err != nil {
		return saga.Outcome{}, err
	}
	switch outcome := of.Outcome(); outcome {
	case refund.Refunded:
		return saga.Done(refunded{s.Request.OrderID, id, of.Amount, of.Currency}), nil
	case refund.Refused:
		return saga.Refused(refundRefused{s.Request.OrderID, id, of.Reason, of.Detail}), nil
	default:
		return saga.Outcome{}, fault.New(fault.Unavailable, "refund %s is %s", id, outcome)
	}
}

// Restock puts what was received of stocked lines into stock again, after the order has committed it.
func (p *Participants) Restock(ctx context.Context, c call) (saga.Outcome, error) {
	of, err := p.Orders.Load(ctx, c.State.Request.OrderID)
	if err != nil {
		return saga.Outcome{}, err
	}
	items := refund.Items(of.Order, c.State.received())
	if len(items) > 0 && !of.Committed {
		return saga.Outcome{}, fault.New(fault.Unavailable, "the stock of order %s is not committed", of.Order.ID)
	}
	for _, item := range items {
		// The refund of the return puts nothing into stock: its ID is free there.
		if err := p.Stock.Return(ctx, of.Order.ID, refund.ForReturn(c.ID), item.SKU, item.Quantity); err != nil {
			return saga.Outcome{}, err
		}
	}
	return saga.Done(restocked{of.Order.ID, items}), nil
}
