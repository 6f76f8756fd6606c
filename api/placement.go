package api

import (
	"strconv"

	"github.com/ordersaga/ordersaga/internal/fault"
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
	for i, n := range lines {
		before := len(d.fields)
		line := d.line(n)
		if len(d.fields) > before {
			// A line that could not be read takes no part in the rules about several lines.
			line = order.Line{SKU: "unread.line." + strconv.Itoa(i), Quantity: 1}
		}
		o.Lines = append(o.Lines, line)
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
	if _, there := fields["sku"]; !there {
		d.add(n.at+"/sku", fault.RuleMissing)
	}
	return order.Line{
		SKU:        d.text(fields, "sku"),
		Quantity:   d.integer(fields, n.at, "quantity", ""),
		UnitAmount: d.integer(fields, n.at, "unitAmount", " in minor units"),
	}
}
