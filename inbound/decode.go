package inbound

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/order"
	"github.com/ordersaga/ordersaga/internal/text"
)

// maxText and maxCode are how many characters a text and a code of an event may have.
const (
	maxText = 500
	maxCode = 64
)

// fact is the data of an event about an order, event.Type.Fact. Nothing in it is a reason to refuse the event.
type fact map[string]any

// readFact reads the data of an event about an order. The error is Malformed for what is no JSON object.
func readFact(e event.Event) (fact, error) {
	decoder := json.NewDecoder(bytes.NewReader(e.Data))
	decoder.UseNumber()
	var f fact
	if err := decoder.Decode(&f); err != nil {
		return nil, fault.Wrap(err, fault.Malformed, "data of %s", e.Type)
	}
	return f, nil
}

// text returns a field that is written for people, cleaned and cut. Numbers keep their digits. What is neither says nothing.
func (f fact) text(name string, limit int) string {
	switch value := f[name].(type) {
	case string:
		return text.Clean(value, limit)
	case json.Number:
		return text.Clean(value.String(), limit)
	}
	return ""
}

// decode reads an event's data. Fields that it does not know are passed over: what a sender adds to its events is no reason to
// lose them. The error is Invalid and names every field that does not fit.
func decode(e event.Event, into any) error { return decodeWith(fitter{}, e, into) }

// decodeStrictly refuses unknown fields, because everything in an order is kept, and an order is no place for personal
// data.
func decodeStrictly(e event.Event, into any) error { return decodeWith(fitter{strict: true}, e, into) }

func decodeWith(f fitter, e event.Event, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(e.Data))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return fault.Wrap(err, fault.Malformed, "data of %s", e.Type)
	}
	f.fit("/data", value, reflect.ValueOf(into).Elem(), "")
	return fault.NewInvalid("event", f.wrong)
}

// orderData is the data of order.created. A price that is left out is no price of zero.
type orderData struct {
	OrderID    string `json:"orderId"`
	CustomerID string `json:"customerId"`
	Currency   string `json:"currency"`
	Lines      []struct {
		SKU        string `json:"sku"`
		Quantity   *int64 `json:"quantity"`
		UnitAmount *int64 `json:"unitAmount" unit:"in minor units"`
	} `json:"lines"`
	Payment struct {
		Method string `json:"method"`
	} `json:"payment"`
	Fulfillment string `json:"fulfillment"`
}

// decodeOrder reads the order of an order.created event.
func decodeOrder(e event.Event) (order.Order, error) {
	var d orderData
	if err := decodeStrictly(e, &d); err != nil {
		return order.Order{}, err
	}
	o := order.Order{
		ID: e.Subject, CustomerID: d.CustomerID, Currency: d.Currency, Lines: make([]order.Line, len(d.Lines)),
		Payment: order.PaymentMethod{Method: d.Payment.Method}, Fulfillment: order.Fulfillment(d.Fulfillment),
	}
	var fields []fault.Field
	if !event.ValidID(o.ID) {
		fields = append(fields, fault.Fieldf("/data/orderId", "%s", event.IDRule))
	}
	for i, l := range d.Lines {
		missing := missingFrom("/data/lines/"+strconv.Itoa(i), map[string]bool{
			"sku": l.SKU == "", "quantity": l.Quantity == nil, "unitAmount": l.UnitAmount == nil,
		})
		if len(missing) > 0 {
			fields = append(fields, missing...)
			// A line without all of its parts takes no part in the rules about several lines.
			o.Lines[i] = order.Line{SKU: "unread.line." + strconv.Itoa(i), Quantity: 1}
			continue
		}
		o.Lines[i] = order.Line{SKU: l.SKU, Quantity: *l.Quantity, UnitAmount: *l.UnitAmount}
	}
	missing := len(fields)
	for _, f := range fault.FieldsOf(o.Validate()) {
		f.Pointer = "/data" + f.Pointer
		if !slices.ContainsFunc(fields[:missing], func(known fault.Field) bool { return fault.Overlap(known.Pointer, f.Pointer) }) {
			fields = append(fields, f)
		}
	}
	if err := fault.NewInvalid("event", fields[:min(len(fields), maxComplaints)]); err != nil {
		return order.Order{}, err
	}
	return o.Normalize(), nil
}

// missingFrom complains about the fields of an object that are missing.
func missingFrom(at string, missing map[string]bool) []fault.Field {
	var fields []fault.Field
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		if missing[name] {
			fields = append(fields, fault.Fieldf(at+"/"+name, fault.RuleMissing))
		}
	}
	return fields
}
