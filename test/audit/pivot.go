package audit

import "strings"

// decided is the decision that an event needs before it.
var decided = map[string]string{
	"payment.refunded": "order.compensating", "payment.capture_refused": "order.settling", "inventory.committed": "order.settling",
	"order.delivered": "order.settling", "order.completed": "order.settling",
	"payment.voided": "order.compensating", "inventory.released": "order.compensating",
	"order.fulfillment_withdrawn": "order.compensating", "order.rejected": "order.compensating",
	"order.cancelled": "order.compensating", "order.failed": "order.compensating",
	"order.parcel_dispatched": "order.settling", "order.parcel_delivered": "order.settling", "order.parcel_lost": "order.settling",
	"order.refund_requested": "order.settling", "order.resend_requested": "order.settling",
}

// pivot checks that an order was decided once before anything was captured or undone; only a refused capture, or an operator,
// turns it back afterwards. A capture that is found while the order is undone is given back before it ends.
func (r *Report) pivot(id string, stream []Document) {
	decision, refused, nothingHeld, captured, reserved := "", false, false, "", false
	for _, d := range stream {
		want := decided[d.Type]
		switch d.Type {
		case "order.settling", "order.compensating":
			if turns := d.Type == "order.compensating" && (refused || text(d.Data, "requestId") != "") && decision == "order.settling"; decision != "" && !turns {
				r.violate("order %s: %s after %q", id, d.Type, decision)
			}
			decision = d.Type
		case "inventory.rejected":
			nothingHeld = !flag(d.Data, "held")
		case "inventory.reserved":
			reserved = true
		case "payment.declined":
			// An order without stocked lines has reserved nothing.
			nothingHeld = !reserved
		case "payment.capture_refused":
			refused = true
		case "payment.captured":
			if want = "order.settling"; decision == "order.compensating" {
				want, captured = "", "kept"
			}
		case "payment.refunded":
			if strings.HasPrefix(d.Key, "refund/") {
				// Goods that did not arrive.
				want = "order.settling"
				r.refunded(id, d)
				break
			}
			if captured != "kept" {
				r.violate("order %s: payment.refunded without a capture that was found while it was undone", id)
			}
			captured = "given back"
			r.refunded(id, d)
		case "order.step_skipped", "order.step_substituted":
			if step := text(d.Data, "step"); flag(d.Data, "undo") {
				want = "order.compensating"
			} else if step == "capture" || step == "commit" {
				want = "order.settling"
			}
		}
		if want == "" || want == decision || d.Type == "order.rejected" && nothingHeld {
			continue
		}
		r.violate("order %s: %s after %q", id, d.Type, decision)
	}
	if captured == "kept" && r.Orders[id] != "" {
		r.unlessExcepted(id, []string{"undo authorize"}, "order %s: payment.captured after %q, and nothing was given back", id, decision)
	}
}
