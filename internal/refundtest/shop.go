// Package refundtest has a shop in memory for tests of flows that give money back: completed orders, with their stock and their money. It may import
// everything that the flow of refunds may, the stock ledger, the simulator and testing. Only tests import it.
package refundtest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/inventory"
	"github.com/ordersaga/ordersaga/internal/simulator"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/refund"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// OrderID is the order that NewShop completes, Received is how much of each SKU there was before it.
const (
	OrderID  = "shop-1"
	Received = 10
)

// Start is the time of the events of orders.
var Start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// Now is Start, as a clock.
func Now() time.Time { return Start }

// Shop has completed orders in a log, their stock and a payment gateway.
type Shop struct {
	Log     *memlog.Log
	Stock   *inventory.Ledger
	Orders  order.Reader
	Gateway payment.Gateway
}

// NewShop returns a shop in which an order is completed.
func NewShop(t testing.TB, o order.Order) *Shop {
	log := memlog.New()
	ledger, err := inventory.New(inventory.Config{Log: log, Registry: &inventory.MemoryRegistry{}, Temporary: order.Temporary})
	require.NoError(t, err)
	t.Cleanup(ledger.Close)
	gateway, err := simulator.New(simulator.Config{Log: log})
	require.NoError(t, err)
	s := &Shop{log, ledger, order.Reader{Log: log}, gateway}
	s.Complete(t, o)
	return s
}

// Refunds are what the steps of refunds call.
func (s *Shop) Refunds() *refund.Participants {
	return &refund.Participants{Orders: s.Orders, Refunds: s.Log, Gateway: s.Gateway, Stock: s.Stock}
}

// Order is an order in EUR.
func Order(id, method string, lines ...order.Line) order.Order {
	return order.Order{ID: id, CustomerID: "c-1", Currency: "EUR", Payment: order.PaymentMethod{Method: method}, Lines: lines}.Normalize()
}

// Unstocked is a line that takes no stock.
func Unstocked(sku string, quantity, unitAmount int64) order.Line {
	stocked := false
	return order.Line{SKU: sku, Quantity: quantity, UnitAmount: unitAmount, Stocked: &stocked}
}

// Line is a line of a request, by its position.
func Line(n, quantity int64) refund.RequestLine {
	return refund.RequestLine{Line: n, Quantity: quantity}
}

// Events are the events of an order up to a type.
func Events(o order.Order, until string) []event.Entry {
	stream := event.OrderStream(o.ID)
	ref, paid := order.Ref{OrderID: o.ID}, order.PaymentData{OrderID: o.ID, Amount: o.TotalAmount, Currency: o.Currency}
	items := order.Items{OrderID: o.ID, Lines: o.Items()}
	var entries []event.Entry
	for _, e := range []struct {
		slot, eventType string
		data            any
	}{
		{order.SlotAccept, event.OrderAccepted, o},
		{order.SlotReserve, event.InventoryReserved, items},
		{order.SlotAuthorize, event.PaymentAuthorized, paid},
		{order.SlotDecide, event.OrderSettling, ref},
		{order.SlotCapture, event.PaymentCaptured, paid},
		{order.SlotCommit, event.InventoryCommitted, items},
		{order.SlotEnd, event.OrderCompleted, order.Ending{OrderID: o.ID, Outcome: saga.Completed, TotalAmount: o.TotalAmount, Currency: o.Currency}},
	} {
		entries = append(entries, event.New(stream, e.slot, e.eventType, o.ID, Start, e.data))
		if e.eventType == until {
			break
		}
	}
	return entries
}

// Complete has an order completed: its stock is committed, its payment captured.
func (s *Shop) Complete(t require.TestingT, o order.Order) {
	ctx := context.Background()
	_, _, err := s.Log.Append(ctx, event.OrderStream(o.ID), event.Head{}, Events(o, event.OrderCompleted))
	require.NoError(t, err)
	for _, item := range o.Items() {
		_, err := s.Stock.Receive(ctx, item.SKU, Received, "receipt")
		require.NoError(t, err)
		_, err = s.Stock.Reserve(ctx, o.ID, item.SKU, item.Quantity)
		require.NoError(t, err)
		require.NoError(t, s.Stock.Commit(ctx, o.ID, item.SKU))
	}
	state, err := s.Orders.Load(ctx, o.ID)
	require.NoError(t, err)
	pay := state.PaymentOf()
	_, err = s.Gateway.Authorize(ctx, pay.Key("authorize"), pay)
	require.NoError(t, err)
	_, err = s.Gateway.Capture(ctx, pay.Key("capture"), pay)
	require.NoError(t, err)
}

// PaidBack is what the gateway has refunded of an order.
func (s *Shop) PaidBack(id string) (amount int64, err error) {
	records, err := s.Log.Read(context.Background(), event.PaymentStream(id), 0, 0)
	for _, r := range records {
		if r.Type == event.ChargeRefunded && err == nil {
			err = event.DecodeInto(r.Event, func(c simulator.Charge) { amount += c.Amount })
		}
	}
	return amount, err
}
