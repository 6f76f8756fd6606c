package naive

import (
	"context"
	"fmt"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// Log is the part of the event log that is needed here.
type Log interface {
	Append(ctx context.Context, stream string, head event.Head, entries []event.Entry) (event.Head, []event.Record, error)
}

// Publisher puts records on the bus and returns when the broker has confirmed them.
type Publisher interface {
	PublishRecords(ctx context.Context, records []event.Record) (confirmed int, err error)
}

// Stock is the stock ledger.
type Stock interface {
	Reserve(ctx context.Context, orderID, sku string, quantity int64) (order.Reservation, error)
	Release(ctx context.Context, orderID, sku string) error
	Commit(ctx context.Context, orderID, sku string) error
}

// Activities are the activities of both sagas. All fields are mandatory.
type Activities struct {
	Log       Log
	Publisher Publisher
	Stock     Stock
	Gateway   payment.Gateway
}

// Reserve reserves every line.
func (a *Activities) Reserve(ctx context.Context, o order.Order) ([]order.LineOutcome, error) {
	outcomes := make([]order.LineOutcome, len(o.Lines))
	for i, l := range o.Lines {
		r, err := a.Stock.Reserve(ctx, o.ID, l.SKU, l.Quantity)
		if err != nil {
			return nil, err
		}
		outcomes[i] = order.LineOutcome{
			SKU: l.SKU, Quantity: l.Quantity, Reserved: r.Effect == order.Done, Reason: r.Reason, Available: r.Available,
		}
	}
	return outcomes, nil
}

// Release gives every line back.
func (a *Activities) Release(ctx context.Context, o order.Order) error {
	for _, l := range o.Lines {
		if err := a.Stock.Release(ctx, o.ID, l.SKU); err != nil {
			return err
		}
	}
	return nil
}

// Commit commits every line.
func (a *Activities) Commit(ctx context.Context, o order.Order) error {
	for _, l := range o.Lines {
		if err := a.Stock.Commit(ctx, o.ID, l.SKU); err != nil {
			return err
		}
	}
	return nil
}

// Authorize sets the order's money aside.
func (a *Activities) Authorize(ctx context.Context, o order.Order) (payment.Result, error) {
	p := paymentOf(o, "")
	return a.Gateway.Authorize(ctx, p.Key("authorize"), p)
}

// Capture takes the money.
func (a *Activities) Capture(ctx context.Context, p payment.Payment) error {
	result, err := a.Gateway.Capture(ctx, p.Key("capture"), p)
	if err == nil && result.State != payment.Captured {
		err = fmt.Errorf("the capture of order %s came to %s, which this saga does not know", p.OrderID, result.State)
	}
	return err
}

func paymentOf(o order.Order, id string) payment.Payment {
	return payment.Payment{OrderID: o.ID, ID: id, Amount: o.TotalAmount, Currency: o.Currency, Method: o.Payment.Method}
}

// RecordInput is an event to append and publish.
type RecordInput struct {
	State order.State `json:"state"`
	Entry event.Entry `json:"entry"`
}

// Record appends an event and publishes it. It returns the order with this event.
func (a *Activities) Record(ctx context.Context, in RecordInput) (order.State, error) {
	return a.append(ctx, in.State, in.Entry)
}

func (a *Activities) append(ctx context.Context, s order.State, entries ...event.Entry) (order.State, error) {
	_, tail, err := a.Log.Append(ctx, event.OrderStream(s.Order.ID), s.Head, entries)
	if err != nil {
		return s, err
	}
	if _, err := a.Publisher.PublishRecords(ctx, tail); err != nil {
		return s, err
	}
	if s.Opened() {
		return s.Fold(tail)
	}
	return order.Fold(tail)
}

// The steps of Compact.
const (
	stepAccept    = "accept"
	stepReserve   = "reserve"
	stepAuthorize = "authorize"
	stepCapture   = "capture"
	stepCommit    = "commit"
	stepRelease   = "release"
	stepEnd       = "end"
)

// StepInput is a step of Compact.
type StepInput struct {
	State order.State `json:"state"`
	Step  string      `json:"step"`
}

// Step executes a step, and appends and publishes its outcome with the decisions that follow.
func (a *Activities) Step(ctx context.Context, in StepInput) (order.State, error) {
	s, now := in.State, time.Now()
	var e event.Entry
	var err error
	switch in.Step {
	case stepAccept:
		return a.append(ctx, s, order.Accept(s.Order, s.Order.ID, "", now))
	case stepReserve:
		var lines []order.LineOutcome
		lines, err = a.Reserve(ctx, s.Order)
		e = s.Reserved(lines, now)
	case stepAuthorize:
		var paid payment.Result
		if paid, err = a.Authorize(ctx, s.Order); err == nil {
			return a.authorized(ctx, s, paid, now)
		}
	case stepCapture:
		err = a.Capture(ctx, paymentOf(s.Order, s.PaymentID))
		e = s.Captured(s.PaymentID, now)
	case stepCommit:
		err = a.Commit(ctx, s.Order)
		e = s.CommittedStock(now)
	case stepRelease:
		err = a.Release(ctx, s.Order)
		e = s.Undone(order.StepReserve, now)
	case stepEnd:
		return a.append(ctx, s, order.Decisions(s, order.Facts{}, now, timing)...)
	default:
		err = fmt.Errorf("there is no step %q", in.Step)
	}
	if err != nil {
		return s, err
	}
	return a.append(ctx, s, e)
}

// authorized appends what an authorization came to, and the decision with it.
func (a *Activities) authorized(ctx context.Context, s order.State, paid payment.Result, now time.Time) (order.State, error) {
	e := s.Authorized(paid.PaymentID, now)
	if paid.State != payment.Authorized {
		e = s.Declined(paid.PaymentID, paid.Code, paid.Asynchronous, now)
	}
	then, err := s.Fold([]event.Record{{Stream: event.OrderStream(s.Order.ID), Version: s.Head.Version + 1, Entry: e}})
	if err != nil {
		return s, err
	}
	return a.append(ctx, s, append([]event.Entry{e}, order.Decisions(then, order.Facts{}, now, timing)...)...)
}
