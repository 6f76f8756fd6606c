package tour

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/ordersaga/ordersaga/test/harness"
)

// path is one way through the saga.
type path struct {
	name        string
	method      string
	fulfillment string
	stock       int64
	byEvent     bool
	// id is the ID that a shop gives its order, before what makes it its own.
	id string
	// lines are what is ordered besides two pieces of the path's SKU at unitAmount, or instead of them.
	lines      []harness.Line
	unitAmount *int64
	linesOnly  bool
	script     []scene
	status     string
	reason     string
	// overdue tells that somebody is too late on it.
	overdue bool
	// timeline is what the order's events must be, without their prefixes being cut.
	timeline []string
	// behind is what happens when the order has ended, late what the events of that must be.
	behind []scene
	late   []string
}

// scene does something when the order has a status.
type scene struct {
	when string
	do   func(ctx context.Context, g *guide, orderID string) error
}

// sku gives each path stock of its own.
func (p path) sku() string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == ',' {
			return '-'
		}
		return r
	}, p.name)
}

// judge compares what happened with what must.
func (p path) judge(end harness.Resource, items []harness.Item, err error) error {
	if err != nil {
		return err
	}
	types := typesOf(items)
	switch {
	case end.Status != p.status || end.Reason != p.reason:
		return fmt.Errorf("it ended as %s (%s), not as %s (%s)", end.Status, end.Reason, p.status, p.reason)
	case !slices.Equal(types, p.timeline):
		return fmt.Errorf("its timeline is %v, not %v", types, p.timeline)
	}
	return nil
}

func typesOf(items []harness.Item) []string {
	types := make([]string, len(items))
	for i, item := range items {
		types[i] = item.Type
	}
	return types
}

// publish is a scene in which a neighbour publishes an event about the order.
func publish(when, eventType string, data map[string]any) scene {
	return scene{when, func(ctx context.Context, g *guide, orderID string) error {
		full := map[string]any{"orderId": orderID}
		for k, v := range data {
			full[k] = v
		}
		_, err := g.bus.Publish(ctx, eventType, orderID, full)
		return err
	}}
}

// cancel is a scene in which somebody cancels over REST.
func cancel(when string, want int) scene {
	return scene{when, func(ctx context.Context, g *guide, orderID string) error {
		response, err := g.client.Cancel(ctx, orderID, "changed my mind")
		if err != nil {
			return err
		}
		return response.Into(want, nil)
	}}
}

// until is a scene in which nothing is done before an order has had an event: what comes beside a step that is under way may
// be before or behind it.
func until(eventType string) scene {
	return scene{"", func(ctx context.Context, g *guide, orderID string) error {
		err := harness.Poll(ctx, lookEvery, func() bool {
			items, err := g.client.Timeline(ctx, orderID)
			return err == nil && slices.Contains(typesOf(items), eventType)
		})
		if err != nil {
			return fmt.Errorf("order %s has no %s: %w", orderID, eventType, err)
		}
		return nil
	}}
}

// decide is a scene in which an operator decides about a step that is stuck.
func decide(step string, d harness.Decision) scene { return decideWhen("needs_attention", step, d) }

// decideLate is a scene in which an operator decides about what came when the order had ended.
func decideLate(step string, d harness.Decision) scene { return decideWhen("", step, d) }

func decideWhen(when, step string, d harness.Decision) scene {
	return scene{when, func(ctx context.Context, g *guide, orderID string) error {
		if _, err := g.client.AwaitStuck(ctx, orderID, step); err != nil {
			return err
		}
		d.By = "ada"
		response, err := g.client.Resolve(ctx, orderID, d)
		if err != nil {
			return err
		}
		return response.Into(http.StatusOK, nil)
	}}
}

var (
	taken     = []string{"order.accepted", "inventory.reserved"}
	completed = append(slices.Clone(taken), "payment.authorized", "order.settling", "payment.captured", "inventory.committed", "order.completed")
	shipped   = append(slices.Clone(taken), "payment.authorized", "order.confirmed", "order.shipped", "order.settling",
		"payment.captured", "inventory.committed")
)

// after is a timeline: taken, and then these.
func after(types ...string) []string { return append(slices.Clone(taken), types...) }

var (
	nothing   int64
	unstocked = false
	discount  = harness.Line{SKU: "half price", Quantity: 2, UnitAmount: -500, Stocked: &unstocked}
	delivery  = harness.Line{SKU: "delivery/express", Quantity: 1, UnitAmount: 490, Stocked: &unstocked}
	download  = harness.Line{SKU: "a free sample.pdf", Quantity: 1, Stocked: &unstocked}
)

// parcelOne and parcelTwo have a piece each.
var (
	parcelOne = map[string]any{"parcelId": "p-1", "lines": []map[string]any{{"line": 1, "quantity": 1}}}
	parcelTwo = map[string]any{"parcelId": "p-2", "trackingNumber": "JD0002", "lines": []map[string]any{{"line": 1, "quantity": 1}}}
)

// paths are every way through the saga.
var paths = []path{
	{name: "immediate", method: "tok_visa", stock: 10, status: "completed", timeline: completed},
	{name: "immediate by event", method: "tok_visa", stock: 10, byEvent: true, status: "completed", timeline: completed},
	{name: "id of a shop", id: "gid://shopify/Order/", method: "tok_visa", stock: 10, byEvent: true, status: "completed", timeline: completed},
	{name: "delivery and a discount", method: "tok_visa", stock: 10, lines: []harness.Line{delivery, discount}, status: "completed", timeline: completed},
	{name: "a fee alone", method: "tok_visa", lines: []harness.Line{delivery}, linesOnly: true, status: "completed",
		timeline: []string{"order.accepted", "payment.authorized", "order.settling", "payment.captured", "order.completed"}},
	{name: "a gift", stock: 10, unitAmount: &nothing, status: "completed",
		timeline: []string{"order.accepted", "inventory.reserved", "order.settling", "inventory.committed", "order.completed"}},
	{name: "a free download", lines: []harness.Line{download}, linesOnly: true, status: "completed",
		timeline: []string{"order.accepted", "order.settling", "order.completed"}},
	{name: "a gift, recalled", stock: 10, unitAmount: &nothing, fulfillment: "shipment", status: "cancelled", reason: "requested",
		script:   []scene{cancel("awaiting_shipment", http.StatusOK)},
		timeline: after("order.confirmed", "order.compensating", "order.fulfillment_withdrawn", "inventory.released", "order.cancelled")},
	{name: "shipment", method: "tok_visa", fulfillment: "shipment", stock: 10, status: "completed",
		script: []scene{
			publish("awaiting_shipment", "shipment.dispatched", map[string]any{"carrier": "dhl", "trackingNumber": "JD0001"}),
			publish("shipped", "shipment.delivered", nil),
		},
		timeline: append(slices.Clone(shipped), "order.delivered", "order.completed")},
	{name: "delivered before dispatched", method: "tok_visa", fulfillment: "shipment", stock: 10, status: "completed",
		script:   []scene{publish("awaiting_shipment", "ShipmentDelivered", nil)},
		timeline: append(slices.Clone(shipped), "order.delivered", "order.completed")},
	{name: "gateway timed out", method: "tok_timeout", stock: 10, status: "completed", timeline: completed},
	{name: "paid later", method: "tok_pending", stock: 10, status: "completed",
		script: []scene{publish("awaiting_payment", "payment.succeeded", nil)},
		timeline: after("payment.pending", "payment.authorized", "order.settling", "payment.captured",
			"inventory.committed", "order.completed")},
	{name: "out of stock", method: "tok_visa", stock: 1, status: "rejected", reason: "out_of_stock",
		timeline: []string{"order.accepted", "inventory.rejected", "order.rejected"}},
	{name: "unknown sku", method: "tok_visa", status: "rejected", reason: "unknown_sku",
		timeline: []string{"order.accepted", "inventory.rejected", "order.rejected"}},
	{name: "declined", method: "tok_declined", stock: 10, status: "rejected", reason: "payment_declined",
		timeline: after("payment.declined", "order.compensating", "inventory.released", "order.rejected")},
	{name: "insufficient funds", method: "tok_insufficient_funds", stock: 10, status: "rejected", reason: "payment_declined",
		timeline: after("payment.declined", "order.compensating", "inventory.released", "order.rejected")},
	{name: "payment failed later", method: "tok_pending", stock: 10, status: "rejected", reason: "payment_failed",
		script:   []scene{publish("awaiting_payment", "PaymentFailed", map[string]any{"code": "expired_card"})},
		timeline: after("payment.pending", "payment.declined", "order.compensating", "inventory.released", "order.rejected")},
	{name: "never paid", method: "tok_pending", stock: 10, overdue: true, status: "failed", reason: "payment_timeout",
		timeline: after("payment.pending", "order.compensating", "payment.voided", "inventory.released", "order.failed")},
	{name: "paid too late", method: "tok_pending", stock: 10, overdue: true, status: "failed", reason: "payment_timeout",
		timeline: after("payment.pending", "order.compensating", "payment.voided", "inventory.released", "order.failed"),
		behind:   []scene{publish("failed", "payment.succeeded", nil)},
		late:     []string{"event.late", "payment.arrived_late", "payment.refunded"}},
	{name: "paid too late, refund stuck", method: "tok_late_refund_stuck", stock: 10, overdue: true, status: "failed", reason: "payment_timeout",
		timeline: after("payment.pending", "order.compensating", "payment.voided", "inventory.released", "order.failed"),
		behind: []scene{
			publish("failed", "payment.succeeded", nil),
			decideLate("refund", harness.Decision{Action: "substitute", Reference: "transfer 4711", Note: "given back by the bank"}),
		},
		late: []string{"event.late", "payment.arrived_late", "order.needs_attention", "order.step_substituted", "order.attention_resolved"}},
	{name: "gateway down", method: "tok_unavailable", stock: 10, overdue: true, status: "failed", reason: "authorize_unavailable",
		timeline: after("order.compensating", "payment.voided", "inventory.released", "order.failed")},
	{name: "capture refused", method: "tok_capture_refused", stock: 10, status: "rejected", reason: "capture_refused",
		timeline: after("payment.authorized", "order.settling", "payment.capture_refused", "order.compensating",
			"payment.voided", "inventory.released", "order.rejected")},
	{name: "cancelled while unpaid", method: "tok_pending", stock: 10, status: "cancelled", reason: "requested",
		script:   []scene{cancel("awaiting_payment", http.StatusOK)},
		timeline: after("payment.pending", "order.compensating", "payment.voided", "inventory.released", "order.cancelled")},
	{name: "cancelled by event before dispatch", method: "tok_visa", fulfillment: "shipment", stock: 10, status: "cancelled", reason: "requested",
		script: []scene{publish("awaiting_shipment", "order.cancellation_requested", map[string]any{"reason": "too slow"})},
		timeline: after("payment.authorized", "order.confirmed", "order.compensating", "order.fulfillment_withdrawn",
			"payment.voided", "inventory.released", "order.cancelled")},
	{name: "never dispatched", method: "tok_visa", fulfillment: "shipment", stock: 10, overdue: true, status: "failed", reason: "shipment_timeout",
		timeline: after("payment.authorized", "order.confirmed", "order.compensating", "order.fulfillment_withdrawn",
			"payment.voided", "inventory.released", "order.failed")},
	{name: "dispatched behind the end", method: "tok_visa", fulfillment: "shipment", stock: 10, status: "cancelled", reason: "requested",
		script: []scene{cancel("awaiting_shipment", http.StatusOK)},
		timeline: after("payment.authorized", "order.confirmed", "order.compensating", "order.fulfillment_withdrawn",
			"payment.voided", "inventory.released", "order.cancelled"),
		behind: []scene{
			publish("cancelled", "shipment.dispatched", map[string]any{"carrier": "dhl"}),
			decideLate("dispatch", harness.Decision{Action: "skip", Note: "a gift"}),
		},
		late: []string{"event.late", "order.needs_attention", "order.step_skipped", "order.attention_resolved"}},
	{name: "cancelled too late", method: "tok_visa", fulfillment: "shipment", stock: 10, status: "completed",
		script: []scene{
			publish("awaiting_shipment", "shipment.dispatched", map[string]any{"carrier": "ups"}),
			until("inventory.committed"),
			cancel("shipped", http.StatusConflict),
			publish("shipped", "shipment.delivered", nil),
		},
		timeline: append(slices.Clone(shipped), "order.cancellation_refused", "order.delivered", "order.completed")},
	{name: "stuck void, substituted", method: "tok_void_stuck", fulfillment: "shipment", stock: 10, status: "cancelled", reason: "requested",
		script: []scene{
			cancel("awaiting_shipment", http.StatusOK),
			decide("authorize", harness.Decision{Action: "substitute", Reference: "console-4711", Note: "voided in the provider's console"}),
		},
		timeline: after("payment.authorized", "order.confirmed", "order.compensating", "order.fulfillment_withdrawn",
			"order.needs_attention", "order.step_substituted", "order.attention_resolved", "inventory.released", "order.cancelled")},
	{name: "stuck capture, skipped", method: "tok_capture_stuck", stock: 10, status: "completed",
		script: []scene{decide("capture", harness.Decision{Action: "skip", Note: "paid in cash at the counter"})},
		timeline: after("payment.authorized", "order.settling", "order.needs_attention", "order.step_skipped",
			"order.attention_resolved", "inventory.committed", "order.completed")},
	{name: "stuck capture, turned back", method: "tok_capture_stuck", stock: 10, status: "failed", reason: "capture_unavailable",
		script: []scene{decide("capture", harness.Decision{Action: "compensate", Note: "the customer would not wait"})},
		timeline: after("payment.authorized", "order.settling", "order.needs_attention", "order.compensating",
			"order.attention_resolved", "payment.voided", "inventory.released", "order.failed")},
	{name: "late capture, turned back", method: "tok_capture_late", stock: 10, status: "failed", reason: "capture_unavailable",
		script: []scene{decide("capture", harness.Decision{Action: "compensate", Note: "the customer would not wait"})},
		timeline: after("payment.authorized", "order.settling", "order.needs_attention", "order.compensating",
			"order.attention_resolved", "payment.captured", "payment.refunded", "inventory.released", "order.failed")},
	{name: "lost parcel, written off", method: "tok_visa", fulfillment: "shipment", stock: 10, status: "completed",
		script: []scene{
			publish("awaiting_shipment", "shipment.dispatched", map[string]any{"carrier": "dhl"}),
			publish("shipped", "shipment.lost", map[string]any{"reason": "fell off the truck"}),
			decide("deliver", harness.Decision{Action: "skip", Note: "the carrier's insurance pays"}),
		},
		timeline: append(slices.Clone(shipped), "order.needs_attention", "order.step_skipped", "order.attention_resolved", "order.completed")},
	{name: "two parcels", method: "tok_visa", fulfillment: "shipment", stock: 10, status: "completed",
		script: []scene{
			publish("awaiting_shipment", "shipment.dispatched", parcelOne), until("inventory.committed"),
			publish("shipped", "shipment.dispatched", parcelTwo), until("order.parcel_dispatched"),
			publish("shipped", "shipment.delivered", map[string]any{"parcelId": "p-1"}), until("order.parcel_delivered"),
			publish("shipped", "shipment.delivered", map[string]any{"parcelId": "p-2"}),
		},
		timeline: append(slices.Clone(shipped), "order.parcel_dispatched", "order.parcel_delivered", "order.delivered", "order.completed")},
	{name: "two parcels in reverse", method: "tok_visa", fulfillment: "shipment", stock: 10, status: "completed",
		script: []scene{
			publish("awaiting_shipment", "shipment.delivered", parcelTwo), until("inventory.committed"),
			publish("shipped", "shipment.delivered", parcelOne),
		},
		timeline: after("payment.authorized", "order.confirmed", "order.shipped", "order.settling", "order.parcel_delivered",
			"payment.captured", "inventory.committed", "order.delivered", "order.completed")},
	{name: "one of two parcels lost, refunded", method: "tok_visa", fulfillment: "shipment", stock: 10, status: "completed",
		script: []scene{
			publish("awaiting_shipment", "shipment.dispatched", parcelOne), until("inventory.committed"),
			publish("shipped", "shipment.lost", parcelTwo),
			decide("deliver", harness.Decision{Action: "refund", Note: "none is left"}), until("payment.refunded"),
			publish("shipped", "shipment.delivered", map[string]any{"parcelId": "p-1"}),
		},
		timeline: append(slices.Clone(shipped), "order.parcel_lost", "order.needs_attention", "order.refund_requested", "order.attention_resolved",
			"payment.refunded", "order.delivered", "order.completed")},
	{name: "one of two parcels lost, sent again", method: "tok_visa", fulfillment: "shipment", stock: 10, status: "completed",
		script: []scene{
			publish("awaiting_shipment", "shipment.dispatched", parcelOne), until("inventory.committed"),
			publish("shipped", "shipment.lost", parcelTwo),
			decide("deliver", harness.Decision{Action: "resend"}), until("order.attention_resolved"),
			publish("shipped", "shipment.dispatched", map[string]any{"parcelId": "p-3"}), until("order.parcel_dispatched"),
			publish("shipped", "shipment.delivered", map[string]any{"parcelId": "p-3"}), until("order.parcel_delivered"),
			publish("shipped", "shipment.delivered", map[string]any{"parcelId": "p-1"}),
		},
		timeline: append(slices.Clone(shipped), "order.parcel_lost", "order.needs_attention", "order.resend_requested", "order.attention_resolved",
			"order.parcel_dispatched", "order.parcel_delivered", "order.delivered", "order.completed")},
	{name: "one of two parcels lost, written off", method: "tok_visa", fulfillment: "shipment", stock: 10, status: "completed",
		script: []scene{
			publish("awaiting_shipment", "shipment.dispatched", parcelOne), until("inventory.committed"),
			publish("shipped", "shipment.lost", parcelTwo),
			decide("deliver", harness.Decision{Action: "skip", Note: "the carrier's insurance pays"}), until("order.attention_resolved"),
			publish("shipped", "shipment.delivered", map[string]any{"parcelId": "p-1"}),
		},
		timeline: append(slices.Clone(shipped), "order.parcel_lost", "order.needs_attention", "order.step_skipped", "order.attention_resolved",
			"order.delivered", "order.completed")},
	{name: "lost parcel, refunded", method: "tok_visa", fulfillment: "shipment", stock: 10, status: "completed",
		script: []scene{
			publish("awaiting_shipment", "shipment.dispatched", map[string]any{"carrier": "dhl"}),
			publish("shipped", "shipment.lost", map[string]any{"reason": "fell off the truck"}),
			decide("deliver", harness.Decision{Action: "refund"}),
		},
		timeline: append(slices.Clone(shipped), "order.needs_attention", "order.refund_requested", "order.attention_resolved",
			"payment.refunded", "order.completed")},
	{name: "dispatched after the cancellation", method: "tok_void_stuck", fulfillment: "shipment", stock: 10, status: "cancelled", reason: "requested",
		script: []scene{
			cancel("awaiting_shipment", http.StatusOK),
			publish("needs_attention", "shipment.dispatched", map[string]any{"carrier": "dhl"}),
			decide("dispatch", harness.Decision{Action: "substitute", Reference: "recalled on the road"}),
			decide("authorize", harness.Decision{Action: "substitute", Reference: "console-4712"}),
		},
		timeline: after("payment.authorized", "order.confirmed", "order.compensating", "order.fulfillment_withdrawn",
			"order.needs_attention", "order.needs_attention", "order.step_substituted", "order.attention_resolved",
			"order.needs_attention", "order.step_substituted", "order.attention_resolved", "inventory.released", "order.cancelled")},
}
