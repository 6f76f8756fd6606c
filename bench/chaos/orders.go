package main

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/ordersaga/ordersaga/test/harness"
)

// Terminal events of orders.
const (
	completed = "order.completed"
	rejected  = "order.rejected"
	cancelled = "order.cancelled"
	failed    = "order.failed"
)

// act is what the shop, the payer, the warehouse or the carrier does.
type act struct {
	// event is the type of the event that is published; cancelREST cancels over REST instead, placeAgain publishes the order again.
	event string
	data  map[string]any
}

const (
	cancelREST = "cancel over REST"
	placeAgain = "place again"
)

// kind is a kind of order.
type kind struct {
	name   string
	weight int
	method string
	// shipment reports whether it is shipped.
	shipment bool
	// scarce orders compete for a SKU of which little is left; lines are ordered besides, and gifts cost nothing.
	scarce, gift bool
	lines        []harness.Line
	// on says what is done when the order has an event.
	on map[string][]act
	// ends are the terminal events that it may have. A step that is unavailable past its deadline may fail any order.
	ends []string
	// reasons are why it may fail besides.
	reasons []string
	// stuck are the steps that do not succeed when they are retried.
	stuck []string
}

func on(event string, acts ...act) map[string][]act { return map[string][]act{event: acts} }

func parcel(id string) map[string]any {
	return map[string]any{"parcelId": id, "lines": []map[string]any{{"line": 1, "quantity": 1}}}
}

var unstocked = false

// orderKinds are all kinds. Weights are parts of their sum.
var orderKinds = []kind{
	{name: "immediate", weight: 26, method: "tok_visa", ends: []string{completed}},
	{name: "several SKUs", weight: 5, method: "tok_visa", ends: []string{completed}, lines: []harness.Line{{SKU: "chaos-b", Quantity: 1, UnitAmount: 300}, {SKU: "chaos-c", Quantity: 3, UnitAmount: 50}}},
	{name: "fees and discount", weight: 2, method: "tok_visa", ends: []string{completed}, lines: []harness.Line{{SKU: "delivery", Quantity: 1, UnitAmount: 490, Stocked: &unstocked}, {SKU: "discount", Quantity: 1, UnitAmount: -200, Stocked: &unstocked}}},
	{name: "gift", weight: 1, gift: true, ends: []string{completed}},
	{name: "placed again", weight: 3, method: "tok_visa", ends: []string{completed}, on: on(completed, act{event: placeAgain})},
	{name: "scarce", weight: 8, method: "tok_visa", scarce: true, ends: []string{completed, rejected}},
	{name: "declined", weight: 5, method: "tok_declined", ends: []string{rejected}},
	{name: "insufficient funds", weight: 2, method: "tok_insufficient_funds", ends: []string{rejected}},
	{name: "gateway timed out", weight: 4, method: "tok_timeout", ends: []string{completed}},
	{name: "gateway unavailable", weight: 2, method: "tok_unavailable", ends: []string{completed}},
	{name: "capture refused", weight: 3, method: "tok_capture_refused", ends: []string{rejected}},
	{name: "capture stuck", weight: 1, method: "tok_capture_stuck", stuck: []string{"capture"}, ends: []string{completed, failed}},
	{name: "capture late", weight: 2, method: "tok_capture_late", stuck: []string{"capture"}, ends: []string{completed, failed}},
	{name: "cancelled at once", weight: 3, method: "tok_visa", ends: []string{completed, cancelled}, on: on("order.accepted", act{event: cancelREST})},
	{name: "cancelled at once by event", weight: 2, method: "tok_visa", ends: []string{completed, cancelled}, on: on("order.accepted", act{event: "order.cancellation_requested"})},

	{name: "paid later", weight: 4, method: "tok_pending", ends: []string{completed, failed}, reasons: late, on: on("payment.pending", act{event: "payment.succeeded"})},
	{name: "payment failed later", weight: 3, method: "tok_pending", ends: []string{rejected, failed}, reasons: late, on: on("payment.pending", act{event: "payment.failed", data: map[string]any{"code": "expired_card"}})},
	{name: "cancelled while unpaid", weight: 2, method: "tok_pending", ends: []string{cancelled, failed}, reasons: late, on: on("payment.pending", act{event: cancelREST})},
	{name: "never paid", weight: 2, method: "tok_pending", ends: []string{failed}, reasons: late},
	{name: "paid too late", weight: 2, method: "tok_pending", ends: []string{failed}, reasons: late, on: on(failed, act{event: "payment.succeeded"})},
	{name: "paid too late, refund stuck", weight: 1, method: "tok_late_refund_stuck", stuck: []string{"refund"}, ends: []string{failed}, reasons: late, on: on(failed, act{event: "payment.succeeded"})},

	{name: "shipment", weight: 8, method: "tok_visa", shipment: true, ends: []string{completed}, on: map[string][]act{
		"order.confirmed": {{event: "shipment.dispatched", data: map[string]any{"carrier": "dhl"}}}, "order.shipped": {{event: "shipment.delivered"}},
	}},
	{name: "delivered before dispatched", weight: 2, method: "tok_visa", shipment: true, ends: []string{completed}, on: on("order.confirmed", act{event: "shipment.delivered"}, act{event: "shipment.dispatched"})},
	{name: "two parcels", weight: 3, method: "tok_visa", shipment: true, ends: []string{completed}, on: on("order.confirmed",
		act{"shipment.dispatched", parcel("p-1")}, act{"shipment.dispatched", parcel("p-2")}, act{"shipment.delivered", parcel("p-1")}, act{"shipment.delivered", parcel("p-2")})},
	{name: "parcel lost", weight: 2, method: "tok_visa", shipment: true, ends: []string{completed}, on: map[string][]act{
		"order.confirmed":        {{"shipment.dispatched", parcel("p-1")}, {"shipment.lost", parcel("p-2")}, {"shipment.delivered", parcel("p-1")}},
		"order.resend_requested": {{"shipment.delivered", map[string]any{"parcelId": "p-3"}}},
	}},
	{name: "shipment lost, refund stuck", weight: 1, method: "tok_refund_stuck", stuck: []string{"refund"}, shipment: true, ends: []string{completed}, on: map[string][]act{
		"order.confirmed":        {{event: "shipment.dispatched"}, {event: "shipment.lost"}},
		"order.resend_requested": {{"shipment.delivered", map[string]any{"parcelId": "p-3"}}},
	}},
	{name: "recalled", weight: 3, method: "tok_visa", shipment: true, ends: []string{cancelled}, on: on("order.confirmed", act{event: cancelREST})},
	{name: "recalled by event", weight: 2, method: "tok_visa", shipment: true, ends: []string{cancelled}, on: on("order.confirmed", act{event: "order.cancellation_requested"})},
	{name: "recalled, void stuck", weight: 1, method: "tok_void_stuck", stuck: []string{"authorize"}, shipment: true, ends: []string{cancelled}, on: on("order.confirmed", act{event: cancelREST})},
	{name: "dispatched and cancelled", weight: 2, method: "tok_visa", shipment: true, ends: []string{completed, cancelled}, on: on("order.confirmed", act{event: cancelREST}, act{event: "shipment.delivered"})},
	{name: "capture refused after dispatch", weight: 1, method: "tok_capture_refused", stuck: []string{"capture"}, shipment: true, ends: []string{completed}, on: on("order.confirmed", act{event: "shipment.delivered"})},
}

// late is why an order fails whose payer is late, or whose payment notification an outage delays.
var late = []string{"payment_timeout"}

// placement is an order and how it is placed.
type placement struct {
	index int
	kind  kind
	order harness.Order
	// id is the ID that the shop chooses; over REST it may be empty.
	id string
	// byEvent, wait and twice say how it is placed: by event instead of REST, waiting for the end, twice at once.
	byEvent, wait, twice bool
}

// scarceSKUs are SKUs of which little is left.
const scarceSKUs = 3

// place says what the order of an index is. It depends on its arguments alone.
func place(seed uint64, index int) placement {
	random := rand.New(rand.NewPCG(seed, uint64(index)+1))
	p := placement{index: index, kind: drawn(random), byEvent: byEvent(index), twice: random.IntN(10) == 0}
	sku := []string{"chaos-a", "chaos-b", "chaos-c", "chaos-d"}[random.IntN(4)]
	if p.kind.scarce {
		sku = fmt.Sprintf("chaos-scarce-%d", random.IntN(scarceSKUs)+1)
	}
	p.order = harness.NewOrder(sku, 2, p.kind.method)
	p.order.CustomerID = fmt.Sprintf("customer-%d", random.IntN(1000))
	p.order.Lines = append(p.order.Lines, p.kind.lines...)
	if p.kind.gift {
		p.order.Lines[0].UnitAmount = 0
	}
	if p.kind.shipment {
		p.order.Fulfillment = "shipment"
	}
	// What is done later finds its order by the ID. Other orders get an ID of the service, if they are placed over REST.
	if p.byEvent || len(p.kind.on) > 0 || random.IntN(2) == 0 {
		p.id = fmt.Sprintf("%s%d", ownID, index)
	} else {
		p.wait = random.IntN(3) == 0
	}
	return p
}

// byEvent reports whether the order of an index is placed by event: every second one is.
func byEvent(index int) bool { return index%2 == 1 }

// ownID is the prefix of the IDs that the shop chooses; the index follows.
const ownID = "chaos-"

func drawn(random *rand.Rand) kind {
	sum := 0
	for _, k := range orderKinds {
		sum += k.weight
	}
	n := random.IntN(sum)
	return orderKinds[slices.IndexFunc(orderKinds, func(k kind) bool {
		n -= k.weight
		return n < 0
	})]
}
