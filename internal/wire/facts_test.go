package wire_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// TestFactNeedsOnlyOrderAndType: nothing else that is wrong with it is a reason to lose it. The same message
// of a type that creates something is refused.
func TestFactNeedsOnlyOrderAndType(t *testing.T) {
	deep := strings.Repeat("[", 80) + strings.Repeat("]", 80)
	for name, m := range map[string]wire.Message{
		"an id that is a number":               {Body: []byte(`{"id":7,"data":{"orderId":"o-1"}}`)},
		"an id that is an object":              {Body: []byte(`{"id":{"oid":"7"},"data":{"orderId":"o-1"}}`)},
		"an id with a line break":              {Body: []byte(`{"id":"a\nb","data":{"orderId":"o-1"}}`)},
		"an id that is too long":               {Body: []byte(`{"id":"` + strings.Repeat("x", 256) + `","data":{"orderId":"o-1"}}`)},
		"a source that is an object":           {Body: []byte(`{"source":{"name":"wms"},"data":{"orderId":"o-1"}}`)},
		"a source that is too long":            {Body: []byte(`{"source":"` + strings.Repeat("x", 1021) + `","data":{"orderId":"o-1"}}`)},
		"a correlation that is a number":       {Body: []byte(`{"correlationId":5,"data":{"orderId":"o-1"}}`)},
		"a correlation with a line break":      {Body: []byte(`{"correlationId":"a\nb","data":{"orderId":"o-1"}}`)},
		"a causation that is too long":         {Body: []byte(`{"causationId":"` + strings.Repeat("x", 256) + `","data":{"orderId":"o-1"}}`)},
		"a time of another format":             {Body: []byte(`{"timestamp":"31.01.2026","data":{"orderId":"o-1"}}`)},
		"a version that is 0":                  {Body: []byte(`{"schemaVersion":0,"data":{"orderId":"o-1"}}`)},
		"a version that is a text":             {Body: []byte(`{"schemaVersion":"one","data":{"orderId":"o-1"}}`)},
		"an order that is a number":            {Body: []byte(`{"data":{"orderId":1}}`)},
		"an order that the envelope names":     {Body: []byte(`{"aggregateId":"o-1","data":{"orderId":{"id":"o-1"}}}`)},
		"an order beside the data":             {Body: []byte(`{"orderId":"o-1","data":{"carrier":"dhl"}}`)},
		"data that is a remark":                {Body: []byte(`{"orderId":"o-1","data":"left at the door"}`)},
		"a name that occurs twice":             {Body: []byte(`{"orderId":"o-1","note":"a","note":"b"}`)},
		"a name that occurs twice in the data": {Body: []byte(`{"data":{"orderId":"o-1","depot":{"type":1,"type":2}}}`)},
		"a remark in Latin-1":                  {Body: []byte("{\"orderId\":\"o-1\",\"carrier\":\"Caf\xe9\"}")},
		"a remark that is nested deeply":       {Body: []byte(`{"orderId":"o-1","depot":` + deep + `}`)},
		"another version of CloudEvents":       {Body: []byte(`{"specversion":"0.3","id":"1","data":{"orderId":"o-1"}}`)},
		"headers that are numbers": {
			Headers: map[string]any{"ce-specversion": "1.0", "ce-id": int64(7), "ce-time": int64(7), "ce-source": true}, Body: []byte(`{"orderId":"o-1"}`),
		},
		"a packet whose id is a number": {Body: []byte(`{"pattern":"shipment.lost","id":7,"data":{"orderId":"o-1"}}`)},
	} {
		t.Run(name, func(t *testing.T) {
			m.RoutingKey = "shipment.lost"
			e, ok := checkDecode(t, m)
			require.True(t, ok)
			require.Equal(t, event.ShipmentLost, e.Type)
			require.Contains(t, []string{"o-1", "1"}, e.Subject)

			m.RoutingKey, m.Body = "order.created", []byte(strings.ReplaceAll(string(m.Body), "shipment.lost", "order.created"))
			if _, err := wire.Decode(m); name != "a name that occurs twice in the data" && name != "a time of another format" {
				require.Error(t, err, "an order is not created from it")
			}
		})
	}
}

// TestFirstKnownTypeIsUsed: payloads have fields named type, and clients have their own names for classes.
func TestFirstKnownTypeIsUsed(t *testing.T) {
	for name, m := range map[string]wire.Message{
		"a payload's field":           {Body: []byte(`{"orderId":"o-1","type":"express"}`)},
		"a payload's field, a number": {Body: []byte(`{"orderId":"o-1","type":3}`)},
		"a payload's other field":     {Body: []byte(`{"orderId":"o-1","eventType":["express"]}`)},
		"a class of .NET":             {Type: "Shop.Contracts.ParcelLost, Shop", Body: []byte(`{"orderId":"o-1"}`)},
		"Dapr":                        {Type: "com.dapr.event.sent", Body: []byte(`{"orderId":"o-1"}`)},
		"Dapr's envelope":             {Body: []byte(`{"specversion":"1.0","id":"1","type":"com.dapr.event.sent","source":"shop","data":{"orderId":"o-1"}}`)},
		"a pattern":                   {Body: []byte(`{"pattern":5,"data":{"orderId":"o-1"}}`)},
		"headers":                     {Headers: map[string]any{"ce-specversion": "1.0", "ce-id": "1", "ce-type": "acme.lost"}, Body: []byte(`{"orderId":"o-1"}`)},
		"the eventType beside a type": {RoutingKey: "-", Body: []byte(`{"orderId":"o-1","type":"event","eventType":"ShipmentLost"}`)},
	} {
		t.Run(name, func(t *testing.T) {
			if m.RoutingKey == "" {
				m.RoutingKey = "shipment.lost"
			}
			e, err := wire.Decode(m)
			require.NoError(t, err)
			require.Equal(t, event.ShipmentLost, e.Type)
			m.RoutingKey = "parcels"
			if name != "the eventType beside a type" {
				_, err = wire.Decode(m)
				require.Contains(t, []fault.Code{fault.UnknownType, fault.Malformed}, fault.CodeOf(err), "nothing says what it is")
			}
		})
	}
}

// TestFactWithoutOrderIsRefused, and one whose type cannot.
func TestFactWithoutOrderIsRefused(t *testing.T) {
	for name, body := range map[string]string{
		"none":                  `{"data":{"carrier":"dhl"}}`,
		"one that breaks rules": `{"data":{"orderId":"a "}}`,
		"two":                   `{"orderId":"o-1","orderId":"o-2"}`,
		"two within":            `{"data":{"orderId":"o-1","orderId":"o-2"}}`,
		"two in escapes":        `{"data":{"orderId":"o-1","order\u0049d":"o-2"}}`,
		"two sets of data":      `{"data":{"orderId":"o-1"},"data":{"orderId":"o-2"}}`,
		"two types":             `{"type":"shipment.lost","type":"shipment.delivered","orderId":"o-1"}`,
		"no JSON":               `{"orderId":"o-1"`,
		"text after the object": `{"orderId":"o-1"} x`,
	} {
		_, err := wire.Decode(wire.Message{RoutingKey: "shipment.lost", Body: []byte(body)})
		require.Contains(t, []fault.Code{fault.Invalid, fault.Malformed}, fault.CodeOf(err), name)
	}
}

func TestEqualInvalidIDsAreOneEvent(t *testing.T) {
	decode := func(body string) event.Event {
		e, err := wire.Decode(wire.Message{RoutingKey: "shipment.lost", Body: []byte(body)})
		require.NoError(t, err)
		return e
	}
	a := decode(`{"id":"a\nb","timestamp":1,"data":{"orderId":"o-1"}}`)
	require.Equal(t, a.ID, decode(`{"id":"a\nb","timestamp":2,"data":{"orderId":"o-1"}}`).ID)
	require.NotEqual(t, a.ID, decode(`{"id":"a\nc","data":{"orderId":"o-1"}}`).ID)
	require.Equal(t, "7", decode(`{"id":7,"data":{"orderId":"o-1"}}`).ID)
	require.Equal(t, "12345678901234567890", decode(`{"data":{"orderId":12345678901234567890}}`).Subject)
}
