package audit

import "slices"

// payment adds up the simulator's ledger of one order.
func (r *Report) payment(id string, stream []Document) {
	captured, arrived, refunded, voided := int64(0), int64(0), int64(0), false
	for _, d := range stream {
		switch d.Type {
		case "charge.pending":
			r.pending[id] = true
		case "charge.authorized":
			if voided {
				r.violate("payment %s is authorized after it was voided", id)
			}
			r.Authorizations[id]++
			r.standing[id], r.pending[id] = true, false
		case "charge.captured":
			if captured != 0 || voided || r.Authorizations[id] == 0 {
				r.violate("payment %s is captured again, after it was voided, or without an authorization", id)
			}
			captured += number(d.Data, "amount")
			r.standing[id] = false
		case "charge.arrived":
			if !voided || arrived != 0 {
				r.violate("payment %s arrives again, or without having been voided", id)
			}
			arrived += number(d.Data, "amount")
		case "charge.refunded":
			if refunded += number(d.Data, "amount"); refunded > captured+arrived {
				r.violate("payment %s gives back %d of %d", id, refunded, captured+arrived)
			}
		case "charge.refused", "charge.fenced":
			if r.standing[id] || captured != 0 {
				r.violate("payment %s is refused or fenced after it was authorized", id)
			}
			voided, r.pending[id] = voided || d.Type == "charge.fenced", false
		case "charge.voided":
			if captured != 0 {
				r.violate("payment %s is voided after it was captured", id)
			}
			voided, r.standing[id] = true, false
		}
	}
	// Money that came after a void belongs to no order: it must be refunded like captured money.
	r.Net[id] = captured + arrived - refunded
	if n := r.Authorizations[id]; n > 1 {
		r.violate("payment %s has %d authorizations", id, n)
	}
	if _, known := r.Orders[id]; !known && (captured > 0 || r.standing[id] || r.pending[id] || voided && r.Authorizations[id] > 0) {
		r.violate("payment %s has no order", id)
	}
}

// money checks what each ended order was charged.
func (r *Report) money() {
	for _, id := range sorted(r.Orders) {
		excepted := []string{"capture", "undo authorize", "refund"}
		ended, want := r.Orders[id], int64(0)
		if ended == "" {
			continue
		}
		if ended == "order.completed" {
			want = number(r.of("order-", id)[0].Data, "totalAmount")
			for _, d := range r.of("order-", id) {
				if d.Type == "payment.refunded" {
					want -= number(d.Data, "amount")
				}
			}
			want -= r.Refunded[id]
			if r.Net[id] < want && r.Net[id] >= want-r.maybeRefunded[id] {
				want = r.Net[id]
			}
		}
		if r.standing[id] || r.pending[id] {
			r.unlessExcepted(id, excepted, "the authorization of order %s stands after %s", id, ended)
		}
		if total := number(r.of("order-", id)[0].Data, "totalAmount"); r.Net[id] != 0 && r.Net[id] != total && r.Net[id] != want && !r.refundByHand(id) {
			r.violate("order %s ended as %s and was charged %d instead of %d", id, ended, r.Net[id], want)
		} else if late := r.Net[id] > want && slices.Contains(r.Late[id], "money"); r.Net[id] != want && !late {
			if r.Net[id] > want {
				excepted = append(excepted, "late payment")
			}
			r.unlessExcepted(id, excepted, "order %s ended as %s and was charged %d instead of %d", id, ended, r.Net[id], want)
		}
	}
}

// refundByHand reports whether an operator decided about a refund that was stuck: it may have happened all the same.
func (r *Report) refundByHand(id string) bool {
	return slices.ContainsFunc(r.of("order-", id), func(d Document) bool {
		return (d.Type == "order.step_skipped" || d.Type == "order.step_substituted") && text(d.Data, "step") == "refund"
	})
}
