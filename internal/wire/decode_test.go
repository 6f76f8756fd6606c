package wire_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/internal/wire"
)

var update = flag.Bool("update", false, "write what is decoded into the golden files")

func TestMain(m *testing.M) { testenv.Main(m) }

// golden is a file of testdata/decode: a message, its body as JSON or, when that is not possible, as a string,
// and what comes of it.
type golden struct {
	Message struct {
		ContentType     string         `json:"contentType,omitempty"`
		ContentEncoding string         `json:"contentEncoding,omitempty"`
		MessageID       string         `json:"messageId,omitempty"`
		CorrelationID   string         `json:"correlationId,omitempty"`
		Type            string         `json:"type,omitempty"`
		AppID           string         `json:"appId,omitempty"`
		Timestamp       *time.Time     `json:"timestamp,omitempty"`
		Headers         map[string]any `json:"headers,omitempty"`
		RoutingKey      string         `json:"routingKey,omitempty"`
	} `json:"message"`
	Body  json.RawMessage `json:"body"`
	Event *event.Event    `json:"event,omitempty"`
	Error *goldenError    `json:"error,omitempty"`
}

type goldenError struct {
	Code    fault.Code    `json:"code"`
	Message string        `json:"message"`
	Fields  []fault.Field `json:"fields,omitempty"`
}

func (g golden) message() wire.Message {
	m := wire.Message{
		ContentType: g.Message.ContentType, ContentEncoding: g.Message.ContentEncoding, MessageID: g.Message.MessageID,
		CorrelationID: g.Message.CorrelationID, Type: g.Message.Type, AppID: g.Message.AppID,
		Headers: g.Message.Headers, RoutingKey: g.Message.RoutingKey, Body: g.Body,
	}
	if g.Message.Timestamp != nil {
		m.Timestamp = *g.Message.Timestamp
	}
	var text string
	if json.Unmarshal(g.Body, &text) == nil {
		m.Body = []byte(text)
	}
	return m
}

func readGolden(t testing.TB) map[string]golden {
	t.Helper()
	files, err := filepath.Glob("testdata/decode/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	cases := make(map[string]golden, len(files))
	for _, file := range files {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		var g golden
		require.NoError(t, json.Unmarshal(raw, &g), file)
		cases[file] = g
	}
	return cases
}

func TestDecodeGolden(t *testing.T) {
	for file, g := range readGolden(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			e, err := wire.Decode(g.message())
			got := g
			got.Event, got.Error = &e, nil
			if err != nil {
				got.Event = nil
				got.Error = &goldenError{Code: fault.CodeOf(err), Message: fault.SafeMessage(err), Fields: fault.FieldsOf(err)}
				require.Zero(t, e)
			}
			raw, err := json.MarshalIndent(got, "", "  ")
			require.NoError(t, err)
			raw = append(raw, '\n')
			if *update {
				require.NoError(t, os.WriteFile(file, raw, 0o600))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, string(want), string(raw))
		})
	}
}

// Every format of the same order must give the same data, and every alias its catalog name.
func TestInboundTypesAreFoundByNameAndAlias(t *testing.T) {
	for _, typ := range event.Types(event.Inbound) {
		for _, name := range append([]string{typ.Name}, typ.Aliases...) {
			e, err := wire.Decode(wire.Message{RoutingKey: name, Body: []byte(`{"id":"e-1","data":{"orderId":"o-1","sku":"A-1","userId":"u-1","disputeId":"d-1","returnId":"r-1"}}`)})
			require.NoError(t, err, name)
			require.Equal(t, typ.Name, e.Type)
		}
	}
}

func TestTooLarge(t *testing.T) {
	body := `{"id":"a","type":"order.created","data":{"orderId":"o","note":"` + strings.Repeat("x", wire.MaxBody) + `"}}`
	_, err := wire.Decode(wire.Message{Body: []byte(body)})
	require.ErrorIs(t, err, fault.TooLarge)
}

func TestNotUTF8(t *testing.T) {
	_, err := wire.Decode(wire.Message{Body: []byte("{\"id\":\"\xff\",\"type\":\"order.created\",\"data\":{\"orderId\":\"o\"}}")})
	require.ErrorIs(t, err, fault.Malformed)
}

func TestEventWithoutIDHasStableID(t *testing.T) {
	decode := func(body string) event.Event {
		e, err := wire.Decode(wire.Message{RoutingKey: "shipment.lost", Body: []byte(body)})
		require.NoError(t, err)
		return e
	}
	a := decode(`{"data":{"orderId":"A-1","reason":"storm"}}`)
	require.Equal(t, a.ID, decode(`{"data":{"orderId":"A-1","reason":"storm"}}`).ID)
	require.NotEqual(t, a.ID, decode(`{"data":{"orderId":"A-1","reason":"flood"}}`).ID)
}

// Two receipts of the same quantity are the same bytes: without an ID, the second cannot be told from a redelivery.
func TestAdditiveEventNeedsID(t *testing.T) {
	for name, c := range map[string]struct {
		m  wire.Message
		id string
	}{
		"in a plain event":        {wire.Message{Body: []byte(`{"id":"r-1","data":{"sku":"tea","quantity":12,"receiptId":"r-2"}}`)}, "r-1"},
		"in a property":           {wire.Message{MessageID: "r-1", Body: []byte(`{"sku":"tea","quantity":12,"receiptId":"r-2"}`)}, "r-1"},
		"in the data":             {wire.Message{Body: []byte(`{"sku":"tea","quantity":12,"receiptId":"r-2"}`)}, "r-2"},
		"in the data of NestJS":   {wire.Message{Body: []byte(`{"pattern":"stock.received","data":{"sku":"tea","quantity":12,"receiptId":"r-2"}}`)}, "r-2"},
		"in the headers":          {wire.Message{Headers: map[string]any{"ce-specversion": "1.0", "ce-id": "r-1", "ce-type": "stock.received"}, Body: []byte(`{"sku":"tea"}`)}, "r-1"},
		"nowhere":                 {wire.Message{Body: []byte(`{"sku":"tea","quantity":12}`)}, ""},
		"nowhere in a CloudEvent": {wire.Message{Body: []byte(`{"specversion":"1.0","type":"stock.received","data":{"sku":"tea","quantity":12}}`)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c.m.RoutingKey = "stock.received"
			e, err := wire.Decode(c.m)
			require.Equal(t, c.id, e.ID)
			if c.id == "" {
				require.ErrorIs(t, err, fault.Invalid)
				require.Equal(t, "/id", fault.FieldsOf(err)[0].Pointer)
			}
		})
	}
	_, err := wire.Decode(wire.Message{RoutingKey: "stock.received", Body: []byte(`{"sku":"tea","receiptId":"a\nb"}`)})
	require.Equal(t, "/data/receiptId", "/data"+fault.FieldsOf(err)[0].Pointer, "%v", err)
}

// Spring sends ce- headers over AMQP unless it is told otherwise.
func TestBinaryModeWithHTTPPrefix(t *testing.T) {
	e, err := wire.Decode(wire.Message{RoutingKey: "whatever", Headers: map[string]any{
		"ce-specversion": "1.0", "ce-id": "b-1", "ce-source": "/wms", "ce-type": "stock.received", "ce-subject": "tea", "ce-time": "2026-01-31T12:00:00Z",
		"ce-correlationid": "c-1", "content-length": int64(3),
	}, Body: []byte(`{"quantity":12}`)})
	require.NoError(t, err)
	require.Equal(t, event.Event{ID: "b-1", Type: "stock.received", Source: "/wms", Subject: "tea", CorrelationID: "c-1", SchemaVersion: 1,
		Time: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC), Data: json.RawMessage(`{"quantity":12}`)}, e)
}

func TestInvalidCorrelationIDsAreDropped(t *testing.T) {
	e, err := wire.Decode(wire.Message{RoutingKey: "order.created", CorrelationID: "a\x00b",
		Headers: map[string]any{"x-correlation-id": []byte("from-header")}, Body: []byte(`{"orderId":"o-1"}`)})
	require.NoError(t, err)
	require.Equal(t, "from-header", e.CorrelationID)
}

func TestDataIsCopied(t *testing.T) {
	body := []byte(`{"id":"a","type":"order.created","data":{"orderId":"o"}}`)
	e, err := wire.Decode(wire.Message{Body: body})
	require.NoError(t, err)
	clear(body)
	require.JSONEq(t, `{"orderId":"o"}`, string(e.Data))
}
