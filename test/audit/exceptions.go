package audit

// byHand reports whether an operator has settled a step of an order, and has said why or what was done instead: that is the
// only exception to what must hold. The event stands in the slot of the step.
func (r *Report) byHand(id string, slots ...string) bool {
	for _, d := range r.Streams["order-"+id] {
		said := d.Type == "order.step_skipped" && text(d.Data, "note") != "" ||
			d.Type == "order.step_substituted" && text(d.Data, "reference") != ""
		for _, slot := range slots {
			if said && d.Key == slot {
				return true
			}
		}
	}
	return false
}

// excused reports whether an operator has decided that an order is charged what it was, and not what it should have been:
// nothing for an order whose capture was given up, the whole for one whose payment nobody could void.
func (r *Report) excused(id string) bool {
	if r.Orders[id] == "order.completed" {
		return r.Net[id] == 0 && r.byHand(id, "capture", "capture/settled")
	}
	return r.Net[id] == number(r.Streams["order-"+id][0].Data, "totalAmount") && r.byHand(id, "undo/authorize")
}
