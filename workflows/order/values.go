// Package order is the order flow: the values of an order, the meaning of its events, its table (flow.go), and its step functions with the
// interfaces of the participants that they call (steps.go).
//
// Fold makes a State from the events of an order's stream; Next says what to do about a State. The workflow, the API, the list and its
// rebuild all use the same two functions, so that they can never disagree.
//
// Nothing here but the step functions does I/O, and nothing reads a clock or makes a random ID.
package order

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/text"
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
	// MaxQuantity is per line, and for the stocked lines of one SKU together.
	MaxQuantity = 1_000_000
	// MaxAmount is for an order's total and for each line, in minor units. It is far below 2^53, where JSON numbers stop being exact.
	MaxAmount = 1_000_000_000_000
	// MaxMetadata is how many keys metadata may have.
	MaxMetadata = 20
	// MaxMetadataKey and MaxMetadataValue are how many characters a key and a value may have.
	MaxMetadataKey   = 40
	MaxMetadataValue = 500
)

// Line is a SKU, how many of it, and at what price. A line is named by its position, from 1.
type Line struct {
	SKU      string `json:"sku" required:"true"`
	Quantity int64  `json:"quantity" required:"true"`
	// UnitAmount is in minor units of the order's currency. It is negative for a discount, which is not stocked.
	UnitAmount int64 `json:"unitAmount" required:"true" unit:"in minor units"`
	// Stocked is false for what has no stock: fees, discounts, digital goods. It is nil, which means true, for everything else.
	Stocked *bool `json:"stocked,omitempty"`
}

// IsStocked reports whether the line takes stock.
func (l Line) IsStocked() bool { return l.Stocked == nil || *l.Stocked }

// PaymentMethod says how the order is paid.
type PaymentMethod struct {
	// Method is a token that the gateway understands, such as tok_visa. Never a card number.
	Method string `json:"method"`
}

// Order is what a customer ordered. It never changes after it was accepted.
type Order struct {
	ID         string `json:"orderId"`
	CustomerID string `json:"customerId"`
	Currency   string `json:"currency"`
	Lines      []Line `json:"lines"`
	// Payment may be missing from an order that costs nothing.
	Payment     PaymentMethod `json:"payment,omitzero"`
	Fulfillment Fulfillment   `json:"fulfillment"`
	// TotalAmount is computed by Normalize, in minor units of Currency.
	TotalAmount int64 `json:"totalAmount"`
	// Metadata is what the sender notes about the order. It is returned and published, and is no place for personal data.
	Metadata map[string]string `json:"metadata,omitempty"`
}

// Normalize writes the order in one way: the currency in capital letters, the default fulfillment, the total, and nothing where that means
// the same.
func (o Order) Normalize() Order {
	o.Lines = slices.Clone(o.Lines)
	o.TotalAmount = 0
	for i, l := range o.Lines {
		o.TotalAmount += l.Quantity * l.UnitAmount
		if l.IsStocked() {
			o.Lines[i].Stocked = nil
		}
	}
	o.Currency = strings.ToUpper(o.Currency)
	if o.Fulfillment == "" {
		o.Fulfillment = Immediate
	}
	if len(o.Metadata) == 0 {
		o.Metadata = nil
	}
	return o
}

// Same reports whether two orders say the same. Lines of one SKU at one price are merged on both sides, as earlier versions merged the
// lines of an order that they accepted.
func (o Order) Same(other Order) bool { return reflect.DeepEqual(o.merged(), other.merged()) }

// merged is the order, normalized, with the lines of one SKU at one price merged, in the order of their first appearance.
func (o Order) merged() Order {
	type kind struct {
		sku        string
		unitAmount int64
		stocked    bool
	}
	o = o.Normalize()
	merged, at := make([]Line, 0, len(o.Lines)), make(map[kind]int, len(o.Lines))
	for _, l := range o.Lines {
		k := kind{l.SKU, l.UnitAmount, l.IsStocked()}
		if i, seen := at[k]; seen {
			merged[i].Quantity += l.Quantity
			continue
		}
		at[k] = len(merged)
		merged = append(merged, l)
	}
	o.Lines = merged
	return o
}

// Validate names every field that breaks a rule; the error is Invalid. It is for input: what was accepted is never validated again. It does
// not look at the ID, which is checked where it comes from. A currency that is not known is named among others only: see ValidateNew.
func (o Order) Validate() error {
	var v validator
	v.id("/customerId", o.CustomerID)
	if !isCurrency(o.Currency) {
		v.add("/currency", "must be an ISO 4217 code of three letters")
	}
	free := v.lines(o.Lines)
	if !free || o.Payment.Method != "" {
		v.id("/payment/method", o.Payment.Method)
	}
	switch o.Fulfillment {
	case "", Immediate, Shipment:
	default:
		v.add("/fulfillment", "must be %q or %q", Immediate, Shipment)
	}
	v.metadata(o.Metadata)
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

// lines reports whether the lines are known to cost nothing together, so that nothing need be paid.
func (v *validator) lines(lines []Line) (free bool) {
	if len(lines) == 0 {
		v.add("/lines", "must have at least one line")
	}
	if len(lines) > MaxLines {
		v.add("/lines", "must have at most %d lines", MaxLines)
		return false
	}
	sum := totals{quantities: make(map[string]int64), complete: len(lines) > 0}
	for i, l := range lines {
		v.line(linePointer(i), l, &sum)
	}
	switch {
	case sum.total > MaxAmount:
		v.add(sum.over, "makes the total exceed %d minor units", int64(MaxAmount))
	case sum.complete && sum.total < 0:
		v.add("/lines", "must not have a negative total")
	}
	return sum.complete && sum.total <= 0
}

// totals are what the lines of an order come to.
type totals struct {
	// quantities are those of stocked lines, by SKU.
	quantities map[string]int64
	total      int64
	// over is the first line with which the total was too large.
	over string
	// complete reports that every line could be counted.
	complete bool
}

func (v *validator) line(at string, l Line, sum *totals) {
	v.id(at+"/sku", l.SKU)
	counted := false
	defer func() { sum.complete = sum.complete && counted && !strings.HasPrefix(l.SKU, unreadSKU) }()
	if l.Quantity < 1 || l.Quantity > MaxQuantity {
		v.add(at+"/quantity", "%s", fault.RuleRange(1, MaxQuantity))
		return
	}
	least := int64(0)
	if !l.IsStocked() {
		least = -MaxAmount
	}
	switch {
	case l.UnitAmount < 0 && least == 0:
		v.add(at+"/unitAmount", "%s, in minor units; negative only where stocked is false", fault.RuleRange(0, MaxAmount))
		return
	case l.UnitAmount < least || l.UnitAmount > MaxAmount:
		v.add(at+"/unitAmount", "%s, in minor units", fault.RuleRange(least, MaxAmount))
		return
	}
	if l.IsStocked() {
		sum.quantities[l.SKU] += l.Quantity
		if sum.quantities[l.SKU] > MaxQuantity {
			v.add(at+"/quantity", "makes the lines of this sku exceed %d", MaxQuantity)
		}
	}
	amount := l.Quantity * l.UnitAmount // at most 10^18
	if amount > MaxAmount || amount < -MaxAmount {
		v.add(at, "must be at most %d minor units", int64(MaxAmount))
		return
	}
	counted = true
	if sum.total += amount; sum.total > MaxAmount && sum.over == "" {
		sum.over = at
	}
}

// pointerEscapes write a name as part of a JSON pointer (RFC 6901).
var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

func (v *validator) metadata(metadata map[string]string) {
	if len(metadata) > MaxMetadata {
		v.add("/metadata", "must have at most %d keys", MaxMetadata)
		return
	}
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		switch {
		case key == "" || len(text.Validate(key, MaxMetadataKey)) > 0:
			v.add("/metadata", "has a key that is empty, longer than %d characters or not printable", MaxMetadataKey)
			continue
		case key == "_id" || key[0] == '$' || strings.Contains(key, "."):
			// The log takes no such names: not every database does.
			v.add("/metadata/"+pointerEscapes.Replace(key), "must not be named _id, begin with $ or contain a dot")
			continue
		}
		for _, rule := range text.Validate(metadata[key], MaxMetadataValue) {
			v.add("/metadata/"+pointerEscapes.Replace(key), "%s", rule)
		}
	}
}
