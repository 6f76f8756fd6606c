package e2e

import (
	"slices"

	"github.com/ordersaga/ordersaga/test/audit"
	"github.com/ordersaga/ordersaga/test/harness"
)

// upgradePath is a path through the order saga, with the events and interventions on it.
type upgradePath struct {
	name, method string
	shipment     bool
	// lines is how many SKUs are ordered, 1 by default; stock is the stock of each, 10 by default, none if it is negative.
	lines int
	stock int64
	// overdue are the settings whose deadlines expire on the path; it is recorded from reaction number stopFrom on, because other paths do not
	// have them.
	overdue        string
	stopFrom       int
	script         []reaction
	status, reason string
	late           []string
	// cutFrom is the first event after which its timelines are cut, none if it is zero. On some paths earlier steps must not be repeated after the
	// upgrade: their result would be another one.
	cutFrom int
	// adopts reports whether the effect of a stuck step happens right after a lookup. If the lookup is repeated, because its answer was lost or
	// late, it finds the effect: then no intervention is needed, and the order completes.
	adopts bool
	// resumes reports whether no cut has an effect that the order has not recorded: the order would end in another way.
	resumes bool
}

func published(when, eventType string) reaction { return reaction{When: when, Publish: eventType} }

func delivered() reaction {
	return reaction{When: "shipped", Head: "inventory.committed", Publish: "shipment.delivered"}
}

func cancelled(when string) reaction { return reaction{When: when, Cancel: true} }

func decided(step string, d harness.Decision) reaction {
	return reaction{When: "needs_attention", Step: step, Decide: &d}
}

func decidedLate(when, step string, d harness.Decision) reaction {
	return reaction{When: when, Step: step, Decide: &d}
}

func counted(step string, onHand int64) reaction {
	return reaction{When: "needs_attention", Step: step, Count: &onHand}
}

// parcel is the data of an event about one of two units of an order.
func parcel(id string) map[string]any {
	return map[string]any{"parcelId": id, "lines": []map[string]any{{"line": 1, "quantity": 1}}}
}

var (
	substituted = harness.Decision{Action: "substitute", Reference: "console-4711", Note: "done by hand"}
	skipped     = harness.Decision{Action: "skip", Note: "we can do without"}
	back        = harness.Decision{Action: "compensate", Note: "the customer would not wait"}
)

// upgradePaths lead to every state in which an order may wait, and to every end that it may have.
var upgradePaths = []upgradePath{
	{name: "immediate", method: "tok_visa", status: "completed", cutFrom: 1},
	{name: "two lines", method: "tok_visa", lines: 2, status: "completed", cutFrom: 1},
	{name: "shipment", method: "tok_visa", shipment: true, status: "completed", cutFrom: 1,
		script: []reaction{published("awaiting_shipment", "shipment.dispatched"), delivered()}},
	{name: "delivered before dispatched", method: "tok_visa", shipment: true, status: "completed",
		script: []reaction{published("awaiting_shipment", "shipment.delivered")}},
	{name: "gateway timed out", method: "tok_timeout", status: "completed", cutFrom: 1},
	{name: "paid later", method: "tok_pending", status: "completed", cutFrom: 1,
		script: []reaction{published("awaiting_payment", "payment.succeeded")}},
	{name: "out of stock", method: "tok_visa", stock: 1, status: "rejected", reason: "out_of_stock", cutFrom: 1},
	{name: "unknown sku", method: "tok_visa", stock: -1, status: "rejected", reason: "unknown_sku", cutFrom: 1},
	{name: "declined", method: "tok_declined", status: "rejected", reason: "payment_declined", cutFrom: 1},
	{name: "payment failed later", method: "tok_pending", status: "rejected", reason: "payment_failed", cutFrom: 1,
		script: []reaction{published("awaiting_payment", "payment.failed")}},
	{name: "capture refused", method: "tok_capture_refused", status: "rejected", reason: "capture_refused", cutFrom: 1},
	{name: "cancelled while unpaid", method: "tok_pending", status: "cancelled", reason: "requested", cutFrom: 1,
		script: []reaction{cancelled("awaiting_payment")}},
	{name: "cancelled before dispatch", method: "tok_visa", shipment: true, status: "cancelled", reason: "requested", cutFrom: 1,
		script: []reaction{published("awaiting_shipment", "order.cancellation_requested")}},
	{name: "cancelled too late", method: "tok_visa", shipment: true, status: "completed", script: []reaction{
		published("awaiting_shipment", "shipment.dispatched"),
		{When: "shipped", Head: "inventory.committed", Cancel: true},
		published("shipped", "shipment.delivered"),
	}},
	{name: "dispatched after the end", method: "tok_visa", shipment: true, status: "cancelled", reason: "requested",
		late: []string{"event.late", "order.needs_attention", "order.step_skipped", "order.attention_resolved"},
		script: []reaction{
			cancelled("awaiting_shipment"), published("cancelled", "shipment.dispatched"), decidedLate("cancelled", "dispatch", skipped),
		}},
	{name: "stuck void", method: "tok_void_stuck", shipment: true, status: "cancelled", reason: "requested", cutFrom: 1,
		script: []reaction{cancelled("awaiting_shipment"), decided("authorize", substituted)}},
	{name: "stuck capture, skipped", method: "tok_capture_stuck", status: "completed", cutFrom: 1,
		script: []reaction{decided("capture", skipped)}},
	{name: "stuck capture, turned back", method: "tok_capture_stuck", status: "failed", reason: "capture_unavailable", cutFrom: 1,
		script: []reaction{decided("capture", back)}},
	{name: "late capture, turned back", method: "tok_capture_late", status: "failed", reason: "capture_unavailable", cutFrom: 1, resumes: true, adopts: true,
		script: []reaction{decided("capture", back)}},
	{name: "stuck commit", method: "tok_capture_stuck", status: "completed",
		script: []reaction{counted("capture", 0), decided("capture", skipped), decided("commit", substituted)}},
	{name: "capture stuck after dispatch", method: "tok_capture_stuck", shipment: true, status: "completed", cutFrom: 1,
		script: []reaction{published("awaiting_shipment", "shipment.dispatched"), decided("capture", skipped), delivered()}},
	{name: "capture refused after dispatch", method: "tok_capture_refused", shipment: true, status: "completed", cutFrom: 1,
		script: []reaction{published("awaiting_shipment", "shipment.dispatched"), decided("capture", substituted), delivered()}},
	{name: "lost parcel", method: "tok_visa", shipment: true, status: "completed", cutFrom: 1,
		script: []reaction{
			published("awaiting_shipment", "shipment.dispatched"),
			{When: "shipped", Head: "inventory.committed", Publish: "shipment.lost"},
			decided("deliver", skipped),
		}},
	{name: "two parcels", method: "tok_visa", shipment: true, status: "completed",
		script: []reaction{
			{When: "awaiting_shipment", Publish: "shipment.dispatched", Data: parcel("p-1")},
			{When: "shipped", Head: "inventory.committed", Publish: "shipment.dispatched", Data: parcel("p-2")},
			{When: "shipped", Head: "order.parcel_dispatched", Publish: "shipment.delivered", Data: map[string]any{"parcelId": "p-1"}},
			{When: "shipped", Head: "order.parcel_delivered", Publish: "shipment.delivered", Data: map[string]any{"parcelId": "p-2"}},
		}},
	{name: "dispatched after the cancellation", method: "tok_void_stuck", shipment: true, status: "cancelled", reason: "requested", cutFrom: 1,
		script: []reaction{
			cancelled("awaiting_shipment"),
			{When: "needs_attention", Step: "authorize", Publish: "shipment.dispatched"},
			decided("dispatch", substituted), decided("authorize", substituted),
		}},

	{name: "never paid", method: "tok_pending", overdue: "PAYMENT_PENDING_DEADLINE=2s", status: "failed", reason: "payment_timeout", cutFrom: 3},
	{name: "paid too late", method: "tok_pending", overdue: "PAYMENT_PENDING_DEADLINE=2s", status: "failed", reason: "payment_timeout",
		late:   []string{"event.late", "payment.arrived_late", "payment.refunded"},
		script: []reaction{published("failed", "payment.succeeded")}},
	{name: "paid too late, refund stuck", method: "tok_late_refund_stuck", overdue: "PAYMENT_PENDING_DEADLINE=2s", status: "failed", reason: "payment_timeout",
		late:   []string{"event.late", "payment.arrived_late", "order.needs_attention", "order.step_substituted", "order.attention_resolved"},
		script: []reaction{published("failed", "payment.succeeded"), decidedLate("failed", "refund", substituted)}},
	{name: "gateway down", method: "tok_unavailable", overdue: "AUTHORIZE_DEADLINE=5s SIMULATOR_OUTAGE=10m", status: "failed", reason: "authorize_unavailable", cutFrom: 3},
	{name: "never dispatched", method: "tok_visa", shipment: true, overdue: "SHIPMENT_DEADLINE=2s", status: "failed", reason: "shipment_timeout", cutFrom: 4},
	{name: "not delivered in time", method: "tok_visa", shipment: true, overdue: "DELIVERY_DEADLINE=2s", stopFrom: 1,
		status: "completed", cutFrom: 8,
		script: []reaction{published("awaiting_shipment", "shipment.dispatched"), decided("deliver", skipped)}},
}

// mayAdopt reports whether an order of the path continues from the result of a repeated lookup.
func (a *actor) mayAdopt() bool {
	return slices.ContainsFunc(upgradePaths, func(p upgradePath) bool { return p.name == a.Path && p.adopts })
}

// adopted reports whether an order completed although its path compensates, because a repeated lookup found the capture.
func (a *actor) adopted(stream []audit.Document) bool {
	typed := func(eventType string) bool {
		return slices.ContainsFunc(stream, func(d audit.Document) bool { return d.Type == eventType })
	}
	return a.mayAdopt() && typed("payment.captured") && !typed("order.compensating")
}

// causes are the effects that an event of an order records: if the log has the event, it has them.
var causes = map[string][]string{
	"inventory.reserved":      {"stock.reserved"},
	"inventory.rejected":      {"stock.refused"},
	"inventory.committed":     {"stock.committed"},
	"inventory.released":      {"stock.released", "stock.fenced"},
	"payment.pending":         {"charge.pending"},
	"payment.authorized":      {"charge.authorized"},
	"payment.declined":        {"charge.refused"},
	"payment.captured":        {"charge.captured"},
	"payment.capture_refused": {"charge.capture_refused"},
	"payment.voided":          {"charge.voided", "charge.fenced"},
	"payment.refunded":        {"charge.refunded", "refunds.reserved", "refunds.refunded"},
}
