package returns_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/refunds"
	"github.com/ordersaga/ordersaga/internal/refundtest"
	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/refund"
	"github.com/ordersaga/ordersaga/workflows/returns"
	"github.com/ordersaga/ordersaga/workflows/saga"
	"github.com/ordersaga/ordersaga/workflows/saga/sagatest"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// orderID is the order whose goods come back.
const orderID = refundtest.OrderID

var line = refundtest.Line

// shop has completed orders, and what the steps of returns call.
type shop struct {
	*refundtest.Shop
	*returns.Participants
	refunds *refunder
}

func newShop(t testing.TB, method string) *shop {
	s := refundtest.NewShop(t, bought(orderID, method))
	r := &refunder{log: s.Log, Participants: s.Refunds()}
	return &shop{s, &returns.Participants{Orders: s.Orders, Ledger: s.Log, Refunds: r, Stock: s.Stock}, r}
}

// bought is an order of three teas, two cups, a fee and a sample.
func bought(id, method string) order.Order {
	return refundtest.Order(id, method,
		order.Line{SKU: "tea", Quantity: 3, UnitAmount: 333}, order.Line{SKU: "cup", Quantity: 2, UnitAmount: 100},
		refundtest.Unstocked("fee", 1, 1), order.Line{SKU: "sample", Quantity: 1})
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
	state, _ := sagatest.Drive(context.WithoutCancel(ctx), &refund.Flow, r.Participants, r.log, in, refundtest.Start)
	return state, nil
}

// holds reports what is wrong with money, ledger and stock when a return has ended.
func (s *shop) holds(end returns.State) error {
	ctx := context.Background()
	ledger, err := refunds.Load(ctx, s.Log, orderID)
	if err != nil {
		return err
	}
	back, err := s.PaidBack(orderID)
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
		want := refundtest.Received - bought
		if *end.Request.Restock && end.Outcome() == returns.Completed {
			want += came[sku]
		}
		balance, err := s.Shop.Stock.Balance(ctx, sku)
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

// arrived is a receipt of the warehouse.
func arrived(id string, lines ...refund.RequestLine) sagatest.Arrival {
	raw, _ := json.Marshal(returns.Receipt{Lines: lines})
	return sagatest.Arrival{
		Row: returns.StepReceive, Payload: saga.Fact{Type: event.ReturnReceived, ID: id, Cause: id, Part: id, Data: raw},
	}
}
