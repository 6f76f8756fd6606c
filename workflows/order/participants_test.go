package order_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/participant"
	"github.com/ordersaga/ordersaga/internal/participant/participanttest"
	"github.com/ordersaga/ordersaga/internal/simulator"
	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
	"github.com/ordersaga/ordersaga/workflows/saga/sagatest"
)

// remoteShop is stock and money of services that are called over HTTP, and that lose, delay and repeat requests and lose answers.
type remoteShop struct {
	shop
	goods  *participanttest.Stock
	faults *participanttest.Faults
}

// remoteGateway is a payment service whose pending payments its provider decides.
type remoteGateway struct {
	*participant.Payments
	provider payment.Settler
}

func (g remoteGateway) Settle(ctx context.Context, p payment.Payment, succeeded bool, code string) error {
	return g.provider.Settle(ctx, p, succeeded, code)
}

// oneFaultIn is how often each fault happens: to one request in so many.
const oneFaultIn = 12

// newRemoteShop makes the worlds of cells. The faults of a cell depend on the seed and the cell's name: cells run in parallel, in any order.
func newRemoteShop(seed uint64) func(t testing.TB) sagatest.World[order.State, *order.Participants] {
	return func(t testing.TB) sagatest.World[order.State, *order.Participants] {
		log, onHandOf := memlog.New(), map[string]int64{shopSKU: onHand}
		for _, line := range valid().Lines {
			onHandOf[line.SKU] = onHand
		}
		provider, err := simulator.New(simulator.Config{Log: log})
		require.NoError(t, err)
		payments, err := participanttest.NewPayments(provider, "")
		require.NoError(t, err)
		goods, err := participanttest.NewStock(onHandOf, "")
		require.NoError(t, err)
		reference, err := participanttest.New(payments, goods, "")
		require.NoError(t, err)
		s := &remoteShop{shop: shop{gateway: provider, log: log}, goods: goods, faults: participanttest.NewFaults(reference)}
		name := fnv.New64a()
		_, _ = name.Write([]byte(t.Name()))
		s.faults.Random(rand.New(rand.NewPCG(seed, name.Sum64())), oneFaultIn)
		server := httptest.NewServer(s.faults)
		t.Cleanup(server.Close)
		t.Cleanup(s.faults.Settle)
		// Workflow time jumps over the pauses between attempts: a breaker would be open for all of them.
		config := participant.Config{URL: server.URL, Failures: 1 << 30}
		config.Name = "payment"
		gateway, err := participant.NewPayments(config)
		require.NoError(t, err)
		config.Name = "inventory"
		warehouse, err := participant.NewWarehouse(config)
		require.NoError(t, err)
		t.Cleanup(gateway.Close)
		t.Cleanup(warehouse.Close)
		return sagatest.World[order.State, *order.Participants]{
			Participants: &order.Participants{Stock: warehouse, Gateway: remoteGateway{gateway, provider}, Refunds: log}, Holds: s.holds,
		}
	}
}

// holds reports what is wrong with stock and money, after requests that were delayed.
func (s *remoteShop) holds(o order.State) error {
	s.faults.Settle()
	for _, item := range o.Order.Items() {
		if item.Quantity > onHand {
			continue
		}
		want := int64(onHand)
		if o.Status == order.StatusCompleted {
			want -= item.Quantity
		}
		if have, held := s.goods.Balance(item.SKU); have != want || held != 0 {
			return fmt.Errorf("%s: %d on hand, %d reserved, not %d and none", item.SKU, have, held, want)
		}
	}
	return s.paid(o)
}

// TestMatrixOverHTTP strikes every operation of orders whose participants are called over HTTP, through connections that lose, delay and repeat
// requests and lose answers. Calls run as regular activities from the start, or first inside the workflow task. It runs a sample of the cells, or all
// with ORDERSAGA_WHOLE_MATRIX=1.
func TestMatrixOverHTTP(t *testing.T) {
	draw := testenv.Draw(t)
	for name, budget := range map[string]time.Duration{"regular": -1, "inline first": sagatest.Timeout} {
		t.Run(name, func(t *testing.T) { testMatrixOverHTTP(t, draw, budget) })
	}
}

func testMatrixOverHTTP(t *testing.T, draw int, budget time.Duration) {
	settings := order.DefaultTiming().Settings(false)
	settings.Inline = budget
	settings.Slow = []string{order.StepReserve, order.StepCommit}
	cells := sagatest.Cells[order.State, *order.Participants]{
		Flow: &order.Flow, Settings: settings, NewWorld: newRemoteShop(uint64(draw)), Once: os.Getenv(wholeMatrix) == "",
		Journeys: []sagatest.Journey{
			{Name: "immediate", Data: placed("tok_visa", again), End: saga.Completed},
			{Name: "shipment", ID: shopID, Data: placed("tok_visa", ofShop, again, shipped), End: saga.Completed, Arrivals: []sagatest.Arrival{
				sent(order.StepShip, order.ShipmentDispatched), sent(order.StepDeliver, order.ShipmentDelivered),
			}},
			{Name: "paid later", Data: placed("tok_pending"), End: saga.Completed, Arrivals: []sagatest.Arrival{paid(true)}},
			{Name: "declined", Data: placed("tok_declined"), End: saga.Rejected, Reason: order.ReasonPaymentDeclined},
			{Name: "capture refused", Data: placed("tok_capture_refused"), End: saga.Rejected, Reason: order.ReasonCaptureRefused},
			{Name: "out of stock", Data: placed("tok_visa", tooMany), End: saga.Rejected, Reason: order.ReasonOutOfStock},
			lostParcel(saga.Refund),
		},
	}
	if os.Getenv(wholeMatrix) == "" {
		cells.OneIn, cells.Draw = 8, draw
	}
	sagatest.Matrix(t, cells)
}
