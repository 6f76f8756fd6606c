package inbound_test

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/event/eventtest"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/notify"
	"github.com/ordersaga/ordersaga/internal/wire"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// TestInboundSchemaMatchesTheParser: data that the schema takes is accepted, and no other, in a plain event whose
// aggregateId is right. What differs, and why, is in beyondSchema.
func TestInboundSchemaMatchesTheParser(t *testing.T) {
	for _, typ := range event.Types(event.Inbound) {
		t.Run(typ.Name, func(t *testing.T) {
			schema := eventtest.Schema(t, typ.Name, typ.Version)
			examples := eventtest.Examples(t, typ.Name, typ.Version)
			accepted, refused := 0, 0
			rapid.Check(t, func(t *rapid.T) {
				data := rapid.SampledFrom(examples).Draw(t, "example")
				value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
				require.NoError(t, err)
				for range rapid.IntRange(0, 3).Draw(t, "changes") {
					value = change(t, value)
				}
				data, err = json.Marshal(value)
				require.NoError(t, err)

				valid := schema.Validate(value)
				taken := accept(t, typ.Name, data)
				switch {
				case valid == nil && taken != nil && beyondSchema(typ.Name, data):
				case valid == nil:
					require.NoError(t, taken, "the schema takes %s", data)
					accepted++
				default:
					require.Error(t, taken, "the schema refuses %s: %v", data, valid)
					require.Contains(t, []fault.Code{fault.Invalid, fault.Malformed}, fault.CodeOf(taken))
					require.NotEmpty(t, fault.FieldsOf(taken))
					for _, f := range fault.FieldsOf(taken) {
						require.True(t, strings.HasPrefix(f.Pointer, "/data"), "%s is no pointer into the data", f.Pointer)
					}
					refused++
				}
			})
			require.NotZero(t, accepted)
			if typ.Fact {
				// Little is refused, so that it may not have been drawn.
				subject := "orderId"
				if len(typ.SubjectFields) > 0 {
					subject = typ.SubjectFields[0]
				}
				require.Error(t, schema.Validate(map[string]any{subject: "a "}))
				require.Error(t, accept(t, typ.Name, json.RawMessage(`{"`+subject+`":"a "}`)))
				return
			}
			require.NotZero(t, refused)
		})
	}
}

// accept hands an event to an executor as the bus does.
func accept(t interface {
	require.TestingT
	Context() context.Context
}, typ string, data json.RawMessage) error {
	body, err := json.Marshal(map[string]any{"id": "evt-1", "type": typ, "aggregateId": "subject-1", "data": data})
	require.NoError(t, err)
	e, err := wire.Decode(wire.Message{Body: body})
	if err != nil {
		return err
	}
	return newWorld().executor.Handle(t.Context(), e)
}

// beyondSchema reports whether valid data is refused for a reason that a schema cannot express:
//   - The syntax of e-mail addresses.
//   - The sums of an order: a total below 0 or above the limit, lines of one SKU that come to too many, a total without a payment.
//   - A line of a refund, a return or a receipt that is named twice.
//   - The digits of an order ID that is a number, when they are no ID: -0.0, 1e+5.
func beyondSchema(typ string, data []byte) bool {
	if typ == event.RefundRequested || typ == event.ReturnRequested || typ == event.ReturnReceived {
		var d struct {
			Lines []struct {
				Line int
				SKU  string
			}
		}
		_ = json.Unmarshal(data, &d)
		seen := make(map[any]bool)
		for _, l := range d.Lines {
			if seen[l] {
				return true
			}
			seen[l] = true
		}
	}
	if found, _ := event.Find(typ); found.Fact {
		subject := "orderId"
		if len(found.SubjectFields) > 0 {
			subject = found.SubjectFields[0]
		}
		var d map[string]json.RawMessage
		_ = json.Unmarshal(data, &d)
		id := d[subject]
		return len(id) > 0 && id[0] != '"' && !event.ValidID(string(id))
	}
	if typ == event.UserRegistered {
		var d struct{ Email string }
		_ = json.Unmarshal(data, &d)
		_, err := notify.ParseAddress(d.Email)
		return err != nil
	}
	if typ != event.OrderCreated {
		return false
	}
	var d struct {
		Lines []struct {
			SKU                  string
			Quantity, UnitAmount json.Number
			Stocked              *bool
		}
		Payment *struct{}
	}
	if json.Unmarshal(data, &d) != nil {
		return false
	}
	var total int64
	quantities := map[string]int64{}
	for _, n := range d.Lines {
		l := order.Line{SKU: n.SKU, Quantity: exact(n.Quantity), UnitAmount: exact(n.UnitAmount), Stocked: n.Stocked}
		if l.IsStocked() {
			quantities[l.SKU] += l.Quantity
		}
		amount := l.Quantity * l.UnitAmount
		if quantities[l.SKU] > order.MaxQuantity || amount > order.MaxAmount || amount < -order.MaxAmount {
			return true
		}
		total += amount
	}
	return total < 0 || total > order.MaxAmount || total > 0 && d.Payment == nil
}

// exact is the value of a number that its schema accepts.
func exact(number json.Number) int64 {
	value, ok := new(big.Rat).SetString(number.String())
	if !ok || !value.IsInt() {
		panic("no integer: " + number)
	}
	return value.Num().Int64()
}

// oddities are values that a sender may put anywhere.
var oddities = []any{
	nil, true, "", "a", "A-1_2.3", "-a", "a b", "a\n", "ü", strings.Repeat("x", 64), strings.Repeat("x", 65), strings.Repeat("ü", 500),
	strings.Repeat("ü", 501), "a\x00b", "\u202e", "\u00a0", "\ufffd", "😀 fine", "EUR", "eur", "immediate", "pigeon",
	json.Number("0"), json.Number("1"), json.Number("-1"), json.Number("1.5"), json.Number("1.0"), json.Number("1000000"), json.Number("1000001"),
	json.Number("2.0"), json.Number("1e2"), json.Number("1.50e1"), json.Number("20E-1"), json.Number("1e-1"), json.Number("-0.0"), json.Number("1000000.0"),
	json.Number("1.000001e6"), json.Number("1e12"), json.Number("1.0e19"),
	json.Number("1000000000000"), json.Number("1000000000001"), json.Number("9223372036854775808"), json.Number("1e400"),
	[]any{}, []any{json.Number("1")}, map[string]any{}, map[string]any{"sku": "cup", "quantity": json.Number("1"), "unitAmount": json.Number("1")},
}

// change replaces, removes or adds something anywhere in a value.
func change(t *rapid.T, value any) any {
	switch v := value.(type) {
	case map[string]any:
		copied := maps.Clone(v)
		names := slices.Sorted(maps.Keys(copied))
		known := append([]string{"orderId", "reason", "code", "paymentId", "carrier", "trackingNumber", "fulfillment", "sku", "quantity", "stocked", "metadata"}, names...)
		name := rapid.SampledFrom(known).Draw(t, "field")
		switch rapid.SampledFrom([]string{"replace", "within", "within", "remove", "unknown", "case"}).Draw(t, "change") {
		case "replace":
			copied[name] = rapid.SampledFrom(oddities).Draw(t, "value")
		case "within":
			if inner, ok := copied[name]; ok {
				copied[name] = change(t, inner)
			}
		case "remove":
			delete(copied, name)
		case "unknown":
			copied["note"] = "more"
		case "case":
			copied[strings.ToUpper(name)] = rapid.SampledFrom(oddities).Draw(t, "value")
		}
		return copied
	case []any:
		copied := slices.Clone(v)
		if rapid.Bool().Draw(t, "longer") {
			more := rapid.SampledFrom([]int{1, 2, 99, 100}).Draw(t, "more")
			for i := range more {
				copied = append(copied, map[string]any{
					"sku": "sku-" + strconv.Itoa(i%60), "quantity": json.Number("1"), "unitAmount": json.Number("5"),
				})
			}
			return copied
		}
		if len(copied) > 0 {
			i := rapid.IntRange(0, len(copied)-1).Draw(t, "index")
			copied[i] = change(t, copied[i])
		}
		return copied
	}
	return rapid.SampledFrom(oddities).Draw(t, "value")
}
