package audit

import (
	"maps"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/google/uuid"
)

// refundOfReturn is the ID of the refund of a return, under which its goods are in the stock ledger, too.
func refundOfReturn(id string) string {
	namespace := uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://ordersaga.dev/ns"))
	return uuid.NewSHA1(namespace, []byte("refund of return\x00"+id+"\x00")).String()
}

// goodsBack checks the saga of a return: what came back is what the refund ledger holds for it; what did not come back is free; what it says was
// refunded was, by its own refund; and its goods are in the stock ledger. No line has more returned and refunded than was ordered.
func (r *Report) goodsBack(id string, stream []Document) {
	of, came, accounted, ended := text(stream[0].Data, "orderId"), map[int64]int64{}, false, ""
	if stream[0].Type != "return.accepted" || text(stream[0].Data, "returnId") != id {
		r.violate("return %s begins with %s", id, stream[0].Type)
	}
	for _, d := range stream {
		if ended != "" {
			r.violate("return %s goes on after %s", id, ended)
		}
		switch d.Type {
		case "return.items_received":
			for line, n := range unitsOf(d.Data, "lines") {
				came[line] += n
			}
		case "return.accounted":
			accounted = true
			if !maps.Equal(unitsOf(d.Data, "lines"), came) {
				r.violate("return %s accounts for other goods than it has received", id)
			}
		case "return.refunded":
			r.refundedReturn(id, d)
		case "return.restocked":
			r.restocked("return "+id, refundOfReturn(id), of, d)
		case "return.completed", "return.rejected", "return.cancelled", "return.failed":
			ended = d.Type
		}
		if d.Type == "return.completed" && len(came) == 0 {
			r.violate("return %s is completed, and nothing came back", id)
		}
	}
	held, settled := r.heldByReturn(of, "return-"+nameOf(id))
	switch {
	case accounted && (!settled || !maps.Equal(held, came)):
		r.violate("return %s has received %v, and the refund ledger of order %s has %v", id, came, of, held)
	case ended != "" && ended != "return.completed" && len(held) > 0:
		r.violate("return %s has ended as %s, and holds %v of order %s", id, ended, held, of)
	}
	r.notTwice(id, of)
}

// heldByReturn is what a return holds in the refund ledger of an order, by line.
func (r *Report) heldByReturn(of, key string) (held map[int64]int64, settled bool) {
	held = map[int64]int64{}
	for _, d := range r.of("refunds-", of) {
		switch d.Key {
		case "return/" + key, "returned/" + key:
			held, settled = unitsOf(d.Data, "lines"), d.Type == "refunds.return_settled"
		}
	}
	return held, settled
}

// refundedReturn checks that what a return says was refunded was refunded by its own refund, or that an operator has said so.
func (r *Report) refundedReturn(id string, d Document) {
	refund := text(d.Data, "refundId")
	if refund != refundOfReturn(id) {
		r.violate("return %s names the refund %s, which is not its own", id, refund)
	}
	reserved, done := int64(0), false
	for _, e := range r.of("refund-", refund) {
		switch {
		case e.Type == "refund.reserved":
			reserved = number(e.Data, "amount")
		case e.Type == "refund.paid", e.Type == "refund.step_substituted" && e.Key == "refund":
			done = true
		}
	}
	if !done || reserved != number(d.Data, "amount") {
		r.violate("return %s says that %d were refunded, and its refund has given back %d (%t)", id, number(d.Data, "amount"), reserved, done)
	}
}

// notTwice checks that no line of an order has more units returned and refunded than were ordered, and that nothing comes back of an order that was
// not delivered.
func (r *Report) notTwice(id, of string) {
	ordered, returned, refunded := map[int64]int64{}, map[int64]int64{}, map[int64]int64{}
	for _, d := range r.Order(of) {
		if d.Type == "order.accepted" {
			lines, _ := value(d.Data, "lines").(bson.A)
			for i, item := range lines {
				line, _ := item.(bson.D)
				ordered[int64(i+1)] = number(line, "quantity")
			}
		}
	}
	ofReturns, ofRefunds := map[string]map[int64]int64{}, map[string]map[int64]int64{}
	for _, d := range r.of("refunds-", of) {
		switch key := text(d.Data, "key"); {
		case d.Type == "refunds.return_reserved", d.Type == "refunds.return_settled":
			ofReturns[key] = unitsOf(d.Data, "lines")
		case d.Type == "refunds.reserved" && text(d.Data, "return") == "":
			ofRefunds[key] = unitsOf(d.Data, "lines")
		case d.Type == "refunds.released":
			delete(ofRefunds, key)
		}
	}
	for _, units := range ofReturns {
		for line, n := range units {
			returned[line] += n
		}
	}
	for _, units := range ofRefunds {
		for line, n := range units {
			refunded[line] += n
		}
	}
	for line, n := range returned {
		if n > 0 && n+refunded[line] > ordered[line] {
			r.violate("return %s: %d of line %d of order %s are returned or refunded of %d", id, n+refunded[line], line, of, ordered[line])
		}
	}
	if len(returned) > 0 && r.Orders[of] == "" {
		r.shippedOnly(id, of, returned)
	}
}

// shippedOnly checks that of an order that has not ended only goods of parcels that arrived come back.
func (r *Report) shippedOnly(id, of string, returned map[int64]int64) {
	arrived := false
	for _, d := range r.Order(of) {
		arrived = arrived || d.Type == "order.parcel_delivered" || d.Type == "order.delivered"
	}
	if !arrived {
		r.violate("return %s: %v of order %s come back, of which nothing was delivered", id, returned, of)
	}
}
