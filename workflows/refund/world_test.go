package refund_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/inventory"
	"github.com/ordersaga/ordersaga/internal/refunds"
	"github.com/ordersaga/ordersaga/internal/simulator"
	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/refund"
	"github.com/ordersaga/ordersaga/workflows/saga"
	"github.com/ordersaga/ordersaga/workflows/saga/sagatest"
)

func TestMain(m *testing.M) { testenv.Main(m) }

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// orderID is the order that is refunded, received is how much of each SKU there was before it.
const (
	orderID  = "shop-1"
	received = 10
)

// shop has completed orders in a log in memory, with their stock and their money.
type shop struct {
	*refund.Participants
	log    *memlog.Log
	stock  *inventory.Ledger
	orders order.Reader
}

func newShop(t testing.TB, method string) *shop {
	log := memlog.New()
	ledger, err := inventory.New(inventory.Config{Log: log, Registry: &inventory.MemoryRegistry{}, Temporary: order.Temporary})
	require.NoError(t, err)
	t.Cleanup(ledger.Close)
	gateway, err := simulator.New(simulator.Config{Log: log})
	require.NoError(t, err)
	reader := order.Reader{Log: log}
	s := &shop{log: log, stock: ledger, orders: reader, Participants: &refund.Participants{
		Orders: reader, Refunds: log, Gateway: gateway, Stock: ledger,
	}}
	s.complete(t, bought(orderID, method))
	return s
}

// bought is an order of two teas, which share a discount, and a fee.
func bought(id, method string) order.Order {
	unstocked := false
	return order.Order{
		ID: id, CustomerID: "c-1", Currency: "EUR", Payment: order.PaymentMethod{Method: method},
		Lines: []order.Line{
			{SKU: "tea", Quantity: 3, UnitAmount: 333},
			{SKU: "cup", Quantity: 1, UnitAmount: 100},
			{SKU: "fee", Quantity: 1, UnitAmount: 1, Stocked: &unstocked},
			{SKU: "discount", Quantity: 1, UnitAmount: -100, Stocked: &unstocked},
		},
	}.Normalize()
}

// events are the events of an order up to a type.
func events(o order.Order, until string) []event.Entry {
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
		entries = append(entries, event.New(stream, e.slot, e.eventType, o.ID, start, e.data))
		if e.eventType == until {
			break
		}
	}
	return entries
}

func (s *shop) complete(t require.TestingT, o order.Order) {
	ctx := context.Background()
	_, _, err := s.log.Append(ctx, event.OrderStream(o.ID), event.Head{}, events(o, event.OrderCompleted))
	require.NoError(t, err)
	for _, item := range o.Items() {
		_, err := s.stock.Receive(ctx, item.SKU, received, "receipt")
		require.NoError(t, err)
		_, err = s.stock.Reserve(ctx, o.ID, item.SKU, item.Quantity)
		require.NoError(t, err)
		require.NoError(t, s.stock.Commit(ctx, o.ID, item.SKU))
	}
	state, err := s.orders.Load(ctx, o.ID)
	require.NoError(t, err)
	pay := state.PaymentOf()
	_, err = s.Gateway.Authorize(ctx, pay.Key("authorize"), pay)
	require.NoError(t, err)
	_, err = s.Gateway.Capture(ctx, pay.Key("capture"), pay)
	require.NoError(t, err)
}

// paidBack is what the gateway has refunded of an order.
func (s *shop) paidBack(id string) (amount int64, err error) {
	records, err := s.log.Read(context.Background(), event.PaymentStream(id), 0, 0)
	for _, r := range records {
		if r.Type == event.ChargeRefunded && err == nil {
			err = event.DecodeInto(r.Event, func(c simulator.Charge) { amount += c.Amount })
		}
	}
	return amount, err
}

// holds reports what is wrong with money, ledger and stock when a refund has ended.
func (s *shop) holds(end refund.State) error {
	ctx := context.Background()
	ledger, err := refunds.Load(ctx, s.log, end.Request.OrderID)
	if err != nil {
		return err
	}
	back, err := s.paidBack(end.Request.OrderID)
	if err != nil {
		return err
	}
	r := ledger.ByKey[refund.Flow.StreamOf(end.ID)]
	switch outcome := end.Outcome(); {
	case outcome == refund.Refunded && (back != end.Amount || !r.Refunded):
		return fmt.Errorf("the refund of %d is %s, %d were paid back, and the reservation is %+v", end.Amount, outcome, back, r)
	case outcome == refund.Refused && (back != 0 || ledger.Reserved[refunds.Captured] != 0):
		return fmt.Errorf("the refund is %s, %d were paid back, %d are reserved", outcome, back, ledger.Reserved[refunds.Captured])
	case outcome != refund.Refunded && outcome != refund.Refused:
		return fmt.Errorf("the refund has ended and is %s", outcome)
	}
	want := int64(received - 3)
	if end.Request.Restock && end.Outcome() == refund.Refunded {
		want += end.Lines[0].Quantity
	}
	if balance, err := s.stock.Balance(ctx, "tea"); err != nil || balance.OnHand != want {
		return fmt.Errorf("%d are on hand, and not %d: %w", balance.OnHand, want, err)
	}
	return nil
}

// cellsFor are the ways that refunds of orders with a payment method go.
func cellsFor(method string, journeys ...sagatest.Journey) sagatest.Cells[refund.State, *refund.Participants] {
	return sagatest.Cells[refund.State, *refund.Participants]{
		Flow: &refund.Flow, Journeys: journeys,
		NewWorld: func(t testing.TB) sagatest.World[refund.State, *refund.Participants] {
			s := newShop(t, method)
			return sagatest.World[refund.State, *refund.Participants]{Participants: s.Participants, Holds: s.holds}
		},
	}
}

// data is the data of refund.accepted.
func data(id string, r refund.Request) any {
	if r.OrderID == "" {
		r.OrderID = orderID
	}
	return struct {
		ID string `json:"refundId"`
		refund.Request
	}{id, r}
}

func line(n, quantity int64) refund.RequestLine {
	return refund.RequestLine{Line: n, Quantity: quantity}
}
