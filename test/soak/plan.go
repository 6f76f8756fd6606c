package soak

import (
	"fmt"
	"math/rand/v2"

	"github.com/ordersaga/ordersaga/test/harness"
)

// kind is a way through the saga, and how it must end.
type kind struct {
	name        string
	method      string
	fulfillment string
	// unsold orders ask for what is not there.
	unsold bool
	// early events are sent together with the order, in any order.
	early []string
	// reply is what the neighbours send when they see an event of the order: the types, in any order.
	reply map[string][]string
	// cancel is the event at which the customer cancels over REST.
	cancel string
	// end is the type of the event that ends it.
	end string
}

const (
	completed = "order.completed"
	rejected  = "order.rejected"
	cancelled = "order.cancelled"
)

// kinds are drawn from with the same chance each.
var kinds = []kind{
	{name: "immediate", method: "tok_visa", end: completed},
	{name: "immediate, again", method: "tok_visa", end: completed},
	{name: "gateway times out", method: "tok_timeout", end: completed},
	{name: "declined", method: "tok_declined", end: rejected},
	{name: "capture refused", method: "tok_capture_refused", end: rejected},
	{name: "unknown sku", method: "tok_visa", unsold: true, end: rejected},
	{name: "paid later", method: "tok_pending", end: completed,
		reply: map[string][]string{"payment.pending": {"payment.succeeded"}}},
	{name: "payment failed later", method: "tok_pending", end: rejected,
		reply: map[string][]string{"payment.pending": {"payment.failed"}}},
	{name: "shipment", method: "tok_visa", fulfillment: "shipment", end: completed,
		reply: map[string][]string{"order.confirmed": {"shipment.dispatched", "shipment.delivered"}}},
	{name: "shipment, told early", method: "tok_visa", fulfillment: "shipment", end: completed,
		early: []string{"shipment.dispatched", "shipment.delivered"}},
	{name: "shipment, cancelled by event", method: "tok_visa", fulfillment: "shipment", end: cancelled,
		reply: map[string][]string{"order.confirmed": {"order.cancellation_requested"}}},
	{name: "shipment, cancelled over REST", method: "tok_visa", fulfillment: "shipment", end: cancelled,
		cancel: "order.confirmed"},
}

// plan is what is decided about one order before it is sent.
type plan struct {
	kind
	number int
	order  harness.Order
	// byEvent orders come as order.created, the others as requests.
	byEvent bool
	// times is how often the order and each event about it are sent.
	times int
}

// planOf draws order number n. It depends on nothing but the seed and the number.
func planOf(seed uint64, run string, skus []string, n int) plan {
	random := rand.New(rand.NewPCG(seed, uint64(n)))
	p := plan{kind: kinds[random.IntN(len(kinds))], number: n, times: 1, byEvent: random.IntN(2) == 0 && n > 0}
	if random.IntN(4) == 0 {
		p.times += 1 + random.IntN(2)
	}
	sku := skus[random.IntN(len(skus))]
	if p.unsold {
		sku = "nobody-sells-this"
	}
	p.order = harness.NewOrder(sku, 1+random.Int64N(3), p.method)
	p.order.Fulfillment = p.fulfillment
	// Who tells early must know the id before the order is there.
	if p.byEvent = p.byEvent || len(p.early) > 0; p.byEvent {
		p.order.ID = fmt.Sprintf("%s-%d", run, n)
	}
	return p
}
