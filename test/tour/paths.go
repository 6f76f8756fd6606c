package tour

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/ordersaga/ordersaga/test/harness"
)

// path is one path through the saga.
type path struct {
	name        string
	method      string
	fulfillment string
	stock       int64
	byEvent     bool
	// id is the prefix of the ID that a shop gives its order; by default, and over REST, the service generates the ID.
	id string
	// goods is the SKU of the path, if it is not the name of the path; customer and currency are those of the order.
	goods, customer, currency string
	metadata                  map[string]string
	// lines are ordered besides two pieces of the path's SKU at unitAmount, or instead of them.
	lines      []harness.Line
	unitAmount *int64
	linesOnly  bool
	script     []scene
	status     string
	reason     string
	// overdue reports whether a deadline expires on it.
	overdue bool
	// timeline are the expected events of the order.
	timeline []string
	// repeated is the timeline of a completed order instead, if a lookup was repeated because its answer was lost or late.
	repeated []string
	// afterEnd are the scenes after the end of the order, late the expected late events.
	afterEnd []scene
	late     []string
}

// scene is an action that is taken when the order has a status.
type scene struct {
	when string
	do   func(ctx context.Context, g *guide, orderID string) error
}

// sku returns the SKU of a path: each path has its own stock.
func (p path) sku() string { return cmp.Or(p.goods, p.file()) }

// file is the path's name as part of the name of a file.
func (p path) file() string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == ',' {
			return '-'
		}
		return r
	}, p.name)
}

// check compares the result of an order with the expected one.
func (p path) check(end harness.Resource, items []harness.Item, err error) error {
	if err != nil {
		return err
	}
	types := typesOf(items)
	switch {
	case end.Status == "completed" && len(p.repeated) > 0 && slices.Equal(types, p.repeated):
	case end.Status != p.status || end.Reason != p.reason:
		return fmt.Errorf("it ended as %s (%s), not as %s (%s)", end.Status, end.Reason, p.status, p.reason)
	case !slices.Equal(types, p.timeline):
		return fmt.Errorf("its timeline is %v, not %v", types, p.timeline)
	}
	return p.checkContent(end)
}

// checkContent compares the order of the API with the order that was placed.
func (p path) checkContent(end harness.Resource) error {
	o := p.order()
	var total int64
	for _, l := range o.Lines {
		total += l.Quantity * l.UnitAmount
	}
	switch {
	case end.CustomerID != o.CustomerID:
		return fmt.Errorf("its customer is %q, not %q", end.CustomerID, o.CustomerID)
	case end.TotalAmount != total || end.Currency != strings.ToUpper(o.Currency):
		return fmt.Errorf("it costs %d %s, not %d %s", end.TotalAmount, end.Currency, total, strings.ToUpper(o.Currency))
	case !slices.EqualFunc(end.Lines, o.Lines, harness.Line.Same):
		return fmt.Errorf("its lines are %v, not %v", end.Lines, o.Lines)
	case !maps.Equal(end.Metadata, o.Metadata):
		return fmt.Errorf("its metadata is %v, not %v", end.Metadata, o.Metadata)
	}
	return nil
}

// order is the order of the path.
func (p path) order() harness.Order {
	o := harness.NewOrder(p.sku(), 2, p.method)
	o.Fulfillment, o.Metadata = p.fulfillment, p.metadata
	o.CustomerID, o.Currency = cmp.Or(p.customer, o.CustomerID), cmp.Or(p.currency, o.Currency)
	if p.unitAmount != nil {
		o.Lines[0].UnitAmount = *p.unitAmount
	}
	if o.Lines = append(o.Lines, p.lines...); p.linesOnly {
		o.Lines = p.lines
	}
	return o
}

func typesOf(items []harness.Item) []string {
	types := make([]string, len(items))
	for i, item := range items {
		types[i] = item.Type
	}
	return types
}

// publish is a scene in which another service publishes an event about the order.
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

// cancel is a scene in which the order is cancelled over REST.
func cancel(when string, want int) scene {
	return scene{when, func(ctx context.Context, g *guide, orderID string) error {
		response, err := g.client.Cancel(ctx, orderID, "changed my mind")
		if err != nil {
			return err
		}
		return response.Into(want, nil)
	}}
}

// until is a scene that waits for an event of the order: an event that arrives during a step may be recorded before or after it.
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

// decide is a scene with an intervention for a stuck step.
func decide(step string, d harness.Decision) scene { return decideWhen("needs_attention", step, d) }

// decideUnlessOver is decide for a step that may have succeeded before the intervention.
func decideUnlessOver(step string, d harness.Decision) scene {
	return decideAs("needs_attention", step, d, http.StatusOK, http.StatusConflict)
}

// decideLate is a scene with an intervention for a late event.
func decideLate(step string, d harness.Decision) scene { return decideWhen("", step, d) }

func decideWhen(when, step string, d harness.Decision) scene {
	return decideAs(when, step, d, http.StatusOK)
}

func decideAs(when, step string, d harness.Decision, want ...int) scene {
	return scene{when, func(ctx context.Context, g *guide, orderID string) error {
		if _, err := g.client.AwaitStuck(ctx, orderID, step); err != nil {
			return err
		}
		d.By = "ada"
		response, err := g.client.Resolve(ctx, orderID, d)
		if err != nil {
			return err
		}
		if !slices.Contains(want, response.Status) {
			return fmt.Errorf("status %d instead of %v: %s", response.Status, want, response.Body)
		}
		return nil
	}}
}

var (
	taken     = []string{"order.accepted", "inventory.reserved"}
	completed = append(slices.Clone(taken), "payment.authorized", "order.settling", "payment.captured", "inventory.committed", "order.completed")
	shipped   = append(slices.Clone(taken), "payment.authorized", "order.confirmed", "order.shipped", "order.settling",
		"payment.captured", "inventory.committed")
)

// after is a timeline: taken, followed by these events.
func after(types ...string) []string { return append(slices.Clone(taken), types...) }

// everyPath are the paths of the saga, and the orders of each kind.
func everyPath() []path { return slices.Concat(paths, kinds) }

// parcelOne and parcelTwo have a piece each.
var (
	parcelOne = map[string]any{"parcelId": "p-1", "lines": []map[string]any{{"line": 1, "quantity": 1}}}
	parcelTwo = map[string]any{"parcelId": "p-2", "trackingNumber": "JD0002", "lines": []map[string]any{{"line": 1, "quantity": 1}}}
)

// paths are all paths through the saga.
var paths = []path{
	{name: "immediate", method: "tok_visa", stock: 10, status: "completed", timeline: completed},
	{name: "immediate by event", method: "tok_visa", stock: 10, byEvent: true, status: "completed", timeline: completed},
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
		afterEnd: []scene{publish("failed", "payment.succeeded", nil)},
		late:     []string{"event.late", "payment.arrived_late", "payment.refunded"}},
	{name: "paid too late, refund stuck", method: "tok_late_refund_stuck", stock: 10, overdue: true, status: "failed", reason: "payment_timeout",
		timeline: after("payment.pending", "order.compensating", "payment.voided", "inventory.released", "order.failed"),
		afterEnd: []scene{
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
		afterEnd: []scene{
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
		script: []scene{decideUnlessOver("capture", harness.Decision{Action: "compensate", Note: "the customer would not wait"})},
		timeline: after("payment.authorized", "order.settling", "order.needs_attention", "order.compensating",
			"order.attention_resolved", "payment.captured", "payment.refunded", "inventory.released", "order.failed"),
		repeated: after("payment.authorized", "order.settling", "order.needs_attention", "payment.captured", "order.attention_resolved",
			"inventory.committed", "order.completed")},
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
