package audit

import "go.mongodb.org/mongo-driver/v2/bson"

// refund checks the saga of a refund: what it gives back was reserved in the refund ledger and given back by the gateway, once, with its key; what it
// does not give back is released; and goods that it puts into stock are in the stock ledger. It adds up what each order has given back.
func (r *Report) refund(id string, stream []Document) {
	name := "refund-" + nameOf(id)
	of, amount, paid, byHand := text(stream[0].Data, "orderId"), int64(0), false, false
	if stream[0].Type != "refund.accepted" || text(stream[0].Data, "refundId") != id {
		r.violate("refund %s begins with %s", id, stream[0].Type)
	}
	ended := ""
	for _, d := range stream {
		if ended != "" {
			r.violate("refund %s goes on after %s", id, ended)
		}
		switch d.Type {
		case "refund.reserved":
			amount = number(d.Data, "amount")
		case "refund.paid":
			paid = true
			r.paidBack(id, of, name, number(d.Data, "amount"))
		case "refund.restocked":
			r.restocked("refund "+id, id, of, d)
		case "refund.step_substituted":
			byHand = byHand || d.Key == "refund"
		case "refund.completed", "refund.rejected", "refund.cancelled", "refund.failed":
			ended = d.Type
		}
		if d.Type == "refund.completed" && !paid && !byHand {
			r.violate("refund %s is completed, and nothing was given back", id)
		}
	}
	reserved, settled := r.reservation(of, name)
	switch {
	case paid && (reserved != amount || settled != "refunds.refunded"):
		r.violate("refund %s gives back %d, and the refund ledger has %d, %q", id, amount, reserved, settled)
	case ended != "" && ended != "refund.completed" && reserved > 0 && settled != "refunds.released":
		r.violate("refund %s has ended as %s, and %d of order %s are %q", id, ended, reserved, of, settled)
	}
	if paid {
		r.Refunded[of] += amount
	}
	if ended == "" || byHand {
		// The gateway may have given it back.
		r.maybeRefunded[of] += amount
	}
	for _, d := range stream {
		if d.Type == "refund.compensating" && text(d.Data, "reason") == "refund_skipped" {
			r.maybeRefunded[of] += amount
		}
	}
}

// reservation is what a key has reserved in the refund ledger of an order, and how that was settled.
func (r *Report) reservation(of, key string) (amount int64, settled string) {
	for _, d := range r.of("refunds-", of) {
		switch d.Key {
		case "reserve/" + key:
			amount = number(d.Data, "amount")
		case "settle/" + key:
			settled = d.Type
		}
	}
	return amount, settled
}

// paidBack checks that the simulator, where it keeps the books, has given back an amount with the key of a refund.
func (r *Report) paidBack(id, of, name string, amount int64) {
	count := 0
	for _, charge := range r.of("payment-", of) {
		if charge.Type == "charge.refunded" && charge.Key == "refund/"+keyOf(of, name) && number(charge.Data, "amount") == amount {
			count++
		}
	}
	if len(r.of("payment-", of)) > 0 && count != 1 {
		r.violate("refund %s gives back %d, and the gateway has done so %d times", id, amount, count)
	}
}

// restocked checks that goods are in the stock ledger, once.
func (r *Report) restocked(by, id, of string, d Document) {
	lines, _ := value(d.Data, "lines").(bson.A)
	for _, item := range lines {
		line, _ := item.(bson.D)
		sku, count := text(line, "sku"), 0
		for _, m := range r.of("sku-", sku) {
			if m.Type == "stock.returned" && m.Key == nameOf(of)+"/return/"+nameOf(id) && number(m.Data, "quantity") == number(line, "quantity") {
				count++
			}
		}
		if stock := r.of("sku-", sku); len(stock) > 0 && count != 1 { // without a stream, an inventory service has the stock
			r.violate("%s puts %d of %s into stock, and the stock ledger has that %d times", by, number(line, "quantity"), sku, count)
		}
	}
}
