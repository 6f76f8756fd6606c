package main

import (
	"fmt"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/inventory"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// placed is an order that is filled in.
type placed struct {
	id, customer, sku string
	at                time.Time
	// waits reports whether it waits for its shipment; the others are completed.
	waits bool
}

// timing is how long orders wait; nothing here waits so long.
var timing = order.Timing{
	PaymentPending: time.Hour, Shipment: time.Hour, Delivery: time.Hour, Reserve: time.Hour, Authorize: time.Hour, Attention: time.Hour,
}

// saga makes the stream of an order: what its events say is decided by the order's own rules.
type saga struct {
	placed
	state   order.State
	entries []event.Entry
}

// stream returns the entries of an order's stream and the state that they fold to.
func (p placed) stream() ([]event.Entry, order.State, error) {
	s := &saga{placed: p}
	o := order.Order{
		ID: p.id, CustomerID: p.customer, Currency: "EUR", Lines: []order.Line{{SKU: p.sku, Quantity: 1, UnitAmount: 1999}},
		Payment: order.PaymentMethod{Method: "tok_visa"}, Fulfillment: order.Immediate,
	}
	if p.waits {
		o.Fulfillment = order.Shipment
	}
	o = o.Normalize()
	payment := event.DerivedID("payment", p.id)
	steps := []func() []event.Entry{
		func() []event.Entry { return []event.Entry{order.Accept(o, p.id, "", p.at)} },
		func() []event.Entry {
			return []event.Entry{s.state.Reserved([]order.LineOutcome{{SKU: p.sku, Quantity: 1, Reserved: true}}, p.at)}
		},
		func() []event.Entry { return []event.Entry{s.state.Authorized(payment, p.at)} },
	}
	if p.waits {
		steps = append(steps, func() []event.Entry {
			return []event.Entry{event.New(event.OrderStream(p.id), order.SlotConfirm, event.OrderConfirmed, p.id, p.at,
				order.Items{OrderID: p.id, Lines: []order.Item{{SKU: p.sku, Quantity: 1}}}).CausedBy(p.id, s.state.LastEventID)}
		})
	} else {
		steps = append(steps, s.decided,
			func() []event.Entry { return []event.Entry{s.state.Captured(payment, p.at)} },
			func() []event.Entry { return []event.Entry{s.state.CommittedStock(p.at)} },
			s.decided)
	}
	for _, step := range steps {
		if err := s.add(step()); err != nil {
			return nil, order.State{}, err
		}
	}
	return s.entries, s.state, nil
}

// decided is what follows from the events before.
func (s *saga) decided() []event.Entry { return order.Decisions(s.state, order.Facts{}, s.at, timing) }

func (s *saga) add(entries []event.Entry) error {
	records, err := eventlog.Seal(event.OrderStream(s.id), s.state.Head, entries)
	if err != nil {
		return err
	}
	if s.state, err = s.state.Fold(records); err != nil {
		return err
	}
	s.entries = append(s.entries, entries...)
	return nil
}

// openedWith is what a SKU is opened with: more than is ever sold.
const openedWith = 1_000_000

// shelf makes the stream of a SKU.
type shelf struct {
	sku              string
	onHand, reserved int64
	entries          []event.Entry
}

func (s *shelf) add(key, kind, orderID string, at time.Time, quantity int64) {
	m := inventory.Movement{SKU: s.sku, OrderID: orderID, Quantity: quantity, OnHand: s.onHand, Reserved: s.reserved}
	if orderID == "" {
		m.ID = "opened"
	}
	s.entries = append(s.entries, event.New(event.StockStream(s.sku), key, kind, s.sku, at, m))
}

// open puts the stock on the shelf.
func (s *shelf) open(at time.Time) {
	s.onHand = openedWith
	s.add("opened/receipt", event.StockAdded, "", at, openedWith)
}

// sell takes what an order takes.
func (s *shelf) sell(p placed) {
	s.reserved++
	s.add(inventory.ReserveKey(p.id), event.StockReserved, p.id, p.at, 1)
	if !p.waits {
		s.reserved--
		s.onHand--
		s.add(inventory.SettleKey(p.id), event.StockCommitted, p.id, p.at, 1)
	}
}

// skuName is the name of SKU number n; number 0 is the hot one.
func skuName(n int) string { return fmt.Sprintf("SKU-%07d", n) }
