package mongo

import (
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
)

// FuzzData: a record that Seal accepts has the same hash after a round trip through BSON.
func FuzzData(f *testing.F) {
	f.Add([]byte(`{"orderId":"1","lines":[{"sku":"A-1","quantity":2}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e := entryOf("k")
		e.Data = data
		records, err := eventlog.Seal("order-1", event.Head{}, []event.Entry{e})
		if err != nil {
			return
		}
		docs, err := toDocuments(records)
		require.NoError(t, err)
		raw, err := bson.Marshal(docs[0])
		require.NoError(t, err)
		require.NoError(t, bson.Raw(raw).Validate())
		back, err := decode(raw)
		require.NoError(t, err)
		require.NoError(t, eventlog.Verify("order-1", event.Head{}, []event.Record{back}))
		require.True(t, event.Same(records[0].Entry, back.Entry))
	})
}

// The document is a format: other programs read it, and old ones must stay readable.
// withoutRecorded matches the time of the insert.
var withoutRecorded = regexp.MustCompile(`,"recorded":\{"\$date":\{"\$numberLong":"[0-9]+"\}\}`)

func TestDocumentFormat(t *testing.T) {
	e := event.Entry{Key: "accept", Event: event.Event{
		ID: "e-1", Type: "order.accepted", Source: "/ordersaga", Subject: "42",
		Time: time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC), CorrelationID: "c-1", SchemaVersion: 1,
		Data: []byte(`{"orderId":"42","lines":[{"sku":"A-1","quantity":2}],"note":null,"gift":true}`),
	}}
	records, err := eventlog.Seal("order-42", event.Head{}, []event.Entry{e})
	require.NoError(t, err)
	docs, err := toDocuments(records)
	require.NoError(t, err)
	raw, err := bson.Marshal(docs[0])
	require.NoError(t, err)
	text, err := bson.MarshalExtJSON(bson.Raw(raw), true, false)
	require.NoError(t, err)
	require.Equal(t, `{"_id":"order-42@0000000001","stream":"order-42","version":{"$numberLong":"1"},"key":"accept",`+
		`"id":"e-1","type":"order.accepted","source":"/ordersaga","subject":"42",`+
		`"time":{"$date":{"$numberLong":"1772366400123"}},"correlationId":"c-1","causationId":"",`+
		`"schemaVersion":{"$numberLong":"1"},"data":{"orderId":"42","lines":[{"sku":"A-1","quantity":{"$numberLong":"2"}}],`+
		`"note":null,"gift":true},"hash":"`+records[0].Hash+`","prevHash":"`+records[0].PrevHash+`"}`, withoutRecorded.ReplaceAllString(string(text), ""))
	require.Regexp(t, withoutRecorded, string(text), "the time of the insert, which no hash covers")
}

func TestInvalidDocumentsAreRefused(t *testing.T) {
	for name, data := range map[string]bson.D{
		"double":  {{Key: "a", Value: 1.5}},
		"date":    {{Key: "a", Value: bson.NewDateTimeFromTime(time.Now())}},
		"decimal": {{Key: "a", Value: bson.NewDecimal128(0, 1)}},
		"deep":    {{Key: "a", Value: bson.A{bson.D{{Key: "b", Value: 1.0}}}}},
	} {
		raw, err := bson.Marshal(data)
		require.NoError(t, err)
		_, err = dataToJSON(raw)
		require.Error(t, err, name)
	}
	// A dump that was restored may have narrowed integers.
	raw, err := bson.Marshal(bson.D{{Key: "a", Value: int32(7)}})
	require.NoError(t, err)
	data, err := dataToJSON(raw)
	require.NoError(t, err)
	require.Equal(t, `{"a":7}`, string(data))
}
