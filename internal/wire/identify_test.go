package wire_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/wire"
)

func TestIdentifyReadsWhatDecodeRefuses(t *testing.T) {
	shipment := wire.Identity{Type: "shipment.dispatched", ID: "evt-1", Subject: "o-1", CorrelationID: "c-1"}
	headers := map[string]any{"cloudEvents:specversion": "1.0", "cloudEvents:type": "ShipmentDispatched", "cloudEvents_id": []byte("evt-1"),
		"cloudEvents:subject": "o-1", "cloudEvents:correlationid": "c-1"}
	const whole = `{"id":"evt-1","type":"shipment.dispatched","correlationId":"c-1","data":{"orderId":"o-1","carrier":"dhl","weight":12}}`
	text, err := json.Marshal(`{"id":"evt-1","type":"ShipmentDispatched","correlationId":"c-1","data":"{\"orderId\":\"o-1\","}x`)
	require.NoError(t, err)
	for name, test := range map[string]struct {
		message wire.Message
		want    wire.Identity
	}{
		"cut off":               {wire.Message{Body: []byte(whole[:90])}, shipment},
		"cut off in the middle": {wire.Message{Body: []byte(whole[:40]), RoutingKey: "ShipmentDispatched"}, wire.Identity{Type: "shipment.dispatched", ID: "evt-1"}},
		"data after the object": {wire.Message{Body: []byte(whole + "x")}, shipment},
		"a name twice":          {wire.Message{Body: []byte(strings.Replace(whole, `"carrier"`, `"orderId":"o-2","carrier"`, 1))}, shipment},
		"not UTF-8":             {wire.Message{Body: []byte(strings.Replace(whole, `dhl`, "\xe9", 1))}, shipment},
		"too large":             {wire.Message{Body: []byte(strings.Replace(whole, `dhl`, strings.Repeat("x", wire.MaxBody), 1))}, shipment},
		"compressed":            {wire.Message{Body: []byte("\x1f\x8b"), ContentEncoding: "gzip", MessageID: "evt-1", RoutingKey: "ShipmentDispatched", CorrelationID: "c-1"}, wire.Identity{Type: "shipment.dispatched", ID: "evt-1", CorrelationID: "c-1"}},
		"binary, not JSON":      {wire.Message{Body: []byte("<xml/>"), Headers: headers, ContentType: "text/xml", RoutingKey: "order.created"}, shipment},
		"unknown type":          {wire.Message{Body: []byte(strings.Replace(whole, "shipment.dispatched", "shipment.teleported", 1))}, wire.Identity{Type: "shipment.teleported", ID: "evt-1", Subject: "o-1", CorrelationID: "c-1"}},
		"unknown type, routing": {wire.Message{RoutingKey: "shipment.dispatched", Body: []byte(strings.Replace(whole, "shipment.dispatched", "x", 1))}, shipment},
		"number for an ID":      {wire.Message{Body: []byte(`{"id":7,"type":"stock.received","data":{"sku":12,"orderId":"o-1"}}`)}, wire.Identity{Type: "stock.received", ID: "7", Subject: "12"}},
		"structured":            {wire.Message{Body: []byte(`{"specversion":"0.3","id":"evt-1","type":"shipment.dispatched","subject":"o-1","correlationid":"c-1"}`)}, shipment},
		"base64":                {wire.Message{Body: []byte(`{"specversion":"0.3","id":"evt-1","type":"shipment.dispatched","correlationid":"c-1","data_base64":"` + base64.StdEncoding.EncodeToString([]byte(`{"orderId":"o-1"}`)) + `"}`)}, shipment},
		"NestJS":                {wire.Message{Body: []byte(`{"pattern":"{\"cmd\":\"shipment.dispatched\"}","id":"evt-1","data":{"orderId":"o-1","correlationId":"c-1","x":}`)}, shipment},
		"NestJS with an event":  {wire.Message{Body: []byte(`{"pattern":"x","data":` + whole + `,}`)}, shipment},
		"flat":                  {wire.Message{Body: []byte(`{"eventType":"ShipmentDispatched","id":"evt-1","aggregateId":"o-1","correlationId":"c-1",`)}, shipment},
		"text in text":          {wire.Message{Body: text[:len(text)-1]}, wire.Identity{}},
		"text":                  {wire.Message{Body: text}, shipment},
		"list":                  {wire.Message{Body: []byte(`[` + whole + `]`), MessageID: "m", Type: "t"}, wire.Identity{Type: "t", ID: "m"}},
		"nothing":               {wire.Message{}, wire.Identity{}},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, test.want, wire.Identify(test.message))
		})
	}
}
