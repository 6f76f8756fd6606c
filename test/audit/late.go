package audit

import "strings"

// late checks what came after an order had ended: it comes for an order that has ended, and what arrived is given back
// once. It notes what is not settled.
func (r *Report) late(id string, stream []Document) {
	if ended, known := r.Orders[id]; !known || ended == "" {
		r.violate("something came late for order %s, which has not ended or is not known", id)
	}
	var payments []string
	settled, arrived, goods := map[string]bool{}, map[string]int64{}, ""
	for _, d := range stream {
		byHand := d.Type == "order.step_skipped" || d.Type == "order.step_substituted"
		judged, isJudge := strings.CutPrefix(d.Key, "judge/")
		refunded, isRefund := strings.CutPrefix(d.Key, "refund/")
		switch {
		case d.Type == "event.late" && text(d.Data, "type") == "payment.succeeded":
			payments = append(payments, d.Key)
		case d.Type == "event.late" && strings.HasPrefix(text(d.Data, "type"), "shipment.") && text(d.Data, "status") != "completed":
			if goods == "" {
				goods = "open"
			}
		case byHand && (isJudge || isRefund):
			settled[judged], settled[refunded] = true, true
			if said(d) {
				r.excepted[id+"\x00late payment"] = true
			}
		case byHand && d.Key == "goods":
			goods = "settled"
		case d.Type == "payment.nothing_arrived":
			settled[judged] = true
		case d.Type == "payment.arrived_late":
			arrived[judged] = number(d.Data, "amount")
		case d.Type == "payment.refunded":
			if back := number(d.Data, "amount"); settled[refunded] || back != arrived[refunded] {
				r.violate("order %s gives back %d of %d that came late, or again", id, back, arrived[refunded])
			}
			settled[refunded] = true
		}
	}
	for _, p := range payments {
		if !settled[p] {
			r.Late[id] = append(r.Late[id], "money")
		}
	}
	if goods == "open" {
		r.Late[id] = append(r.Late[id], "goods")
	}
}

// said reports whether a decision says why, or what was done instead.
func said(d Document) bool {
	return d.Type == "order.step_skipped" && text(d.Data, "note") != "" ||
		d.Type == "order.step_substituted" && text(d.Data, "reference") != ""
}
