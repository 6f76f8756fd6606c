package order_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/inventory"
	"github.com/ordersaga/ordersaga/internal/simulator"
	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
	"github.com/ordersaga/ordersaga/workflows/saga/sagatest"
)

// shop is stock and money over a log in memory.
type shop struct {
	ledger  *inventory.Ledger
	gateway *simulator.Simulator
	log     *memlog.Log
}

// onHand is how much there is of each SKU of an order.
const onHand = 10

func newShop(t testing.TB) sagatest.World[order.State, *order.Participants] {
	log := memlog.New()
	ledger, err := inventory.New(inventory.Config{Log: log, Registry: &inventory.MemoryRegistry{}, Temporary: order.Temporary})
	require.NoError(t, err)
	t.Cleanup(ledger.Close)
	for _, line := range append(valid().Lines, order.Line{SKU: shopSKU}) {
		_, err := ledger.Receive(context.Background(), line.SKU, onHand, "receipt")
		require.NoError(t, err)
	}
	gateway, err := simulator.New(simulator.Config{Log: log})
	require.NoError(t, err)
	s := &shop{ledger: ledger, gateway: gateway, log: log}
	return sagatest.World[order.State, *order.Participants]{
		Participants: &order.Participants{Stock: order.PerSKU(ledger), Gateway: gateway, Refunds: log}, Holds: s.holds,
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
	return s.paid(o)
}

// paid reports what is wrong with the money.
func (s *shop) paid(o order.State) error {
	completed := o.Status == order.StatusCompleted
	found, err := s.gateway.Lookup(context.Background(), payment.Payment{
		OrderID: o.ID, ID: o.PaymentID, Amount: o.Order.TotalAmount, Currency: o.Order.Currency, Method: o.Order.Payment.Method,
	})
	if err != nil {
		return err
	}
	back, err := s.givenBack(o.ID)
	switch {
	case err != nil:
		return err
	case completed && back != o.RefundedParcels():
		return fmt.Errorf("%d was given back, and not %d", back, o.RefundedParcels())
	case completed && back > 0 && found.State == payment.Refunded:
		return nil
	}
	switch found.State {
	case payment.Captured:
		if completed && o.Order.TotalAmount > 0 {
			return nil
		}
	case payment.Absent, payment.Undone, payment.Refused, payment.Refunded:
		if !completed || o.Order.TotalAmount == 0 && found.State == payment.Absent {
			return nil
		}
	}
	return fmt.Errorf("the order is %s, and its payment is %s", o.Status, found.State)
}

// givenBack is the money that the gateway has refunded.
func (s *shop) givenBack(orderID string) (amount int64, err error) {
	records, err := s.log.Read(context.Background(), event.PaymentStream(orderID), 0, 0)
	for _, r := range records {
		if r.Type == event.ChargeRefunded {
			err = errors.Join(err, event.DecodeInto(r.Event, func(c simulator.Charge) { amount += c.Amount }))
		}
	}
	return amount, err
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

// shopID and shopSKU are IDs of a shop.
const (
	shopID  = "gid://shopify/Order/123 ü"
	shopSKU = "ABC/1 ü 50%"
)

// ofShop gives an order the IDs of a shop.
func ofShop(o *order.Order) {
	o.ID, o.CustomerID = shopID, "auth0|5f7c8ec7"
	o.Lines[0].SKU = shopSKU
}

// free has an order cost nothing, without a payment.
func free(o *order.Order) {
	o.Payment = order.PaymentMethod{}
	for n := range o.Lines {
		o.Lines[n].UnitAmount = 0
	}
}

// voucher is a discount of all that an order costs.
func voucher(o *order.Order) {
	o.Payment = order.PaymentMethod{}
	o.Lines = append(o.Lines, order.Line{SKU: "voucher", Quantity: 1, UnitAmount: -o.Normalize().TotalAmount, Stocked: &no})
}

// unstocked has an order take no stock.
func unstocked(o *order.Order) {
	for n := range o.Lines {
		o.Lines[n].Stocked = &no
	}
}

// again orders the first SKU on two more lines, at another price and for nothing, of which there is just enough together.
func again(o *order.Order) {
	sku := o.Lines[0].SKU
	o.Lines = append(o.Lines, order.Line{SKU: sku, Quantity: onHand - 3, UnitAmount: 400}, order.Line{SKU: sku, Quantity: 1})
}

// oneTooMany is again, and one more.
func oneTooMany(o *order.Order) {
	again(o)
	o.Lines = append(o.Lines, order.Line{SKU: o.Lines[0].SKU, Quantity: 1})
}

// paid and sent are events from outside.
func paid(succeeded bool) sagatest.Arrival {
	return sagatest.Arrival{Row: order.StepAuthorize, Signal: order.SignalPayment, Payload: order.PaymentHint{ID: "p-1", Cause: "p-1", Succeeded: succeeded}}
}

func sent(row string, kind order.ShipmentKind) sagatest.Arrival {
	return sagatest.Arrival{Row: row, Signal: order.SignalShipment, Payload: order.ShipmentSignal{
		Kind: kind, ShipmentFact: order.ShipmentFact{ID: string(kind), Cause: string(kind)},
	}}
}

// inParcels are events about parcels, one after the other: the first is a dispatch, for which an order waits before the pivot. Each
// comes twice, with another ID.
func inParcels(events ...parcelEvent) []sagatest.Arrival {
	var arrivals []sagatest.Arrival
	for n, e := range events {
		for again := range 2 {
			a := sent(order.StepDeliver, e.kind)
			if n == 0 && again == 0 {
				a.Row = order.StepShip
			}
			id := fmt.Sprintf("%s-%d-%d", e.kind, n, again)
			a.Payload = order.ShipmentSignal{
				Kind: e.kind, ShipmentFact: order.ShipmentFact{ID: id, Cause: id, ParcelID: e.parcel, Lines: e.lines},
			}
			a.After = time.Duration(n)*10*time.Second + time.Duration(again+1)*time.Second
			arrivals = append(arrivals, a)
		}
	}
	return arrivals
}

// since has events come after one of the order.
func since(eventType string, arrivals []sagatest.Arrival) []sagatest.Arrival {
	for n := range arrivals {
		arrivals[n].Row, arrivals[n].Since = order.StepDeliver, eventType
	}
	return arrivals
}

// The two parcels of an order, and the one that is sent again.
var tea, pot = line(1, 2), line(2, 1)

// lostParcel is an order of which a parcel is lost, and a person decides about it.
func lostParcel(decision saga.ResolutionAction) sagatest.Journey {
	return sagatest.Journey{
		Name: "a parcel is lost: " + string(decision), Data: placed("tok_visa", shipped), End: saga.Completed, Decision: decision,
		Arrivals: inParcels(goes("p1", tea), goes("p2", pot), missed("p2"), arrives("p1")),
	}
}

// TestMatrix strikes every operation of orders with every fault, over the real stock ledger and the payment simulator; with
// ORDERSAGA_WHOLE_MATRIX=1 on every journey that comes by it.
func TestMatrix(t *testing.T) {
	sagatest.Matrix(t, sagatest.Cells[order.State, *order.Participants]{
		Flow: &order.Flow, Settings: order.DefaultTiming().Settings(true), NewWorld: newShop, Once: os.Getenv(wholeMatrix) == "",
		Journeys: []sagatest.Journey{
			{Name: "immediate", Data: placed("tok_visa", again), End: saga.Completed},
			{Name: "shipment", ID: shopID, Data: placed("tok_visa", ofShop, again, shipped), End: saga.Completed, Arrivals: []sagatest.Arrival{
				sent(order.StepShip, order.ShipmentDispatched), sent(order.StepDeliver, order.ShipmentDelivered),
			}},
			{Name: "paid later", Data: placed("tok_pending"), End: saga.Completed, Arrivals: []sagatest.Arrival{paid(true)}},
			{Name: "paid in vain", Data: placed("tok_pending"), End: saga.Rejected, Reason: order.ReasonPaymentFailed, Arrivals: []sagatest.Arrival{paid(false)}},
			{Name: "declined", Data: placed("tok_declined"), End: saga.Rejected, Reason: order.ReasonPaymentDeclined},
			{Name: "capture refused", Data: placed("tok_capture_refused"), End: saga.Rejected, Reason: order.ReasonCaptureRefused},
			{Name: "out of stock", Data: placed("tok_visa", tooMany), End: saga.Rejected, Reason: order.ReasonOutOfStock},
			lostParcel(saga.Refund),
			{Name: "one too many on several lines", Data: placed("tok_visa", oneTooMany), End: saga.Rejected, Reason: order.ReasonOutOfStock},
		},
	})
}

// wholeMatrix has every cell of every kind run.
const wholeMatrix = testenv.WholeMatrix

// TestMatrixOfKinds strikes orders of which steps do not apply: those beside them follow each other. It runs a quarter of the cells of one
// of the kinds, or all with ORDERSAGA_WHOLE_MATRIX=1.
func TestMatrixOfKinds(t *testing.T) {
	parcel := []sagatest.Arrival{sent(order.StepShip, order.ShipmentDispatched), sent(order.StepDeliver, order.ShipmentDelivered)}
	noRefund := []string{"refund/do"}
	runKinds(t, "", []kind{
		{"free", []sagatest.Journey{
			{Name: "shipment", ID: shopID, Data: placed("", free, shipped, ofShop), End: saga.Completed, Arrivals: parcel},
			{Name: "immediate", Data: placed("", free), End: saga.Completed},
			{Name: "voucher", Data: placed("", voucher), End: saga.Completed},
			{Name: "method that is not asked", Data: placed("tok_declined", voucher, func(o *order.Order) { o.Payment.Method = "tok_declined" }), End: saga.Completed},
			{Name: "out of stock", Data: placed("", free, tooMany), End: saga.Rejected, Reason: order.ReasonOutOfStock},
		}, slices.Concat(noMoney, noRefund)},
		{"unstocked", []sagatest.Journey{
			{Name: "shipment", ID: shopID, Data: placed("tok_visa", unstocked, shipped, ofShop), End: saga.Completed, Arrivals: parcel},
			{Name: "immediate", Data: placed("tok_visa", unstocked), End: saga.Completed},
			{Name: "paid later", Data: placed("tok_pending", unstocked), End: saga.Completed, Arrivals: []sagatest.Arrival{paid(true)}},
			{Name: "declined", Data: placed("tok_declined", unstocked), End: saga.Rejected, Reason: order.ReasonPaymentDeclined},
			{Name: "capture refused", Data: placed("tok_capture_refused", unstocked), End: saga.Rejected, Reason: order.ReasonCaptureRefused},
		}, slices.Concat(noStock, noRefund)},
		{"free and unstocked", []sagatest.Journey{
			{Name: "shipment", ID: shopID, Data: placed("", free, unstocked, shipped, ofShop), End: saga.Completed, Arrivals: parcel},
			{Name: "immediate", Data: placed("", free, unstocked), End: saga.Completed},
		}, slices.Concat(noMoney, noStock, noRefund)},
	})
}

// TestMatrixOfParcels strikes orders of two parcels. It runs a quarter of the cells of one of the kinds, or all with ORDERSAGA_WHOLE_MATRIX=1.
func TestMatrixOfParcels(t *testing.T) {
	always := []string{"reserve/lookup", "reserve/undo", "authorize/lookup", "authorize/undo", "capture/lookup"}
	noRefund := append([]string{"refund/do"}, always...)
	after := order.StepCommit // what comes before is struck by TestMatrix
	if os.Getenv(wholeMatrix) != "" {
		after = ""
	}
	resent := lostParcel(saga.Resend)
	resent.Arrivals = append(resent.Arrivals, since(event.OrderResendRequested, inParcels(goes("p3", pot), arrives("p3")))...)
	runKinds(t, after, []kind{
		{"in order", []sagatest.Journey{{
			Name: "in order", Data: placed("tok_visa", shipped), End: saga.Completed,
			Arrivals: inParcels(goes("p1", tea), goes("p2", pot), arrives("p1"), arrives("p2")),
		}}, noRefund},
		{"in reverse", []sagatest.Journey{{
			Name: "in reverse", Data: placed("tok_visa", shipped), End: saga.Completed,
			Arrivals: inParcels(goes("p1", tea), arrives("p2", pot), goes("p2", pot), arrives("p1")),
		}}, noRefund},
		{"refund", []sagatest.Journey{lostParcel(saga.Refund)}, always},
		{"resend", []sagatest.Journey{resent}, noRefund},
		{"skip", []sagatest.Journey{lostParcel(saga.Skip)}, noRefund},
	})
}

// kind is a kind of orders: journeys, and the operations that they do not reach.
type kind struct {
	name      string
	journeys  []sagatest.Journey
	unreached []string
}

// The operations of orders that cost nothing, and of those that take no stock.
var (
	noMoney = []string{"authorize/do", "authorize/undo", "authorize/lookup", "capture/do", "capture/lookup"}
	noStock = []string{"reserve/do", "reserve/undo", "reserve/lookup", "commit/do"}
)

// runKinds runs the cells of one of the kinds, or of all: those after a row, or all.
func runKinds(t *testing.T, after order.Step, kinds []kind) {
	t.Helper()
	cells := sagatest.Cells[order.State, *order.Participants]{
		Flow: &order.Flow, Settings: order.DefaultTiming().Settings(true), NewWorld: newShop, Once: os.Getenv(wholeMatrix) == "", After: after,
	}
	draw := testenv.Draw(t)
	sample := draw % len(kinds)
	if os.Getenv(wholeMatrix) == "" {
		cells.OneIn, cells.Draw = 4, draw/len(kinds)
	}
	for n, c := range kinds {
		if n != sample && os.Getenv(wholeMatrix) == "" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			cells := cells
			cells.Journeys, cells.Unreached = c.journeys, c.unreached
			sagatest.Matrix(t, cells)
		})
	}
}
