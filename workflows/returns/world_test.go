package returns_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
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
	"github.com/ordersaga/ordersaga/workflows/returns"
	"github.com/ordersaga/ordersaga/workflows/saga"
	"github.com/ordersaga/ordersaga/workflows/saga/sagatest"
)

func TestMain(m *testing.M) { testenv.Main(m) }

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// orderID is the order whose goods come back, stocked is how much of each SKU there was before it.
const (
	orderID = "shop-1"
	stocked = 10
)

// shop has completed orders in a log in memory, with their stock and their money.
type shop struct {
	*returns.Participants
	log     *memlog.Log
	stock   *inventory.Ledger
	orders  order.Reader
	refunds *refunder
}

func newShop(t testing.TB, method string) *shop {
	log := memlog.New()
	ledger, err := inventory.New(inventory.Config{Log: log, Registry: &inventory.MemoryRegistry{}, Temporary: order.Temporary})
	require.NoError(t, err)
	t.Cleanup(ledger.Close)
	gateway, err := simulator.New(simulator.Config{Log: log})
	require.NoError(t, err)
	reader := order.Reader{Log: log}
	s := &shop{log: log, stock: ledger, orders: reader, refunds: &refunder{
		log: log, Participants: &refund.Participants{Orders: reader, Refunds: log, Gateway: gateway, Stock: ledger},
	}}
	s.Participants = &returns.Participants{Orders: reader, Ledger: log, Refunds: s.refunds, Stock: ledger}
	s.complete(t, bought(orderID, method))
	return s
}

// bought is an order of three teas, two cups and a fee.
func bought(id, method string) order.Order {
	unstocked := false
	return order.Order{
		ID: id, CustomerID: "c-1", Currency: "EUR", Payment: order.PaymentMethod{Method: method},
		Lines: []order.Line{
			{SKU: "tea", Quantity: 3, UnitAmount: 333}, {SKU: "cup", Quantity: 2, UnitAmount: 100},
			{SKU: "fee", Quantity: 1, UnitAmount: 1, Stocked: &unstocked}, {SKU: "sample", Quantity: 1},
		},
	}.Normalize()
}

func (s *shop) complete(t require.TestingT, o order.Order) {
	ctx, stream := context.Background(), event.OrderStream(o.ID)
	ref, paid := order.Ref{OrderID: o.ID}, order.PaymentData{OrderID: o.ID, Amount: o.TotalAmount, Currency: o.Currency}
	items := order.Items{OrderID: o.ID, Lines: o.Items()}
	_, _, err := s.log.Append(ctx, stream, event.Head{}, []event.Entry{
		event.New(stream, order.SlotAccept, event.OrderAccepted, o.ID, start, o),
		event.New(stream, order.SlotReserve, event.InventoryReserved, o.ID, start, items),
		event.New(stream, order.SlotAuthorize, event.PaymentAuthorized, o.ID, start, paid),
		event.New(stream, order.SlotDecide, event.OrderSettling, o.ID, start, ref),
		event.New(stream, order.SlotCapture, event.PaymentCaptured, o.ID, start, paid),
		event.New(stream, order.SlotCommit, event.InventoryCommitted, o.ID, start, items),
		event.New(stream, order.SlotEnd, event.OrderCompleted, o.ID, start,
			order.Ending{OrderID: o.ID, Outcome: saga.Completed, TotalAmount: o.TotalAmount, Currency: o.Currency}),
	})
	require.NoError(t, err)
	for _, item := range o.Items() {
		_, err := s.stock.Receive(ctx, item.SKU, stocked, "receipt")
		require.NoError(t, err)
		_, err = s.stock.Reserve(ctx, o.ID, item.SKU, item.Quantity)
		require.NoError(t, err)
		require.NoError(t, s.stock.Commit(ctx, o.ID, item.SKU))
	}
	state, err := s.orders.Load(ctx, o.ID)
	require.NoError(t, err)
	pay := state.PaymentOf()
	_, err = s.refunds.Gateway.Authorize(ctx, pay.Key("authorize"), pay)
	require.NoError(t, err)
	_, err = s.refunds.Gateway.Capture(ctx, pay.Key("capture"), pay)
	require.NoError(t, err)
}

// refunder runs refund sagas, one after the other.
type refunder struct {
	*refund.Participants
	log *memlog.Log
	mu  sync.Mutex
}

// Refund implements returns.Refunds. A refund whose step fails goes on with the next call.
func (r *refunder) Refund(ctx context.Context, id, correlationID string, request refund.Request) (refund.State, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	in := saga.OpenInput{ID: id, Data: saga.Object("refundId", id, request), CorrelationID: correlationID}
	state, _ := sagatest.Drive(context.WithoutCancel(ctx), &refund.Flow, r.Participants, r.log, in, start)
	return state, nil
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

// holds reports what is wrong with money, ledger and stock when a return has ended.
func (s *shop) holds(end returns.State) error {
	ctx := context.Background()
	ledger, err := refunds.Load(ctx, s.log, orderID)
	if err != nil {
		return err
	}
	back, err := s.paidBack(orderID)
	if err != nil {
		return err
	}
	came, price := map[string]int64{}, int64(0)
	for _, l := range end.Lines {
		came[l.SKU] += l.Received
		price += l.Received * map[string]int64{"tea": 333, "cup": 100, "fee": 1}[l.SKU]
	}
	held := ledger.Returns[returns.Flow.StreamOf(end.ID)]
	for _, l := range end.Lines {
		if end.Outcome() == returns.Completed && held.Quantity(l.Line) != l.Received {
			return fmt.Errorf("%d of line %d were received, and the ledger has %+v", l.Received, l.Line, held)
		}
	}
	refundSkipped, restockSkipped := byHand(end, returns.StepRefund), byHand(end, returns.StepRestock)
	switch outcome := end.Outcome(); {
	case outcome == returns.Completed && *end.Request.Refund && !refundSkipped && (back != price || end.Amount != price):
		return fmt.Errorf("goods of %d came back, the return says %d, and the gateway has refunded %d", price, end.Amount, back)
	case outcome == returns.Completed && !*end.Request.Refund && back != 0:
		return fmt.Errorf("%d were refunded, and no refund was requested", back)
	case (outcome == returns.Refused || outcome == returns.Expired) && (back != 0 || len(held.Lines) > 0):
		return fmt.Errorf("the return is %s, %d were refunded, %+v is reserved", outcome, back, held)
	case outcome != returns.Completed && outcome != returns.Refused && outcome != returns.Expired:
		return fmt.Errorf("the return has ended and is %s", outcome)
	}
	for sku, bought := range map[string]int64{"tea": 3, "cup": 2} {
		want := stocked - bought
		if *end.Request.Restock && end.Outcome() == returns.Completed {
			want += came[sku]
		}
		balance, err := s.stock.Balance(ctx, sku)
		if err != nil || balance.OnHand != want && !restockSkipped {
			return fmt.Errorf("%d of %s are on hand, and not %d: %w", balance.OnHand, sku, want, err)
		}
	}
	return nil
}

// byHand reports whether a person has settled a step.
func byHand(s returns.State, step string) bool {
	_, is := s.Settled(step, false)
	return is
}

// cellsFor are the ways that returns of orders with a payment method go.
func cellsFor(method string, journeys ...sagatest.Journey) sagatest.Cells[returns.State, *returns.Participants] {
	return sagatest.Cells[returns.State, *returns.Participants]{
		Flow: &returns.Flow, Journeys: journeys,
		NewWorld: func(t testing.TB) sagatest.World[returns.State, *returns.Participants] {
			s := newShop(t, method)
			return sagatest.World[returns.State, *returns.Participants]{Participants: s.Participants, Holds: s.holds}
		},
	}
}

// data is the data of return.accepted.
func data(id string, r returns.Request) any {
	yes := true
	if r.OrderID == "" {
		r.OrderID = orderID
	}
	if r.Refund == nil {
		r.Refund = &yes
	}
	if r.Restock == nil {
		r.Restock = &yes
	}
	return struct {
		ID string `json:"returnId"`
		returns.Request
	}{id, r}
}

func line(n, quantity int64) refund.RequestLine {
	return refund.RequestLine{Line: n, Quantity: quantity}
}

// arrived is a receipt of the warehouse.
func arrived(id string, lines ...refund.RequestLine) sagatest.Arrival {
	raw, _ := json.Marshal(returns.Receipt{Lines: lines})
	return sagatest.Arrival{
		Row: returns.StepReceive, Payload: saga.Fact{Type: event.ReturnReceived, ID: id, Cause: id, Part: id, Data: raw},
	}
}
