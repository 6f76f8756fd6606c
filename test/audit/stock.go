package audit

import "go.mongodb.org/mongo-driver/v2/bson"

// settlement is what an order reserved of a SKU, and the type of the event that settled it.
type settlement struct {
	quantity int64
	by       string
}

// stock recomputes the balance of one SKU and compares it with what each movement claims.
func (r *Report) stock(sku string, stream []Document) {
	holds := map[string]int64{}
	var onHand, reserved, in, committed int64
	for _, d := range stream {
		quantity, orderID := number(d.Data, "quantity"), text(d.Data, "orderId")
		slot := sku + "\x00" + orderID
		switch d.Type {
		case "stock.added", "stock.adjusted", "stock.returned":
			onHand, in = onHand+quantity, in+quantity
		case "stock.reserved":
			if _, twice := r.settled[slot]; twice {
				r.violate("order %s reserves %s a second time", orderID, sku)
			}
			reserved += quantity
			holds[orderID] += quantity
			r.settled[slot] = settlement{quantity: quantity}
		case "stock.released", "stock.committed":
			if s := r.settled[slot]; s.by != "" || s.quantity != quantity {
				r.violate("order %s settles %d of %s and holds %d, settled as %q", orderID, quantity, sku, s.quantity, s.by)
			}
			reserved -= quantity
			holds[orderID] -= quantity
			r.settled[slot] = settlement{quantity: quantity, by: d.Type}
			if d.Type == "stock.committed" {
				onHand, committed = onHand-quantity, committed+quantity
			}
		}
		// A count may find fewer than are reserved; nothing else may take what is not available.
		takes := d.Type == "stock.reserved" || d.Type == "stock.adjusted" && quantity < 0 && value(d.Data, "counted") == nil
		if onHand < 0 || reserved < 0 || takes && onHand < reserved {
			r.violate("sku %s at version %d: %d on hand, %d reserved", sku, d.Version, onHand, reserved)
		}
		if number(d.Data, "onHand") != onHand || number(d.Data, "reserved") != reserved {
			r.violate("sku %s at version %d claims %d on hand and %d reserved; it is %d and %d", sku, d.Version,
				number(d.Data, "onHand"), number(d.Data, "reserved"), onHand, reserved)
		}
	}
	if in != onHand+committed {
		r.violate("sku %s: %d came in, %d are on hand, %d have left", sku, in, onHand, committed)
	}
	for _, id := range sorted(holds) {
		held := holds[id]
		switch ended, known := r.Orders[id]; {
		case held == 0:
		case !known:
			r.violate("order %s is not known and holds %d of %s", id, held, sku)
		case ended != "":
			r.unlessExcepted(id, stockExceptions, "order %s has ended as %q and holds %d of %s", id, ended, held, sku)
		}
	}
	r.OnHand[sku], r.Reserved[sku], r.Committed[sku] = onHand, reserved, committed
}

var stockExceptions = []string{"commit", "undo reserve"}

// outcomes checks that the stock of every ended order went where its end says.
func (r *Report) outcomes() {
	for _, id := range sorted(r.Orders) {
		ordered := stocked(r.of("order-", id)[0].Data)
		for _, sku := range sorted(ordered) {
			quantity := ordered[sku]
			s := r.settled[sku+"\x00"+id]
			switch r.Orders[id] {
			case "":
			case "order.completed":
				if s.by != "stock.committed" || s.quantity != quantity {
					r.unlessExcepted(id, stockExceptions, "order %s has completed, and of its %d of %s %d are %q", id, quantity, sku, s.quantity, s.by)
				}
			default:
				if s.by == "stock.committed" {
					r.unlessExcepted(id, stockExceptions, "order %s ended as %s, and its %d of %s have left", id, r.Orders[id], s.quantity, sku)
				}
			}
		}
	}
}

// stocked is how much stock the lines of an order take, by SKU.
func stocked(order bson.D) map[string]int64 {
	lines, _ := value(order, "lines").(bson.A)
	ordered := map[string]int64{}
	for _, item := range lines {
		line, _ := item.(bson.D)
		if value(line, "stocked") != false {
			ordered[text(line, "sku")] += number(line, "quantity")
		}
	}
	return ordered
}

func value(data bson.D, name string) any {
	for _, e := range data {
		if e.Key == name {
			return e.Value
		}
	}
	return nil
}
