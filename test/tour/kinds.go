package tour

import (
	"net/http"
	"slices"

	"github.com/ordersaga/ordersaga/test/harness"
)

var (
	nothing   int64
	unstocked = false

	discount = harness.Line{SKU: "half price", Quantity: 2, UnitAmount: -500, Stocked: &unstocked}
	voucher  = harness.Line{SKU: "voucher #1001", Quantity: 1, UnitAmount: -2000, Stocked: &unstocked}
	delivery = harness.Line{SKU: "delivery/express", Quantity: 1, UnitAmount: 490, Stocked: &unstocked}
	download = harness.Line{SKU: "a free sample.pdf", Quantity: 1, Stocked: &unstocked}
)

// besides are further lines of a path with its SKU.
func besides(p path, lines ...harness.Line) path {
	for _, l := range lines {
		l.SKU = p.sku()
		p.lines = append(p.lines, l)
	}
	return p
}

// sent are the events of the parcel of an order.
var sent = []scene{
	publish("awaiting_shipment", "shipment.dispatched", map[string]any{"carrier": "dhl"}), publish("shipped", "shipment.delivered", nil),
}

// Timelines of orders that have no steps of the stock or of the payment.
var (
	giftTaken     = after("order.settling", "inventory.committed", "order.completed")
	giftSent      = after("order.confirmed", "order.shipped", "order.settling", "inventory.committed", "order.delivered", "order.completed")
	serviceTaken  = []string{"order.accepted", "payment.authorized", "order.settling", "payment.captured", "order.completed"}
	serviceSent   = append(slices.Clone(serviceAsked), "order.shipped", "order.settling", "payment.captured", "order.delivered", "order.completed")
	serviceAsked  = []string{"order.accepted", "payment.authorized", "order.confirmed"}
	notReserved   = []string{"order.accepted", "inventory.rejected", "order.rejected"}
	nothingToDo   = []string{"order.accepted", "order.settling", "order.completed"}
	nothingToSend = []string{"order.accepted", "order.confirmed", "order.shipped", "order.settling", "order.delivered", "order.completed"}
)

// kinds are orders of each kind: IDs, lines, amounts, currencies, and what they leave out of the saga.
var kinds = []path{
	{name: "id of a shop", id: "gid://shopify/Order/", method: "tok_visa", stock: 10, byEvent: true, status: "completed", timeline: completed},
	{name: "id of a shop over rest", id: "gid://shopify/Order/123 ü ", goods: "ABC/1 ü", customer: "auth0|5f7c8ec7", method: "tok_visa",
		stock: 10, status: "completed", timeline: completed},
	{name: "id of a shop, cancelled", id: "T3JkZXI6MjU= ", goods: "50% off? #2", method: "tok_visa", fulfillment: "shipment", stock: 10,
		status: "cancelled", reason: "requested", script: []scene{cancel("awaiting_shipment", http.StatusOK)},
		timeline: after("payment.authorized", "order.confirmed", "order.compensating", "order.fulfillment_withdrawn",
			"payment.voided", "inventory.released", "order.cancelled")},
	{name: "id of a shop, paid later", id: "#1001 ", method: "tok_pending", stock: 10, status: "completed",
		script: []scene{publish("awaiting_payment", "payment.succeeded", nil)},
		timeline: after("payment.pending", "payment.authorized", "order.settling", "payment.captured",
			"inventory.committed", "order.completed")},
	{name: "id of a shop, dispatched after the end", id: "auth0|5f7c8ec7 ", method: "tok_visa", fulfillment: "shipment", stock: 10,
		status: "cancelled", reason: "requested", script: []scene{cancel("awaiting_shipment", http.StatusOK)},
		timeline: after("payment.authorized", "order.confirmed", "order.compensating", "order.fulfillment_withdrawn",
			"payment.voided", "inventory.released", "order.cancelled"),
		afterEnd: []scene{
			publish("cancelled", "shipment.dispatched", map[string]any{"carrier": "dhl"}),
			decideLate("dispatch", harness.Decision{Action: "skip", Note: "the customer keeps it"}),
		},
		late: []string{"event.late", "order.needs_attention", "order.step_skipped", "order.attention_resolved"}},
	{name: "metadata", method: "tok_visa", stock: 10, status: "completed", timeline: completed,
		metadata: map[string]string{"utm_source": "spring/ü", "note for the warehouse": "leave it at the door", "empty": ""}},
	{name: "yen", currency: "jpy", method: "tok_visa", stock: 10, status: "completed", timeline: completed},
	{name: "dinars", currency: "KWD", method: "tok_visa", stock: 10, byEvent: true, status: "completed", timeline: completed},

	{name: "delivery and a discount", method: "tok_visa", stock: 10, lines: []harness.Line{delivery, discount}, status: "completed", timeline: completed},
	{name: "a sample beside the goods", method: "tok_visa", stock: 10, lines: []harness.Line{download}, status: "completed", timeline: completed},
	besides(path{name: "one sku on three lines", goods: "tea/green, 100 g", method: "tok_visa", stock: 6, status: "completed", timeline: completed},
		harness.Line{Quantity: 3, UnitAmount: 800}, harness.Line{Quantity: 1}),
	besides(path{name: "one sku on two lines, too few", method: "tok_visa", stock: 4, status: "rejected", reason: "out_of_stock", timeline: notReserved},
		harness.Line{Quantity: 3, UnitAmount: 800}),
	besides(path{name: "one sku on two lines, declined", method: "tok_declined", stock: 5, status: "rejected", reason: "payment_declined",
		timeline: after("payment.declined", "order.compensating", "inventory.released", "order.rejected")},
		harness.Line{Quantity: 3, UnitAmount: 800}),

	{name: "a gift", stock: 10, unitAmount: &nothing, status: "completed", timeline: giftTaken},
	{name: "a gift, shipped", stock: 10, unitAmount: &nothing, fulfillment: "shipment", script: sent, status: "completed", timeline: giftSent},
	{name: "a gift, out of stock", stock: 1, unitAmount: &nothing, status: "rejected", reason: "out_of_stock", timeline: notReserved},
	{name: "a gift, recalled", stock: 10, unitAmount: &nothing, fulfillment: "shipment", status: "cancelled", reason: "requested",
		script:   []scene{cancel("awaiting_shipment", http.StatusOK)},
		timeline: after("order.confirmed", "order.compensating", "order.fulfillment_withdrawn", "inventory.released", "order.cancelled")},
	{name: "a gift, never dispatched", stock: 10, unitAmount: &nothing, fulfillment: "shipment", overdue: true, status: "failed", reason: "shipment_timeout",
		timeline: after("order.confirmed", "order.compensating", "order.fulfillment_withdrawn", "inventory.released", "order.failed")},
	{name: "paid by voucher", stock: 10, lines: []harness.Line{voucher}, status: "completed", timeline: giftTaken},
	// The method of an order that costs nothing is not asked.
	{name: "paid by voucher, with a method", method: "tok_declined", stock: 10, lines: []harness.Line{voucher}, byEvent: true, status: "completed", timeline: giftTaken},

	{name: "a fee alone", method: "tok_visa", lines: []harness.Line{delivery}, linesOnly: true, status: "completed", timeline: serviceTaken},
	{name: "a fee, declined", method: "tok_declined", lines: []harness.Line{delivery}, linesOnly: true, status: "rejected", reason: "payment_declined",
		timeline: []string{"order.accepted", "payment.declined", "order.rejected"}},
	{name: "a fee, capture refused", method: "tok_capture_refused", lines: []harness.Line{delivery}, linesOnly: true, status: "rejected", reason: "capture_refused",
		timeline: []string{
			"order.accepted", "payment.authorized", "order.settling", "payment.capture_refused", "order.compensating", "payment.voided", "order.rejected",
		}},
	{name: "made to order, shipped", method: "tok_visa", lines: []harness.Line{delivery}, linesOnly: true, fulfillment: "shipment", script: sent,
		status: "completed", timeline: serviceSent},
	{name: "made to order, recalled", method: "tok_visa", lines: []harness.Line{delivery}, linesOnly: true, fulfillment: "shipment",
		status: "cancelled", reason: "requested", script: []scene{cancel("awaiting_shipment", http.StatusOK)},
		timeline: append(slices.Clone(serviceAsked), "order.compensating", "order.fulfillment_withdrawn", "payment.voided", "order.cancelled")},
	{name: "a free download", lines: []harness.Line{download}, linesOnly: true, status: "completed", timeline: nothingToDo},
	{name: "a free service, shipped", lines: []harness.Line{download}, linesOnly: true, fulfillment: "shipment", script: sent,
		status: "completed", timeline: nothingToSend},
	{name: "a free service, recalled", lines: []harness.Line{download}, linesOnly: true, fulfillment: "shipment",
		status: "cancelled", reason: "requested", script: []scene{cancel("awaiting_shipment", http.StatusOK)},
		timeline: []string{"order.accepted", "order.confirmed", "order.compensating", "order.fulfillment_withdrawn", "order.cancelled"}},
}
