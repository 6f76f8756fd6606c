package inbound_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/inbound"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Whatever the bus may bring, Check answers for it, with the field that is wrong.
func TestCheckNamesTheField(t *testing.T) {
	const order = `"customerId":"c-1","currency":"EUR","lines":[{"sku":"tea","quantity":1,"unitAmount":450}],"payment":{"method":"tok_visa"}`
	for _, c := range []struct{ typ, data, field string }{
		{event.OrderCreated, `{"orderId":"o-1",` + order + `}`, ""},
		{event.OrderCreated, `{"orderId":"o-1"}`, "/data/customerId"},
		{event.OrderCreated, `{"orderId":"o-1","colour":"red",` + order + `}`, "/data/colour"},
		{event.OrderCreated, `{"orderId":"o-1",` + strings.Replace(order, "EUR", "XYZ", 1) + `}`, "/data/currency"},
		{event.OrderCancellationRequested, `{"reason":"ordered twice"}`, ""},
		{event.OrderCancellationRequested, `{"reason":4}`, ""},
		{event.PaymentSucceeded, `{}`, ""},
		{event.PaymentFailed, `{"code":"expired_card"}`, ""},
		{event.ShipmentDispatched, `{"carrier":"dhl"}`, ""},
		{event.ShipmentDelivered, `{}`, ""},
		{event.ShipmentLost, `{"reason":"\u0007"}`, ""},
		{event.StockReceived, `{"sku":"tea","quantity":12}`, ""},
		{event.StockReceived, `{"sku":"tea"}`, "/data/quantity"},
		{event.StockReceived, `{"sku":"tea","quantity":"12"}`, "/data/quantity"},
	} {
		err := inbound.Routes{}.Check(event.Event{ID: "1", Type: c.typ, Subject: "o-1", Data: json.RawMessage(c.data)})
		if c.field == "" {
			require.NoError(t, err, "%s %s", c.typ, c.data)
			continue
		}
		require.ErrorIs(t, err, fault.Invalid, "%s %s", c.typ, c.data)
		require.Equal(t, c.field, fault.FieldsOf(err)[0].Pointer, "%s %s", c.typ, c.data)
	}
	require.ErrorIs(t, inbound.Routes{}.Check(event.Event{ID: "1", Type: event.OrderCompleted, Subject: "o-1"}), fault.UnknownType)
	for _, typ := range event.Types(event.Inbound) {
		require.NotErrorIs(t, inbound.Routes{}.Check(event.Event{ID: "1", Type: typ.Name, Subject: "o-1", Data: json.RawMessage(`{}`)}), fault.UnknownType)
	}
}
