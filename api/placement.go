package api

import (
	"github.com/ordersaga/ordersaga/internal/order"
)

// decodeOrder reads the body of POST /v1/orders: a valid and normalized order without an id. Errors: Malformed
// when it cannot be parsed, Invalid when it breaks a rule; the latter names every place at once.
func decodeOrder(body []byte) (order.Order, error) {
	root, err := parseDocument(body)
	if err != nil {
		return order.Order{}, err
	}
	var d document
	fields := d.object(root, "customerId", "currency", "lines", "payment", "fulfillment")
	o := order.Order{
		CustomerID:  d.text(fields, "customerId"),
		Currency:    d.text(fields, "currency"),
		Fulfillment: order.Fulfillment(d.text(fields, "fulfillment")),
	}
	if n, there := fields["payment"]; there {
		o.Payment.Method = d.text(d.object(n, "method"), "method")
	}
	lines := d.list(fields, "lines")
	if len(lines) > order.MaxLines {
		d.add("/lines", "must have at most %d lines", order.MaxLines)
		lines = lines[:order.MaxLines]
	}
	for _, n := range lines {
		o.Lines = append(o.Lines, d.line(n))
	}
	if err := d.merge(o.Validate()); err != nil {
		return order.Order{}, err
	}
	if err := d.invalid("order"); err != nil {
		return order.Order{}, err
	}
	return o.Normalize(), nil
}

func (d *document) line(n node) order.Line {
	fields := d.object(n, "sku", "quantity", "unitAmount")
	if fields == nil {
		return order.Line{}
	}
	return order.Line{
		SKU:        d.text(fields, "sku"),
		Quantity:   d.integer(fields, n.at, "quantity", ""),
		UnitAmount: d.integer(fields, n.at, "unitAmount", " in minor units"),
	}
}
