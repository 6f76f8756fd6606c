package reconcile_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/test/audit"
)

// documentID is the _id of the document of a record.
func documentID(r event.Record) string { return fmt.Sprintf("%s@%010d", r.Stream, r.Version) }

// documents are the records of the store as MongoDB stores them.
func (s *store) documents(t testing.TB) []audit.Document {
	var documents []audit.Document
	taken := make(map[string]bool)
	for _, records := range s.streams {
		for _, r := range records {
			id := documentID(r)
			if other := s.ids[id]; other != "" {
				id = other
			}
			if taken[id] {
				// The second record of a version has another _id.
				id += "-again"
			}
			taken[id] = true
			documents = append(documents, audit.Document{
				ID: id, Stream: r.Stream, Version: r.Version, Key: r.Key, EventID: r.ID, Type: r.Type, Source: r.Source,
				Subject: r.Subject, Time: r.Time, CorrelationID: r.CorrelationID, CausationID: r.CausationID,
				SchemaVersion: int32(r.SchemaVersion), Data: data(t, r.Data), Hash: r.Hash, PrevHash: r.PrevHash,
			})
		}
	}
	return documents
}

// entries are the list as MongoDB stores it.
func (w *world) entries() []audit.Entry {
	var entries []audit.Entry
	for id, e := range w.list {
		entries = append(entries, audit.Entry{
			ID: id, CustomerID: e.CustomerID, Status: string(e.Status), Reason: e.Reason, Version: e.Version, Currency: e.Currency,
			TotalAmount: e.TotalAmount, Fulfillment: string(e.Fulfillment), PaymentMethod: e.Payment.Method,
			CreatedAt: e.CreatedAt, UpdatedAt: e.UpdatedAt, CorrelationID: e.CorrelationID,
		})
	}
	return entries
}

// data is JSON as BSON, numbers as 64 bits.
func data(t testing.TB, raw json.RawMessage) bson.D {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var fields map[string]any
	require.NoError(t, decoder.Decode(&fields))
	return value(t, fields).(bson.D)
}

func value(t testing.TB, v any) any {
	switch v := v.(type) {
	case map[string]any:
		d := bson.D{}
		for name, member := range v {
			d = append(d, bson.E{Key: name, Value: value(t, member)})
		}
		return d
	case []any:
		a := bson.A{}
		for _, item := range v {
			a = append(a, value(t, item))
		}
		return a
	case json.Number:
		n, err := v.Int64()
		require.NoError(t, err)
		return n
	}
	return v
}
