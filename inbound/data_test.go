package inbound_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/order"
)

func TestOrderCreatedIsStrict(t *testing.T) {
	// with replaces a part of an order that breaks no rule.
	with := func(old, replacement string) string {
		require.Contains(t, placeable, old)
		return strings.Replace(placeable, old, replacement, 1)
	}
	for _, test := range []struct {
		name, data string
		pointers   []string
	}{
		{"an unknown field", with(`"currency"`, `"email":"a@b.example","currency"`), []string{"/data/email"}},
		{"a total of the sender's", with(`"currency"`, `"totalAmount":1,"currency"`), []string{"/data/totalAmount"}},
		{"a wrong type", with(`"c-7"`, `7`), []string{"/data/customerId"}},
		{"a wrong type within", with(`"tok_visa"`, `4111`), []string{"/data/payment/method"}},
		{"an object for a list", with(`"payment":{"method":"tok_visa"}`, `"payment":[]`), []string{"/data/payment"}},
		{"a customer that breaks the rule of ids", with(`"c-7"`, `" c7"`), []string{"/data/customerId"}},
		{"no customer", with(`"customerId":"c-7",`, ``), []string{"/data/customerId"}},
		{"a currency of four letters", with(`"EUR"`, `"EURO"`), []string{"/data/currency"}},
		{"no line", `{"orderId":"42","customerId":"c-7","currency":"EUR","payment":{"method":"tok_visa"}}`, []string{"/data/lines"}},
		{"a quantity of zero in the second line", with(`"cup","quantity":1`, `"cup","quantity":0`), []string{"/data/lines/1/quantity"}},
		{"a discount that is stocked", with(`2,"unitAmount":450`, `2,"unitAmount":-450`), []string{"/data/lines/2/unitAmount"}},
		{"a total below zero", with(`2,"unitAmount":450`, `2,"unitAmount":-4500,"stocked":false`), []string{"/data/lines"}},
		{"a sku that is not printed", with(`"cup"`, `"a\u200bcup"`), []string{"/data/lines/1/sku"}},
		{"no price in the second line", with(`"cup","quantity":1,"unitAmount":900`, `"cup","quantity":1`), []string{"/data/lines/1/unitAmount"}},
		{"a fraction", with(`"cup","quantity":1`, `"cup","quantity":1.5`), []string{"/data/lines/1/quantity"}},
		{"a field of another case", with(`"customerId"`, `"CustomerID"`), []string{"/data/CustomerID", "/data/customerId"}},
		{"an unknown field within", with(`"cup"`, `"cup","a/b~":1`), []string{"/data/lines/1/a~1b~0"}},
		{"no way to pay", with(`"tok_visa"`, `""`), []string{"/data/payment/method"}},
		{"an unknown fulfillment", with(`"shipment"`, `"pigeon"`), []string{"/data/fulfillment"}},
		{
			"everything at once", `{"orderId":"42","currency":"","lines":[],"payment":{},"fulfillment":"pigeon"}`,
			[]string{"/data/customerId", "/data/currency", "/data/lines", "/data/payment/method", "/data/fulfillment"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld()
			err := w.executor.Handle(t.Context(), arrived(event.OrderCreated, test.data))
			require.Equal(t, fault.Invalid, fault.CodeOf(err))
			require.ElementsMatch(t, test.pointers, pointers(err))
			w.untouched(t)
		})
	}
}

func TestNonJSONDataIsMalformed(t *testing.T) {
	for _, typ := range event.Types(event.Inbound) {
		w := newWorld()
		err := w.executor.Handle(t.Context(), arrived(typ.Name, `{"orderId":`))
		require.Equal(t, fault.Malformed, fault.CodeOf(err), typ.Name)
		w.untouched(t)
	}
}

func TestOrderIDIsValidated(t *testing.T) {
	for _, id := range []string{"", ".", "..", " a", "a\n", "\u202ea", "\xff", "\ufffd", strings.Repeat("4", 201), strings.Repeat("ü", 101)} {
		for _, e := range []event.Event{
			arrived(event.OrderCreated, placeable),
			arrived(event.OrderCancellationRequested, `{}`),
			arrived(event.PaymentSucceeded, `{}`),
			arrived(event.ShipmentDelivered, `{}`),
		} {
			w := newWorld()
			e.Subject = id
			err := w.executor.Handle(t.Context(), e)
			require.Equal(t, fault.Invalid, fault.CodeOf(err), "%s with %q", e.Type, id)
			require.Equal(t, []string{"/data/orderId"}, pointers(err))
			w.untouched(t)
		}
	}
}

func TestFieldNamesAreCaseSensitive(t *testing.T) {
	w := newWorld()
	require.NoError(t, w.executor.Handle(t.Context(), arrived(event.OrderCancellationRequested, `{"reason":"ordered twice","Reason":7,"REASON":"no"}`)))
	require.Equal(t, "ordered twice", w.sagas.signals[0].payload.(order.Cancellation).Reason)
}

// TestErrorNamesABoundedNumberOfFields: it travels in a header.
func TestErrorNamesABoundedNumberOfFields(t *testing.T) {
	lines := strings.TrimSuffix(strings.Repeat(`{"sku":"-"},`, 100), ",")
	for _, data := range []string{`{"lines":[` + strings.ReplaceAll(lines, `"-"`, "1") + `]}`, `{"lines":[` + lines + `]}`} {
		w := newWorld()
		require.Len(t, fault.FieldsOf(w.executor.Handle(t.Context(), arrived(event.OrderCreated, data))), 20)
	}
}

func TestReceiptsNameTheirFields(t *testing.T) {
	for data, at := range map[string]string{
		`{"quantity":0}`: "/data/quantity", `{}`: "/data/quantity", `{"quantity":1000001}`: "/data/quantity", `{"quantity":"1"}`: "/data/quantity",
	} {
		w := newWorld()
		require.Equal(t, []string{at}, pointers(w.executor.Handle(t.Context(), arrived(event.StockReceived, data))), data)
		w.untouched(t)
	}
	w := newWorld()
	e := arrived(event.StockReceived, `{"quantity":1}`)
	e.Subject = "."
	require.Equal(t, []string{"/data/sku"}, pointers(w.executor.Handle(t.Context(), e)))
	w.untouched(t)
}

func TestSignalsIgnoreUnknownFields(t *testing.T) {
	for _, typ := range event.Types(event.Inbound) {
		switch typ.Name {
		case event.OrderCreated, event.RefundRequested, event.ReturnRequested, event.PaymentDisputed, event.PaymentRefundFailed:
			continue // everything in them is kept
		}
		t.Run(typ.Name, func(t *testing.T) {
			w := newWorld()
			e := arrived(typ.Name, `{"orderId":"42","sku":"tea","quantity":1,"email":"ada@example.com","disputeId":"dp_1","result":"won","depot":{"gate":[1,2]}}`)
			require.NoError(t, w.executor.Handle(t.Context(), e))
			require.Equal(t, 1, len(w.sagas.signals)+len(w.stock.receipts)+len(w.sagas.onboarded))
		})
	}
}

func TestFieldsOfAWrongTypeAreNamed(t *testing.T) {
	for eventType, fields := range map[string][]string{event.StockReceived: {"sku", "quantity"}, event.UserRegistered: {"email", "username"}} {
		for _, field := range fields {
			w := newWorld()
			err := w.executor.Handle(t.Context(), arrived(eventType, `{"`+field+`":[]}`))
			require.Equal(t, fault.Invalid, fault.CodeOf(err), eventType)
			require.Contains(t, pointers(err), "/data/"+field)
			w.untouched(t)
		}
	}
}

// factTexts are the fields of facts that are written for people.
var factTexts = map[string][]string{
	event.OrderCancellationRequested: {"reason"},
	event.PaymentFailed:              {"code"},
	event.ShipmentDispatched:         {"carrier", "trackingNumber", "reason"},
	event.ShipmentDelivered:          {"carrier", "trackingNumber", "reason"},
	event.ShipmentLost:               {"carrier", "trackingNumber", "reason"},
}

// textIn returns the value of a field that the saga receives.
func textIn(t *testing.T, payload any, field string) string {
	switch p := payload.(type) {
	case order.Cancellation:
		return p.Reason
	case order.PaymentHint:
		return p.Code
	case order.ShipmentSignal:
		return map[string]string{"carrier": p.Carrier, "trackingNumber": p.TrackingNumber, "reason": p.Reason}[field]
	}
	t.Fatalf("no text in %T", payload)
	return ""
}

// TestInvalidOptionalFieldKeepsTheFact: a text is cleaned, a number keeps its digits, and other values are dropped.
func TestInvalidOptionalFieldKeepsTheFact(t *testing.T) {
	for eventType, fields := range factTexts {
		for _, field := range fields {
			for value, want := range map[string]string{
				`"La\u00a0Poste"`: "La Poste", `"\u3000東京\u3000駅"`: "東京 駅", `"👩\u200d👩\u200d👧 home"`: "👩\u200d👩\u200d👧 home",
				`"🏴󠁧󠁢󠁳󠁣󠁴󠁿"`: "🏴󠁧󠁢󠁳󠁣󠁴󠁿", `"two\nlines\r\n"`: "two lines", `"a\u0000b\tc"`: "a b c", `"\u001b[31mred"`: "[31mred", `"\u202eabc\u2066"`: "abc",
				`"\ufeffa\u00adb"`: "ab", `"\ud83d"`: "\ufffd", `7`: "7", `12345678901234567890`: "12345678901234567890", `-7.10`: "-7.10", `true`: "", `["a"]`: "",
				`{"name":"DHL"}`: "", `null`: "", `"  "`: "", `"plain"`: "plain",
			} {
				w := newWorld()
				require.NoError(t, w.executor.Handle(t.Context(), arrived(eventType, `{"`+field+`":`+value+`}`)), "%s in %s of %s", value, field, eventType)
				require.Len(t, w.sagas.signals, 1)
				require.Equal(t, want, textIn(t, w.sagas.signals[0].payload, field), "%s in %s of %s", value, field, eventType)
			}
		}
	}
}

func TestLongOptionalTextIsTruncated(t *testing.T) {
	for eventType, fields := range factTexts {
		for _, field := range fields {
			limit := 500
			if field == "code" {
				limit = 64
			}
			for _, length := range []int{limit - 1, limit, limit + 1, 5000} {
				w := newWorld()
				require.NoError(t, w.executor.Handle(t.Context(), arrived(eventType, `{"`+field+`":"`+strings.Repeat("ü", length)+`"}`)))
				require.Equal(t, strings.Repeat("ü", min(length, limit)), textIn(t, w.sagas.signals[0].payload, field),
					"characters count, however many bytes they take")
			}
		}
	}
}

// Fields that are not used may be anything.
func TestUnusedFieldsOfFactAreIgnored(t *testing.T) {
	for eventType := range factTexts {
		for _, field := range []string{"orderId", "paymentId", "type", "lines", "depot"} {
			for _, value := range []string{`[]`, `{"a":1}`, `7`, `"a\u0000"`, `1e400`} {
				w := newWorld()
				require.NoError(t, w.executor.Handle(t.Context(), arrived(eventType, `{"`+field+`":`+value+`}`)), "%s in %s of %s", value, field, eventType)
				require.Len(t, w.sagas.signals, 1)
			}
		}
	}
	w := newWorld()
	require.NoError(t, w.executor.Handle(t.Context(), arrived(event.PaymentSucceeded, `{"code":["the code of a payment that went through"]}`)))
	require.Equal(t, order.PaymentHint{ID: derived, Cause: "evt-1", Succeeded: true}, w.sagas.signals[0].payload)
}

// pointers lists the places that an error complains about.
func pointers(err error) []string {
	var pointers []string
	for _, f := range fault.FieldsOf(err) {
		pointers = append(pointers, f.Pointer)
	}
	return pointers
}
