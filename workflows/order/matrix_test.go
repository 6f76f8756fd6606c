package order_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/inventory"
	"github.com/ordersaga/ordersaga/internal/simulator"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
	"github.com/ordersaga/ordersaga/workflows/saga/sagatest"
)

// shop is stock and money over a log in memory.
type shop struct {
	ledger  *inventory.Ledger
	gateway *simulator.Simulator
}

// onHand is how much there is of each SKU of an order.
const onHand = 10

func newShop(t testing.TB) sagatest.World[order.State, *order.Participants] {
	log := memlog.New()
	ledger, err := inventory.New(inventory.Config{Log: log, Registry: &inventory.MemoryRegistry{}})
	require.NoError(t, err)
	t.Cleanup(ledger.Close)
	for _, line := range valid().Lines {
		_, err := ledger.Receive(context.Background(), line.SKU, onHand, "receipt")
		require.NoError(t, err)
	}
	gateway, err := simulator.New(simulator.Config{Log: log})
	require.NoError(t, err)
	s := &shop{ledger: ledger, gateway: gateway}
	return sagatest.World[order.State, *order.Participants]{
		Participants: &order.Participants{Stock: ledger, Gateway: gateway, Refunds: log}, Holds: s.holds,
	}
}

// holds reports what is wrong with stock and money: they have moved for a completed order, and only for it.
func (s *shop) holds(o order.State) error {
	completed := o.Status == order.StatusCompleted
	for _, item := range o.Order.Items() {
		balance, err := s.ledger.Balance(context.Background(), item.SKU)
		if item.Quantity > onHand {
			continue
		}
		want := int64(onHand)
		if completed {
			want -= item.Quantity
		}
		if err != nil || balance.OnHand != want || balance.Reserved != 0 {
			return fmt.Errorf("%s: %d on hand, %d reserved, not %d and none: %w", item.SKU, balance.OnHand, balance.Reserved, want, err)
		}
	}
	found, err := s.gateway.Lookup(context.Background(), payment.Payment{
		OrderID: o.ID, ID: o.PaymentID, Amount: o.Order.TotalAmount, Currency: o.Order.Currency, Method: o.Order.Payment.Method,
	})
	if err != nil {
		return err
	}
	switch found.State {
	case payment.Captured:
		if completed {
			return nil
		}
	case payment.Absent, payment.Undone, payment.Refused, payment.Refunded:
		if !completed {
			return nil
		}
	}
	return fmt.Errorf("the order is %s, and its payment is %s", o.Status, found.State)
}

// placed is an order that is paid by a method.
func placed(method string, spoil ...func(o *order.Order)) order.Order {
	o := valid()
	o.Payment.Method = method
	for _, f := range spoil {
		f(&o)
	}
	return o.Normalize()
}

func shipped(o *order.Order) { o.Fulfillment = order.Shipment }

func tooMany(o *order.Order) { o.Lines[1].Quantity = onHand + 1 }

// paid and sent are events from outside.
func paid(succeeded bool) sagatest.Arrival {
	return sagatest.Arrival{Row: order.StepAuthorize, Signal: order.SignalPayment, Payload: order.PaymentHint{ID: "p-1", Cause: "p-1", Succeeded: succeeded}}
}

func sent(row string, kind order.ShipmentKind) sagatest.Arrival {
	return sagatest.Arrival{Row: row, Signal: order.SignalShipment, Payload: order.ShipmentSignal{
		Kind: kind, ShipmentFact: order.ShipmentFact{ID: string(kind), Cause: string(kind)},
	}}
}

// TestMatrix strikes every operation of orders with every fault, over the real stock ledger and the payment simulator; with
// ORDERSAGA_WHOLE_MATRIX=1 on every journey that comes by it.
func TestMatrix(t *testing.T) {
	sagatest.Matrix(t, sagatest.Cells[order.State, *order.Participants]{
		Flow: &order.Flow, Settings: order.DefaultTiming().Settings(true), NewWorld: newShop, Once: os.Getenv("ORDERSAGA_WHOLE_MATRIX") == "",
		Journeys: []sagatest.Journey{
			{Name: "immediate", Data: placed("tok_visa"), End: saga.Completed},
			{Name: "shipment", Data: placed("tok_visa", shipped), End: saga.Completed, Arrivals: []sagatest.Arrival{
				sent(order.StepShip, order.ShipmentDispatched), sent(order.StepDeliver, order.ShipmentDelivered),
			}},
			{Name: "paid later", Data: placed("tok_pending"), End: saga.Completed, Arrivals: []sagatest.Arrival{paid(true)}},
			{Name: "paid in vain", Data: placed("tok_pending"), End: saga.Rejected, Reason: order.ReasonPaymentFailed, Arrivals: []sagatest.Arrival{paid(false)}},
			{Name: "declined", Data: placed("tok_declined"), End: saga.Rejected, Reason: order.ReasonPaymentDeclined},
			{Name: "capture refused", Data: placed("tok_capture_refused"), End: saga.Rejected, Reason: order.ReasonCaptureRefused},
			{Name: "out of stock", Data: placed("tok_visa", tooMany), End: saga.Rejected, Reason: order.ReasonOutOfStock},
		},
	})
}
