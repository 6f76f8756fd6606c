package workers_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/order"
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
		{"a customer that breaks the rule of ids", with(`"c-7"`, `"c/7"`), []string{"/data/customerId"}},
		{"no customer", with(`"customerId":"c-7",`, ``), []string{"/data/customerId"}},
		{"a currency in small letters", with(`"EUR"`, `"eur"`), []string{"/data/currency"}},
		{"no line", `{"orderId":"42","customerId":"c-7","currency":"EUR","payment":{"method":"tok_visa"}}`, []string{"/data/lines"}},
		{"a quantity of zero in the second line", with(`"cup","quantity":1`, `"cup","quantity":0`), []string{"/data/lines/1/quantity"}},
		{"two prices of one sku", with(`2,"unitAmount":450`, `2,"unitAmount":451`), []string{"/data/lines/2/unitAmount"}},
		{"a sku that cannot name a stream", with(`"cup"`, `"a cup"`), []string{"/data/lines/1/sku"}},
		{"no price in the second line", with(`"cup","quantity":1,"unitAmount":900`, `"cup","quantity":1`), []string{"/data/lines/1/unitAmount"}},
		{"a fraction", with(`"cup","quantity":1`, `"cup","quantity":1.5`), []string{"/data/lines/1/quantity"}},
		{"a field of another case", with(`"customerId"`, `"CustomerID"`), []string{"/data/CustomerID"}},
		{"an unknown field within", with(`"cup"`, `"cup","a/b~":1`), []string{"/data/lines/1/a~1b~0"}},
		{"no way to pay", with(`"tok_visa"`, `""`), []string{"/data/payment/method"}},
		{"a fulfillment that nobody knows", with(`"shipment"`, `"pigeon"`), []string{"/data/fulfillment"}},
		{
			"everything at once", `{"orderId":"42","currency":"","lines":[],"payment":{},"fulfillment":"pigeon"}`,
			[]string{"/data/customerId", "/data/currency", "/data/lines", "/data/payment/method", "/data/fulfillment"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld()
			err := w.router.Handle(t.Context(), arrived(event.OrderCreated, test.data))
			require.Equal(t, fault.Invalid, fault.CodeOf(err))
			require.ElementsMatch(t, test.pointers, pointers(err))
			w.untouched(t)
		})
	}
}

func TestDataThatIsNoJSONIsMalformed(t *testing.T) {
	for _, typ := range event.Types(event.Inbound) {
		w := newWorld()
		err := w.router.Handle(t.Context(), arrived(typ.Name, `{"orderId":`))
		require.Equal(t, fault.Malformed, fault.CodeOf(err), typ.Name)
		w.untouched(t)
	}
}

func TestTheOrderIDKeepsTheRuleOfIDs(t *testing.T) {
	for _, id := range []string{"", "-42", "a b", "a/b", "ü", strings.Repeat("4", 65)} {
		for _, e := range []event.Event{
			arrived(event.OrderCreated, placeable),
			arrived(event.OrderCancellationRequested, `{}`),
			arrived(event.PaymentSucceeded, `{}`),
			arrived(event.ShipmentDelivered, `{}`),
		} {
			w := newWorld()
			e.Subject = id
			err := w.router.Handle(t.Context(), e)
			require.Equal(t, fault.Invalid, fault.CodeOf(err), "%s with %q", e.Type, id)
			require.Equal(t, []string{"/data/orderId"}, pointers(err))
			w.untouched(t)
		}
	}
}

func TestASignalIsNotReadFromAFieldOfAnotherCase(t *testing.T) {
	w := newWorld()
	require.NoError(t, w.router.Handle(t.Context(), arrived(event.OrderCancellationRequested, `{"reason":"ordered twice","Reason":7,"REASON":"no"}`)))
	require.Equal(t, "ordered twice", w.sagas.signals[0].payload.(order.Cancellation).Reason)
}

// TestAnErrorNamesSoManyFields: it travels in a header.
func TestAnErrorNamesSoManyFields(t *testing.T) {
	lines := strings.TrimSuffix(strings.Repeat(`{"sku":"-"},`, 100), ",")
	for _, data := range []string{`{"lines":[` + strings.ReplaceAll(lines, `"-"`, "1") + `]}`, `{"lines":[` + lines + `]}`} {
		w := newWorld()
		require.Len(t, fault.FieldsOf(w.router.Handle(t.Context(), arrived(event.OrderCreated, data))), 20)
	}
}

func TestReceiptsNameTheirFields(t *testing.T) {
	for data, at := range map[string]string{
		`{"quantity":0}`: "/data/quantity", `{}`: "/data/quantity", `{"quantity":1000001}`: "/data/quantity", `{"quantity":"1"}`: "/data/quantity",
	} {
		w := newWorld()
		require.Equal(t, []string{at}, pointers(w.router.Handle(t.Context(), arrived(event.StockReceived, data))), data)
		w.untouched(t)
	}
	w := newWorld()
	e := arrived(event.StockReceived, `{"quantity":1}`)
	e.Subject = "-"
	require.Equal(t, []string{"/data/sku"}, pointers(w.router.Handle(t.Context(), e)))
	w.untouched(t)
}

func TestSignalsPassOverUnknownFields(t *testing.T) {
	for _, typ := range event.Types(event.Inbound) {
		if typ.Name == event.OrderCreated {
			continue
		}
		t.Run(typ.Name, func(t *testing.T) {
			w := newWorld()
			e := arrived(typ.Name, `{"orderId":"42","sku":"tea","quantity":1,"email":"ada@example.com","depot":{"gate":[1,2]}}`)
			require.NoError(t, w.router.Handle(t.Context(), e))
			require.Equal(t, 1, len(w.sagas.signals)+len(w.stock.receipts)+len(w.sagas.onboarded))
		})
	}
}

func TestFieldsOfAWrongTypeAreNamed(t *testing.T) {
	for eventType, fields := range map[string][]string{
		event.OrderCancellationRequested: {"orderId", "reason"},
		event.PaymentSucceeded:           {"orderId", "paymentId", "code"},
		event.PaymentFailed:              {"orderId", "paymentId", "code"},
		event.ShipmentDispatched:         {"orderId", "carrier", "trackingNumber", "reason"},
		event.ShipmentDelivered:          {"orderId", "carrier", "trackingNumber", "reason"},
		event.ShipmentLost:               {"orderId", "carrier", "trackingNumber", "reason"},
		event.StockReceived:              {"sku", "quantity"},
	} {
		for _, field := range fields {
			w := newWorld()
			err := w.router.Handle(t.Context(), arrived(eventType, `{"`+field+`":[]}`))
			require.Equal(t, fault.Invalid, fault.CodeOf(err), eventType)
			require.Equal(t, []string{"/data/" + field}, pointers(err))
			w.untouched(t)
		}
	}
}

func TestTextsForPeopleArePrintableAndBounded(t *testing.T) {
	long := strings.Repeat("ü", 501)
	for eventType, fields := range map[string][]string{
		event.OrderCancellationRequested: {"reason"},
		event.ShipmentDispatched:         {"carrier", "trackingNumber", "reason"},
		event.ShipmentDelivered:          {"carrier", "trackingNumber", "reason"},
		event.ShipmentLost:               {"carrier", "trackingNumber", "reason"},
	} {
		for _, field := range fields {
			for what, text := range map[string]string{
				"a NUL": `a\u0000b`, "a line break": `a\nb`, "an escape": `\u001b[31m`, "a bidi override": `\u202e`, "too long": long,
			} {
				w := newWorld()
				err := w.router.Handle(t.Context(), arrived(eventType, `{"`+field+`":"`+text+`"}`))
				require.Equal(t, fault.Invalid, fault.CodeOf(err), "%s in %s of %s", what, field, eventType)
				require.Equal(t, []string{"/data/" + field}, pointers(err))
				w.untouched(t)
			}
			w := newWorld()
			require.NoError(t, w.router.Handle(t.Context(), arrived(eventType, `{"`+field+`":"`+long[2:]+`"}`)),
				"500 characters are fine, however many bytes they take")
			require.Len(t, w.sagas.signals, 1)
		}
	}
}

// pointers lists the places that an error complains about.
func pointers(err error) []string {
	var pointers []string
	for _, f := range fault.FieldsOf(err) {
		pointers = append(pointers, f.Pointer)
	}
	return pointers
}

func TestTheCodeOfARefusalIsPrintableAndShort(t *testing.T) {
	for what, code := range map[string]string{"a NUL": `a\u0000b`, "too long": strings.Repeat("c", 65)} {
		w := newWorld()
		err := w.router.Handle(t.Context(), arrived(event.PaymentFailed, `{"code":"`+code+`"}`))
		require.Equal(t, []string{"/data/code"}, pointers(err), what)
		w.untouched(t)
		w = newWorld()
		require.NoError(t, w.router.Handle(t.Context(), arrived(event.PaymentSucceeded, `{"code":"`+code+`"}`)),
			"the code of a payment that went through is not looked at")
	}
}

func TestEveryTextThatIsWrongIsNamed(t *testing.T) {
	w := newWorld()
	err := w.router.Handle(t.Context(), arrived(event.ShipmentDispatched, `{"carrier":"\u0000","trackingNumber":"\u0001"}`))
	require.Equal(t, []string{"/data/carrier", "/data/trackingNumber"}, pointers(err))
}
