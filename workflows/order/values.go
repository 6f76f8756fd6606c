// Package order is the order flow: the values of an order, the meaning of its events, its table (flow.go), and its step functions with the
// interfaces of the participants that they call (steps.go).
//
// Fold makes a State from the events of an order's stream; Next says what to do about a State. The workflow, the API, the list and its
// rebuild all use the same two functions, so that they can never disagree.
//
// Nothing here but the step functions does I/O, and nothing reads a clock or makes a random ID.
package order

import (
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Fulfillment says how goods leave.
type Fulfillment string

const (
	// Immediate orders are done when the payment is captured: digital goods, or goods over the counter.
	Immediate Fulfillment = "immediate"
	// Shipment orders wait for the warehouse before they capture, and for the carrier before they complete.
	Shipment Fulfillment = "shipment"
)

// Limits of an order. They keep a stream's record far below every payload limit behind it.
const (
	MaxLines = 100
	// MaxQuantity is per line, after lines of one SKU are merged.
	MaxQuantity = 1_000_000
	// MaxAmount is for an order's total, in minor units. It is far below 2^53, where JSON numbers stop being exact.
	MaxAmount = 1_000_000_000_000
)

// Line is a SKU, how many of it, and at what price.
type Line struct {
	SKU      string `json:"sku" required:"true"`
	Quantity int64  `json:"quantity" required:"true"`
	// UnitAmount is in minor units of the order's currency.
	UnitAmount int64 `json:"unitAmount" required:"true" unit:"in minor units"`
}

// PaymentMethod says how the order is paid.
type PaymentMethod struct {
	// Method is a token that the gateway understands, such as tok_visa. Never a card number.
	Method string `json:"method"`
}

// Order is what a customer ordered. It never changes after it was accepted.
type Order struct {
	ID          string        `json:"orderId"`
	CustomerID  string        `json:"customerId"`
	Currency    string        `json:"currency"`
	Lines       []Line        `json:"lines"`
	Payment     PaymentMethod `json:"payment"`
	Fulfillment Fulfillment   `json:"fulfillment"`
	// TotalAmount is computed by Normalize, in minor units of Currency.
	TotalAmount int64 `json:"totalAmount"`
}

// Normalize merges the lines of one SKU, in the order of their first appearance, fills in the default
// fulfillment and computes the total. A merged line has one price: Validate has refused lines of one SKU with
// different ones before.
func (o Order) Normalize() Order {
	merged := make([]Line, 0, len(o.Lines))
	at := make(map[string]int, len(o.Lines))
	o.TotalAmount = 0
	for _, l := range o.Lines {
		o.TotalAmount += l.Quantity * l.UnitAmount
		if i, seen := at[l.SKU]; seen {
			merged[i].Quantity += l.Quantity
			continue
		}
		at[l.SKU] = len(merged)
		merged = append(merged, l)
	}
	o.Lines = merged
	if o.Fulfillment == "" {
		o.Fulfillment = Immediate
	}
	return o
}

// Validate names every field that breaks a rule; the error is Invalid. Call it before Normalize. It does not
// look at the id, which is checked where it comes from. A currency that is not known is named among others only: see
// ValidateNew.
func (o Order) Validate() error {
	var v validator
	v.id("/customerId", o.CustomerID)
	if !isCurrency(o.Currency) {
		v.add("/currency", "must be an ISO 4217 code of three capital letters")
	}
	v.lines(o.Lines)
	v.id("/payment/method", o.Payment.Method)
	switch o.Fulfillment {
	case "", Immediate, Shipment:
	default:
		v.add("/fulfillment", "must be %q or %q", Immediate, Shipment)
	}
	if len(v.fields) > 0 && isCurrency(o.Currency) && !KnownCurrency(o.Currency) {
		v.add("/currency", unknownCurrency)
	}
	return fault.NewInvalid("order", v.fields)
}

// validator collects complaints.
type validator struct{ fields []fault.Field }

func (v *validator) add(pointer, format string, args ...any) {
	v.fields = append(v.fields, fault.Fieldf(pointer, format, args...))
}

func (v *validator) id(pointer, id string) {
	switch {
	case id == "":
		v.add(pointer, fault.RuleMissing)
	case !event.ValidID(id):
		v.add(pointer, "%s", event.IDRule)
	}
}

func (v *validator) lines(lines []Line) {
	if len(lines) == 0 {
		v.add("/lines", "must have at least one line")
	}
	if len(lines) > MaxLines {
		v.add("/lines", "must have at most %d lines", MaxLines)
		return
	}
	var total int64
	quantities := make(map[string]int64)
	prices := make(map[string]int64)
	for i, l := range lines {
		at := linePointer(i)
		v.id(at+"/sku", l.SKU)
		if l.Quantity < 1 || l.Quantity > MaxQuantity {
			v.add(at+"/quantity", "%s", fault.RuleRange(1, MaxQuantity))
			continue
		}
		if l.UnitAmount < 0 || l.UnitAmount > MaxAmount {
			v.add(at+"/unitAmount", "%s, in minor units", fault.RuleRange(0, MaxAmount))
			continue
		}
		if price, seen := prices[l.SKU]; seen && price != l.UnitAmount {
			v.add(at+"/unitAmount", "differs from an earlier line of the same sku")
		}
		prices[l.SKU] = l.UnitAmount
		quantities[l.SKU] += l.Quantity
		if quantities[l.SKU] > MaxQuantity {
			v.add(at+"/quantity", "takes the lines of this sku over %d", MaxQuantity)
		}
		if l.UnitAmount > 0 && l.Quantity > (MaxAmount-total)/l.UnitAmount {
			v.add(at, "takes the total over %d minor units", int64(MaxAmount))
			return
		}
		total += l.Quantity * l.UnitAmount
	}
	if len(lines) > 0 && len(v.fields) == 0 && total == 0 {
		v.add("/lines", "must have a total above zero")
	}
}
