package workers

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ordersaga/ordersaga/internal/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/order"
)

// maxText and maxCode are how many characters a text and a code of an event may have.
const (
	maxText = 500
	maxCode = 64
)

// text is a text of an event's data that becomes part of the order's events.
type text struct {
	name, value string
	limit       int
}

// checkTexts names every text that is too long or not printable. The error is Invalid.
func checkTexts(texts ...text) error {
	var fields []fault.Field
	for _, t := range texts {
		switch {
		case utf8.RuneCountInString(t.value) > t.limit:
			fields = append(fields, fault.Fieldf("/data/"+t.name, "must have at most %d characters", t.limit))
		case strings.ContainsFunc(t.value, func(r rune) bool { return !unicode.IsPrint(r) }):
			fields = append(fields, fault.Fieldf("/data/"+t.name, "must be printable"))
		}
	}
	return fault.NewInvalid("event", fields)
}

// decode reads an event's data. Fields that it does not know are passed over: what a warehouse or a provider adds to
// its events is no reason to lose them. The error is Invalid and names the field.
func decode(e event.Event, into any) error {
	return decodeWith(json.NewDecoder(bytes.NewReader(e.Data)), e, into)
}

// decodeStrictly refuses unknown fields, because everything in an order is kept, and nothing here could keep personal
// data safe yet.
func decodeStrictly(e event.Event, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(e.Data))
	decoder.DisallowUnknownFields()
	return decodeWith(decoder, e, into)
}

func decodeWith(decoder *json.Decoder, e event.Event, into any) error {
	err := decoder.Decode(into)
	if err == nil {
		return nil
	}
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) {
		// encoding/json does not tell which element of a list it was.
		pointer := strings.TrimSuffix("/data/"+strings.ReplaceAll(wrongType.Field, ".", "/"), "/")
		return fault.NewInvalid("event", []fault.Field{fault.Fieldf(pointer, "must not be a %s", wrongType.Value)})
	}
	if name, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); unknown {
		return fault.NewInvalid("event", []fault.Field{fault.Fieldf("/data/"+strings.Trim(name, `"`), "is not a known field")})
	}
	return fault.Wrap(err, fault.Malformed, "data of %s", e.Type)
}

// decodeOrder reads the order of an order.created event.
func decodeOrder(e event.Event) (order.Order, error) {
	var d struct {
		OrderID     string              `json:"orderId"`
		CustomerID  string              `json:"customerId"`
		Currency    string              `json:"currency"`
		Lines       []order.Line        `json:"lines"`
		Payment     order.PaymentMethod `json:"payment"`
		Fulfillment order.Fulfillment   `json:"fulfillment"`
	}
	if err := decodeStrictly(e, &d); err != nil {
		return order.Order{}, err
	}
	o := order.Order{
		ID: e.Subject, CustomerID: d.CustomerID, Currency: d.Currency, Lines: d.Lines,
		Payment: d.Payment, Fulfillment: d.Fulfillment,
	}
	var fields []fault.Field
	if !event.ValidID(o.ID) {
		fields = append(fields, fault.Fieldf("/data/orderId", "%s", event.IDRule))
	}
	for _, f := range fault.FieldsOf(o.Validate()) {
		fields = append(fields, fault.Field{Pointer: "/data" + f.Pointer, Detail: f.Detail})
	}
	if err := fault.NewInvalid("event", fields); err != nil {
		return order.Order{}, err
	}
	return o.Normalize(), nil
}
