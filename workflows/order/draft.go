package order

import (
	"slices"
	"strconv"
)

// Draft is an order as its sender writes it, over REST or on the bus; internal/jsondoc reads it. Its ID comes from elsewhere.
type Draft struct {
	CustomerID  string            `json:"customerId"`
	Currency    string            `json:"currency"`
	Fulfillment Fulfillment       `json:"fulfillment"`
	Payment     PaymentMethod     `json:"payment"`
	Lines       []Line            `json:"lines" most:"100 lines"`
	Metadata    map[string]string `json:"metadata"`
}

// unreadSKU begins the SKU of a line of which something could not be read.
const unreadSKU = "unread.line."

// Order returns the order, to be validated and normalized. A line of which something could not be read, by its JSON pointer, takes no
// part in the rules about several lines.
func (d Draft) Order(unread func(pointer string) bool) Order {
	o := Order{
		CustomerID: d.CustomerID, Currency: d.Currency, Lines: slices.Clone(d.Lines), Payment: d.Payment, Fulfillment: d.Fulfillment, Metadata: d.Metadata,
	}
	for i := range o.Lines {
		if unread(linePointer(i)) {
			o.Lines[i] = Line{SKU: unreadSKU + strconv.Itoa(i), Quantity: 1}
		}
	}
	return o
}
