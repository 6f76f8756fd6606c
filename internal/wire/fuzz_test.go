package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// permitted reports whether an error has one of the codes that Decode promises, all of which end as dead letters.
func permitted(err error) bool {
	for _, code := range []fault.Code{fault.TooLarge, fault.UnsupportedMediaType, fault.Malformed, fault.UnknownType,
		fault.UnknownVersion, fault.Invalid} {
		if errors.Is(err, code) {
			return fault.Lookup(code).Disposition == fault.DeadLetter
		}
	}
	return false
}

// checkDecode holds Decode to its contract, whatever the message. It returns what was accepted, and false for what was
// refused.
func checkDecode(t *testing.T, m wire.Message) (event.Event, bool) {
	e, err := wire.Decode(m)
	again, errAgain := wire.Decode(m)
	require.Equal(t, e, again)
	require.Equal(t, err, errAgain)
	identity := wire.Identify(m)
	require.Equal(t, identity, wire.Identify(m))
	if err != nil {
		require.True(t, permitted(err), "%v", err)
		require.NotEmpty(t, fault.SafeMessage(err))
		for _, f := range fault.FieldsOf(err) {
			require.True(t, f.Pointer == "" || f.Pointer[0] == '/', "%q is no JSON pointer", f.Pointer)
			require.NotEmpty(t, f.Detail)
		}
		require.Zero(t, e)
		return e, false
	}
	found, ok := event.Find(e.Type)
	require.True(t, ok && found.Name == e.Type)
	require.Equal(t, e.Type, identity.Type)
	require.True(t, event.ValidID(e.Subject))
	require.NotEmpty(t, e.ID)
	require.True(t, json.Valid(e.Data) && e.Data[0] == '{', "%s", e.Data)
	require.Equal(t, found.Version, e.SchemaVersion)

	// What was read can be said in our own words, and is the same then.
	if e.Time.IsZero() {
		e.Time = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	}
	if e.Source == "" {
		e.Source = "/somewhere"
	}
	out, err := wire.Encode(event.Record{Version: 1, Entry: event.Entry{Event: e}})
	if errors.Is(err, fault.TooLarge) && len(m.Body) > wire.MaxBody/8 {
		return e, true // the envelope, and escapes, make it longer
	}
	require.NoError(t, err)
	back, err := wire.Decode(out)
	require.NoError(t, err)
	require.Equal(t, e, back)
	return e, true
}

// FuzzDecode takes any bytes for a body.
func FuzzDecode(f *testing.F) {
	for _, g := range readGolden(f) {
		m := g.message()
		text := func(name string) string { s, _ := m.Header(name); return s }
		f.Add(m.ContentType, m.RoutingKey, m.MessageID, text("cloudEvents:specversion"), text("cloudEvents:type"), m.Body)
	}
	f.Fuzz(func(t *testing.T, contentType, routingKey, messageID, spec, typ string, body []byte) {
		m := wire.Message{ContentType: contentType, RoutingKey: routingKey, MessageID: messageID, Body: body}
		if spec != "" {
			m.Headers = map[string]any{"cloudEvents:specversion": spec, "cloudEvents_type": typ}
		}
		checkDecode(t, m)
	})
}

// FuzzStructured takes any attributes for a structured CloudEvent.
func FuzzStructured(f *testing.F) {
	f.Add("application/cloudevents+json", "e-1", "order.created", "/shop", "o-1", "2026-01-31T12:00:00Z", "/schemas/order.created/1", "c-1", `{"orderId":"o-1"}`)
	f.Add("", "", "OrderCreated", "", "", "", "https://shop.example/orders.json", "", `{"orderId":"ü"}`)
	f.Add("application/cloudevents+json; charset=utf-8", "\u2028", "stock.received", "urn:x", "A-1", "9999-12-31T23:59:59.999-12:00", "", "", `{}`)
	f.Add("application/cloudevents-batch+json", "e", "payment.failed", "s", "o", "0001-01-01T00:00:00Z", "/schemas/payment.failed/99999999999999999999", "", `null`)
	f.Fuzz(func(t *testing.T, contentType, id, typ, source, subject, at, schema, correlation, data string) {
		body := marshal(t, map[string]any{
			"specversion": "1.0", "id": id, "type": typ, "source": source, "subject": subject, "time": at, "dataschema": schema,
			"correlationid": correlation,
		}, "data", data)
		e, ok := checkDecode(t, wire.Message{ContentType: contentType, Body: body})
		if ok && id != "" {
			require.Equal(t, clean(t, id), e.ID)
		}
	})
}

// FuzzBinary takes any headers for a CloudEvent in binary mode. A timestamp of AMQP is one of the values.
func FuzzBinary(f *testing.F) {
	f.Add("application/json", false, "1.0", "order.created", "b-1", "/shop", "o-1", "2026-01-31T12:00:00Z", int64(0), []byte(`{"orderId":"o-1"}`))
	f.Add("", true, "1.0", "ShipmentLost", "", "", "", "", int64(1769860800), []byte("\xef\xbb\xbf{\"orderId\":\"o-1\"}"))
	f.Add("application/json; charset=utf-8", true, "1.0", "stock.received", "\xff", "\x00", "A-1", "x", int64(-62135596800), []byte(`{}`))
	f.Add("text/xml", false, "0.3", "", "", "", "", "", int64(253402300800), []byte(``))
	f.Fuzz(func(t *testing.T, contentType string, underscore bool, spec, typ, id, source, subject, at string, seconds int64, body []byte) {
		prefix := "cloudEvents:"
		if underscore {
			prefix = "cloudEvents_"
		}
		headers := map[string]any{
			prefix + "specversion": spec, prefix + "type": typ, prefix + "id": id, prefix + "source": []byte(source),
			prefix + "subject": subject, prefix + "time": at, prefix + "dataschema": nil, "x-correlation-id": id,
		}
		if at == "" {
			headers[prefix+"time"] = time.Unix(seconds, 0)
		}
		checkDecode(t, wire.Message{ContentType: contentType, Headers: headers, Timestamp: time.Unix(seconds, 0), Body: body})
	})
}

// FuzzPlain takes any fields for a plain event; those that may be of any kind are JSON themselves.
func FuzzPlain(f *testing.F) {
	f.Add("order.created", "p-1", "order.created", "", `"2026-01-31T12:00:00.000Z"`, "o-3", "c-9", `1`, `{"customerId":"c-1"}`)
	f.Add("StockReceived", "p-2", "", "StockReceived", `1769860800`, "A-1", "", `null`, `{"quantity":5}`)
	f.Add("ordersaga.inbox", "", "", "", `1769860800123`, "", "", `2`, ``)
	f.Add("payment.failed", "p", "", "PaymentFailed", `1e400`, "o-1", "", `"1"`, `{"orderId":"o-1","x":1e400,"y":{"data":{}}}`)
	f.Fuzz(func(t *testing.T, routingKey, id, typ, eventType, at, aggregateID, correlation, version, data string) {
		body := marshal(t, map[string]any{"id": id, "type": typ, "eventType": eventType, "aggregateId": aggregateID, "correlationId": correlation},
			"timestamp", at, "schemaVersion", version, "data", data)
		checkDecode(t, wire.Message{RoutingKey: routingKey, Body: body})
	})
}

// FuzzNest takes any pattern and data for what NestJS sends. The packet of a request has an id.
func FuzzNest(f *testing.F) {
	f.Add("ordersaga.inbox", `"order.created"`, "", `{"orderId":"o-1"}`)
	f.Add("", `"{\"cmd\":\"OrderCreated\"}"`, "n-1", `{"id":"p-1","eventType":"OrderCreated","occurredAt":"2026-01-31T12:00:00.000Z","aggregateId":"o-3","data":{}}`)
	f.Add("", `{"event":"shipment.lost"}`, "n-1", `{"specversion":"1.0","type":"shipment.lost","subject":"o-1","data":{}}`)
	f.Add("", `5`, "", `{"pattern":"order.created","data":{"pattern":"order.created"}}`)
	f.Fuzz(func(t *testing.T, routingKey, pattern, id, data string) {
		packet := map[string]any{}
		if id != "" {
			packet["id"] = id
		}
		checkDecode(t, wire.Message{RoutingKey: routingKey, Body: marshal(t, packet, "pattern", pattern, "data", data)})
	})
}

// FuzzEncode takes anything for a record: it is refused, or read as it was.
func FuzzEncode(f *testing.F) {
	f.Add("order.accepted", "e-1", "/ordersaga", "o-1", int64(1769860800123), "c", "cause", 1, int64(1), []byte(`{"orderId":"o-1"}`))
	f.Add("stock.added", "", "\xff", "-", int64(-62135596800001), "\n", "\x00", 0, int64(0), []byte(`[]`))
	f.Add("OrderCreated", "e", "s", "o", int64(253402300800000), "\ufffd", "c", 2, int64(1<<62), []byte(`{"a":1,"a":2}`))
	f.Fuzz(func(t *testing.T, typ, id, source, subject string, at int64, correlation, causation string, version int, sequence int64, data []byte) {
		r := event.Record{Version: sequence, Entry: event.Entry{Event: event.Event{
			ID: id, Type: typ, Source: source, Subject: subject, Time: time.UnixMilli(at).UTC(), CorrelationID: correlation,
			CausationID: causation, SchemaVersion: version, Data: data,
		}}}
		m, err := wire.Encode(r)
		if err != nil {
			require.True(t, permitted(err), "%v", err)
			require.Zero(t, m)
			return
		}
		back, err := wire.Decode(m)
		require.NoError(t, err)
		var compact bytes.Buffer
		require.NoError(t, json.Compact(&compact, data))
		r.Data = compact.Bytes()
		require.Equal(t, r.Event, back)
		sent, ok := wire.Sequence(m)
		require.True(t, ok)
		require.Equal(t, sequence, sent)
	})
}

// marshal makes a JSON object of fields and of pairs of a name and JSON of its own. What is not JSON becomes a string,
// what is empty not at all.
func marshal(t *testing.T, fields map[string]any, pairs ...string) []byte {
	for i := 0; i < len(pairs); i += 2 {
		switch raw := pairs[i+1]; {
		case json.Valid([]byte(raw)):
			fields[pairs[i]] = json.RawMessage(raw)
		case raw != "":
			fields[pairs[i]] = raw
		}
	}
	body, err := json.Marshal(fields)
	require.NoError(t, err)
	return body
}

// clean is a text after it has been JSON.
func clean(t *testing.T, text string) (read string) {
	raw, err := json.Marshal(text)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &read))
	return read
}
