// Package refund is the flow of refunds of orders: what a refund is started with and comes to (request.go), its table and its step functions (this
// file), and how refunds are read (read.go).
//
// The amount is reserved in the refund ledger of the payment before the gateway is asked, so that no money is refunded twice, whatever races. An
// unknown outcome keeps its reservation. A refusal of the gateway and the decision to skip the refund release it.
//
// Only the step functions and the readers do I/O.
package refund

import (
	"context"
	"errors"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/refunds"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Workflow is the registered workflow type. It is part of histories: never rename it.
const Workflow = "RefundSaga"

// Steps of the saga, in events and in the Temporal Web UI.
const (
	StepReserve = "reserve"
	StepRefund  = "refund"
	StepRestock = "restock"
)

// Statuses between the beginning and the end.
const (
	StatusReserved saga.Status = "reserved"
	StatusSettling saga.Status = "settling"
	StatusRefunded saga.Status = "refunded"
)

// What a person may be asked to act on.
const (
	RefundStuck  = "the refund is stuck"
	RestockStuck = "the refunded goods cannot be put into stock"
)

// State is a refund, computed from its events.
type State struct {
	saga.Saga
	Request Request `json:"request"`
	// Amount, Currency and Lines are what the refund comes to; zero before they are reserved.
	Amount   int64  `json:"amount,omitempty"`
	Currency string `json:"currency,omitempty"`
	Lines    []Line `json:"lines,omitempty"`
	// Paid reports that the gateway has refunded the amount.
	Paid bool `json:"paid,omitempty"`
	// Refused is why it was refused, if it was.
	Refused *Refusal `json:"refused,omitempty"`
}

// Line is what is refunded of a line of the order.
type Line struct {
	Line     int    `json:"line"`
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
	Amount   int64  `json:"amount"`
}

type operation = saga.Operation[State, *Participants]

// Flow is the saga that refunds an order, or a part of it.
var Flow = saga.Flow[State, *Participants]{
	Name: "refund", Stream: "refund", Subject: "refundId", Workflow: Workflow, Queue: saga.QueueOrders,
	Start:   saga.StartWith(func(s *State) *Request { return &s.Request }, (*Request).check),
	Inbound: []saga.Inbound{saga.Starts(event.Named(event.RefundRequested))},
	Own:     own, Completed: completed,
	Summary: func(s *State) string { return "refund of order " + s.Request.OrderID },
	Steps: []saga.Step[State, *Participants]{
		{
			Name: StepReserve, Kind: saga.Compensable, Status: StatusReserved, Deadline: order.ReserveDeadline,
			Do:   &operation{Run: (*Participants).Reserve, Summary: "reserve the amount in the refund ledger"},
			Undo: &operation{Run: (*Participants).Release, Summary: "undo: release the amount"},
			Done: event.RefundReserved, Refused: event.RefundRefused, Undone: []string{event.RefundReleased},
		},
		{Name: "decide", Kind: saga.Pivot, Status: StatusSettling},
		{
			Name: StepRefund, Kind: saga.Forward, Status: StatusRefunded,
			Do:   &operation{Run: (*Participants).Refund, Queue: saga.QueuePayments, Summary: "refund the amount", Remote: true},
			Done: event.RefundPaid, Refused: event.RefundRefused,
			// Nothing comes before it but the reservation, which a refund that is refused or skipped releases.
			Reversible: func(*State) bool { return true }, SkipReason: ReasonSkipped,
			StuckText: RefundStuck, FinalText: RefundStuck, RefusedText: RefundStuck, RefusedError: "the gateway refused the refund",
		},
		{
			Name: StepRestock, Kind: saga.Forward, When: func(s *State) bool { return s.Request.Restock },
			Do:   &operation{Run: (*Participants).Restock, Summary: "put the goods into stock"},
			Done: event.RefundRestocked, StuckText: RestockStuck,
		},
	},
}

// own folds what only a refund's events say.
func own(s *State, r event.Record) error {
	switch r.Type {
	case event.RefundReserved:
		return event.DecodeInto(r.Event, func(d reserved) { s.Amount, s.Currency, s.Lines = d.Amount, d.Currency, d.Lines })
	case event.RefundPaid:
		s.Paid = true
	case event.RefundRefused:
		return event.DecodeInto(r.Event, func(d Refusal) { s.Refused = &d })
	case event.RefundRejected:
		if s.Refused != nil {
			s.Detail = s.Refused.Detail
		}
	}
	return nil
}

// The data of events, but for what the kit adds.
type (
	reserved struct {
		OrderID  string `json:"orderId"`
		Amount   int64  `json:"amount"`
		Currency string `json:"currency"`
		Lines    []Line `json:"lines,omitempty"`
	}
	paid struct {
		OrderID   string `json:"orderId"`
		PaymentID string `json:"paymentId,omitempty"`
		Amount    int64  `json:"amount"`
		Currency  string `json:"currency"`
	}
	restocked struct {
		OrderID string       `json:"orderId"`
		Lines   []order.Item `json:"lines"`
	}
)

func (s *State) money() paid {
	return paid{OrderID: s.Request.OrderID, Amount: s.Amount, Currency: s.Currency}
}

func completed(s *State) any { return s.money() }

// Participants are what the steps call.
type Participants struct {
	Orders Orders
	// Refunds is the log of the refund ledgers.
	Refunds event.StreamAppender
	Gateway payment.Gateway
	Stock   Stock
}

// Orders are the orders. order.Reader has them. Errors: Unavailable, fault.ErrMissing for an order that is not found.
type Orders interface {
	Load(ctx context.Context, id string) (order.State, error)
}

// Stock is the stock ledger.
type Stock interface {
	// Return puts a quantity that an order has committed into stock again, once for each refund.
	Return(ctx context.Context, orderID, refundID, sku string, quantity int64) error
}

// Validate reports which participants are missing.
func (p *Participants) Validate() error {
	if p == nil || p.Orders == nil || p.Refunds == nil || p.Gateway == nil || p.Stock == nil {
		return fault.New(fault.Invalid, "the refund flow requires orders, a refund ledger, a payment gateway and a stock ledger")
	}
	return nil
}

type call = saga.Call[State]

// Reserve computes the amount and reserves it. An order that is not known may be known soon.
func (p *Participants) Reserve(ctx context.Context, c call) (saga.Outcome, error) {
	of, err := p.Orders.Load(ctx, c.State.Request.OrderID)
	q := quote{c.State.Request, &of}
	switch {
	case errors.Is(err, fault.ErrMissing) && !c.Last:
		return saga.TryLater("", "the order"), nil
	case errors.Is(err, fault.ErrMissing):
		return saga.Refused(q.refuse(ReasonOrderUnknown, 0, "the order is not known")), nil
	case err != nil:
		return saga.Outcome{}, err
	}
	total, err := q.total()
	var r refunds.Reservation
	if returnID := c.State.Request.ReturnID; err == nil {
		claim := refunds.Claim{
			Reference: of.Order.ID, Key: key(c.ID), Source: refunds.Captured, Limit: total, Currency: of.Order.Currency, Price: q.price,
		}
		if returnID != "" {
			claim.Return = ReturnKey(returnID)
		}
		if returnID != "" && c.ID != ForReturn(returnID) {
			err = q.refuse(ReasonInvalidLines, 0, "the return refunds its goods itself")
		} else {
			r, err = refunds.Reserve(ctx, p.Refunds, claim, c.Now())
		}
	}
	var refusal *Refusal
	switch {
	case errors.As(err, &refusal):
		return saga.Refused(refusal), nil
	case err != nil:
		return saga.Outcome{}, err
	case r.Released:
		return saga.Fenced(), nil
	}
	d := reserved{OrderID: of.Order.ID, Amount: r.Amount, Currency: r.Currency}
	for _, l := range r.Lines {
		d.Lines = append(d.Lines, Line{Line: l.Line, SKU: of.Order.Lines[l.Line-1].SKU, Quantity: l.Quantity, Amount: l.Amount})
	}
	return saga.Done(d), nil
}

// Release frees the amount, and prevents that it is reserved later.
func (p *Participants) Release(ctx context.Context, c call) (saga.Outcome, error) {
	of := c.State.Request.OrderID
	return saga.Undone(released{of}), refunds.Release(ctx, p.Refunds, of, key(c.ID), c.Now())
}

type released struct {
	OrderID string `json:"orderId"`
}

// Refund has the gateway refund the amount. It does nothing once the amount is released.
func (p *Participants) Refund(ctx context.Context, c call) (saga.Outcome, error) {
	of, err := p.Orders.Load(ctx, c.State.Request.OrderID)
	if err != nil {
		return saga.Outcome{}, err
	}
	ledger, err := refunds.Load(ctx, p.Refunds, of.Order.ID)
	if err != nil {
		return saga.Outcome{}, err
	}
	pay := of.PaymentOf()
	switch r := ledger.ByKey[key(c.ID)]; {
	case r.Released:
		return saga.Fenced(), nil
	case r.Amount != c.State.Amount:
		// The newest records may be missing from a read.
		return saga.Outcome{}, fault.Missing("the refund ledger of payment %s has no reservation of %d for %s", pay.OrderID, c.State.Amount, key(c.ID))
	case ledger.Disputed() && !r.Refunded:
		return saga.Outcome{}, fault.New(fault.Unavailable, "an open dispute blocks refunds of the payment of order %s", of.Order.ID)
	}
	result, err := p.Gateway.Refund(ctx, pay.Key(key(c.ID)), pay, c.State.Amount)
	switch {
	case err != nil:
		return saga.Outcome{}, err
	case result.State == payment.RefundRefused:
		return saga.Refused(&Refusal{
			OrderID: of.Order.ID, Reason: ReasonRefusedByGateway, Detail: "the payment gateway refused the refund", Code: result.Code,
		}), nil
	case result.State != payment.Refunded:
		return saga.Outcome{}, fault.New(fault.Internal, "gateway %s answered a refund with %q", p.Gateway.Traits().Name, result.State)
	}
	done := c.State.money()
	done.PaymentID = pay.ID
	return saga.Done(done), refunds.Refunded(ctx, p.Refunds, of.Order.ID, key(c.ID), c.Now())
}

// Restock puts what is refunded of stocked lines into stock again, after the order has committed it.
func (p *Participants) Restock(ctx context.Context, c call) (saga.Outcome, error) {
	of, err := p.Orders.Load(ctx, c.State.Request.OrderID)
	if err != nil {
		return saga.Outcome{}, err
	}
	items := c.State.items(of.Order)
	if len(items) > 0 && !of.Committed {
		return saga.Outcome{}, fault.New(fault.Unavailable, "the stock of order %s is not committed", of.Order.ID)
	}
	for _, item := range items {
		if err := p.Stock.Return(ctx, of.Order.ID, c.ID, item.SKU, item.Quantity); err != nil {
			return saga.Outcome{}, err
		}
	}
	return saga.Done(restocked{of.Order.ID, items}), nil
}

// items are the refunded quantities of stocked lines, by SKU.
func (s *State) items(of order.Order) []order.Item {
	units := make([]refunds.Units, len(s.Lines))
	for i, l := range s.Lines {
		units[i] = refunds.Units{Line: l.Line, Quantity: l.Quantity}
	}
	return Items(of, units)
}

// Items are the quantities of stocked lines, by SKU.
func Items(of order.Order, units []refunds.Units) []order.Item {
	items := []order.Item{}
	at := make(map[string]int)
	for _, u := range units {
		line := of.Lines[u.Line-1]
		if !line.IsStocked() {
			continue
		}
		if i, seen := at[line.SKU]; seen {
			items[i].Quantity += u.Quantity
			continue
		}
		at[line.SKU] = len(items)
		items = append(items, order.Item{SKU: line.SKU, Quantity: u.Quantity})
	}
	return items
}
