package audit

import "go.mongodb.org/mongo-driver/v2/bson"

// refunds adds up the refund ledger of one payment: no source has more reserved than there was. The keys of a stream are
// unique, which is checked with every stream.
func (r *Report) refunds(id string, stream []Document) {
	reserved, limits, held := map[string]int64{}, map[string]int64{}, map[string]Document{}
	for _, d := range stream {
		key := text(d.Data, "key")
		switch d.Type {
		case "refunds.reserved":
			source := text(d.Data, "source")
			reserved[source] += number(d.Data, "amount")
			limits[source] = max(limits[source], number(d.Data, "limit"))
			held[key] = d
			if d.Key != "reserve/"+key {
				r.violate("the refund ledger of payment %s has %q in slot %q", id, key, d.Key)
			}
			if reserved[source] > limits[source] {
				r.violate("refunds of %d of payment %s are reserved of %d that were %s", reserved[source], id, limits[source], source)
			}
		case "refunds.refunded", "refunds.released":
			was, there := held[key]
			if d.Key != "settle/"+key || !there && d.Type == "refunds.refunded" {
				r.violate("the refund ledger of payment %s settles %q in slot %q, which has reserved %t", id, key, d.Key, there)
			}
			if d.Type == "refunds.released" && there {
				reserved[text(was.Data, "source")] -= number(was.Data, "amount")
			}
		case "refunds.return_reserved", "refunds.return_settled":
			if slot := map[string]string{"refunds.return_reserved": "return/", "refunds.return_settled": "returned/"}[d.Type]; d.Key != slot+key {
				r.violate("the refund ledger of payment %s has return %q in slot %q", id, key, d.Key)
			}
		default:
			r.violate("the refund ledger of payment %s has %s", id, d.Type)
		}
	}
}

// unitsOf are the quantities of the lines in data.
func unitsOf(data bson.D, field string) map[int64]int64 {
	units := map[int64]int64{}
	lines, _ := value(data, field).(bson.A)
	for _, item := range lines {
		line, _ := item.(bson.D)
		units[number(line, "line")] += number(line, "quantity")
	}
	return units
}

// refunded checks that what an order gave back was reserved before, and that the simulator, where it keeps the books, has given
// back as much.
func (r *Report) refunded(id string, d Document) {
	amount, reserved := number(d.Data, "amount"), int64(0)
	for _, l := range r.of("refunds-", id) {
		if l.Key == "reserve/"+d.Key && text(l.Data, "source") == "captured" {
			reserved = number(l.Data, "amount")
		}
	}
	if reserved != amount {
		r.violate("order %s gives back %d, and the refund ledger reserves %d for it", id, amount, reserved)
	}
	for _, charge := range r.of("payment-", id) {
		if charge.Type == "charge.refunded" && charge.Key == "refund/"+keyOf(id, d.Key) && number(charge.Data, "amount") == amount {
			return
		}
	}
	if len(r.of("payment-", id)) > 0 {
		r.violate("order %s gives back %d, and the gateway has not", id, amount)
	}
}
