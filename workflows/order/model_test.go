package order_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga/sagatest"
)

// start is how random orders begin, and what stock and gateway say.
var start = sagatest.Start[order.State]{
	Data: func(t *rapid.T) any {
		o := valid()
		o.Fulfillment = rapid.SampledFrom([]order.Fulfillment{order.Immediate, order.Shipment}).Draw(t, "fulfillment")
		for _, kind := range rapid.SampledFrom(kinds).Draw(t, "kind") {
			kind(&o)
		}
		o.ID = valid().ID // the model has IDs of its own
		return o.Normalize()
	},
	Answer: answer,
	Fact: func(t *rapid.T, eventType string) any {
		switch eventType {
		case event.PaymentSucceeded, event.PaymentFailed:
			return nil
		}
		d := order.ShipmentFact{ID: "e", Carrier: "dhl", TrackingNumber: rapid.SampledFrom([]string{"", "JD0001", "JD0002"}).Draw(t, "parcel")}
		if n := rapid.IntRange(0, 3).Draw(t, "line"); n > 0 {
			d.Lines = []order.ShipmentLine{{Line: n, Quantity: rapid.Int64Range(0, 3).Draw(t, "quantity")}}
		}
		return d
	},
	TurnBack: order.StockLost{SKU: "tea"},
	Settles:  map[string]string{order.StepCapture: order.StepAuthorize, order.StepCommit: order.StepReserve},
}

// kinds are what orders may be: of goods, free, without stocked lines, with one SKU on several lines, and of a shop.
var kinds = [][]func(*order.Order){
	{}, {free}, {voucher}, {unstocked}, {unstocked, free}, {again}, {ofShop}, {ofShop, again, voucher}, {ofShop, unstocked},
}

// answer is what a participant says.
func answer(t *rapid.T, s order.State, _, eventType string) (data any, held bool) {
	paid := map[string]any{"paymentId": "p1", "amount": s.Order.TotalAmount, "currency": s.Order.Currency}
	switch eventType {
	case event.InventoryRejected:
		held = len(s.Order.Items()) > 1 && rapid.Bool().Draw(t, "held")
		var lines []order.LineOutcome
		for n, item := range s.Order.Items() {
			l := order.LineOutcome{SKU: item.SKU, Quantity: item.Quantity, Reserved: held && n == 0}
			if !l.Reserved {
				l.Reason = order.ReasonOutOfStock
			}
			lines = append(lines, l)
		}
		return map[string]any{"reason": order.ReasonOutOfStock, "lines": lines, "held": held}, held
	case event.PaymentDeclined:
		return map[string]any{"paymentId": "p1", "reason": order.ReasonPaymentDeclined}, false
	case event.PaymentCaptureRefused:
		return map[string]any{"paymentId": "p1", "reason": order.ReasonCaptureRefused}, false
	case event.PaymentRefunded:
		for _, r := range s.Refunds {
			if !r.Settled {
				paid["amount"] = r.Amount
			}
		}
		return paid, false
	case event.PaymentPending, event.PaymentAuthorized, event.PaymentVoided, event.PaymentCaptured:
		return paid, false
	}
	return map[string]any{"lines": s.Order.Items()}, false
}

func TestDefinition(t *testing.T) { sagatest.Definition(t, &order.Flow, start) }

// TestModel runs orders through random answers, lost answers, signals at random moments, decisions of people, and runs that lose
// everything but the log.
func TestModel(t *testing.T) { sagatest.Model(t, &order.Flow, start) }
