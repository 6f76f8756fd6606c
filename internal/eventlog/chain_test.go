package eventlog_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// golden is a record whose hash was computed once and for all, by another program than this one: every log that
// exists depends on it.
func golden() event.Entry {
	return event.Entry{Key: "accept", Event: event.Event{
		ID: "6f1c1a3e-0000-5000-8000-000000000001", Type: "order.accepted", Source: "/ordersaga", Subject: "42",
		Time:          time.Date(2026, 3, 1, 13, 0, 0, 123456789, time.FixedZone("CET", 3600)),
		CorrelationID: "c-1", CausationID: "", SchemaVersion: 1,
		Data: []byte(` { "orderId": "42", "lines": [ { "sku": "A-1", "quantity": 2 } ], "note": "gr\u00fc\u00dfe <&> \u2028 😀", "max": 9007199254740991, "none": null, "yes": true } `),
	}}
}

const (
	goldenGenesis = "93ce1607991c1db4f8af7af0a5199a55509d9289a532ce269c98dcf0e61a3779"
	goldenHash    = "e51e82037ae747d04686a085230a1fd3941a80ec36b9bdb7de919b060c27ce9a"
	goldenSecond  = "154ef8622135941df1e96575196fdb1525621fb0ec7ff0a5874f58dcd42bba74"
)

func TestHashFormatIsStable(t *testing.T) {
	require.Equal(t, goldenGenesis, eventlog.Genesis("order-42"))
	second := golden()
	second.Key = "reserve"
	records, err := eventlog.Seal("order-42", event.Head{}, []event.Entry{golden(), second})
	require.NoError(t, err)
	require.Equal(t, goldenGenesis, records[0].PrevHash)
	require.Equal(t, goldenHash, records[0].Hash)
	require.Equal(t, goldenHash, records[1].PrevHash)
	require.Equal(t, goldenSecond, records[1].Hash)
	require.Equal(t, "2026-03-01T12:00:00.123Z", eventlog.FormatTime(records[0].Time))
}

func TestSealIsDeterministic(t *testing.T) {
	a, err := eventlog.Seal("order-1", event.Head{}, numbered(1, 3))
	require.NoError(t, err)
	b, err := eventlog.Seal("order-1", a[0].HeadOf(), numbered(2, 3))
	require.NoError(t, err)
	require.Equal(t, a[1:], b, "in one batch or two")
}

func TestVerifyDetectsEveryChange(t *testing.T) {
	sealed, err := eventlog.Seal("order-1", event.Head{}, numbered(1, 5))
	require.NoError(t, err)
	require.NoError(t, eventlog.Verify("order-1", event.Head{}, sealed))
	require.NoError(t, eventlog.Verify("order-1", sealed[1].HeadOf(), sealed[2:]))
	require.NoError(t, eventlog.Verify("order-1", event.Head{}, nil))

	for name, change := range map[string]func(r *event.Record){
		"stream":      func(r *event.Record) { r.Stream = "order-2" },
		"version":     func(r *event.Record) { r.Version++ },
		"key":         func(r *event.Record) { r.Key = "other" },
		"id":          func(r *event.Record) { r.ID = "other" },
		"type":        func(r *event.Record) { r.Type = event.OrderFailed },
		"source":      func(r *event.Record) { r.Source = "/other" },
		"subject":     func(r *event.Record) { r.Subject = "2" },
		"time":        func(r *event.Record) { r.Time = r.Time.Add(time.Millisecond) },
		"correlation": func(r *event.Record) { r.CorrelationID = "other" },
		"causation":   func(r *event.Record) { r.CausationID = "other" },
		"schema":      func(r *event.Record) { r.SchemaVersion = 2 },
		"data":        func(r *event.Record) { r.Data = []byte(`{"orderId":"2"}`) },
		"bad data":    func(r *event.Record) { r.Data = []byte(`{`) },
		"prev hash":   func(r *event.Record) { r.PrevHash = r.Hash },
		"hash":        func(r *event.Record) { r.Hash = r.PrevHash },
	} {
		changed := slices.Clone(sealed)
		change(&changed[2])
		require.ErrorIs(t, eventlog.Verify("order-1", event.Head{}, changed), fault.Corrupt, name)
	}
	require.ErrorIs(t, eventlog.Verify("order-1", event.Head{}, slices.Delete(slices.Clone(sealed), 2, 3)), fault.Corrupt, "gap")
	require.ErrorIs(t, eventlog.Verify("order-1", event.Head{}, sealed[1:]), fault.Corrupt, "no beginning")
	require.ErrorIs(t, eventlog.Verify("order-2", event.Head{}, sealed), fault.Corrupt, "another stream")
	swapped := slices.Clone(sealed)
	swapped[1], swapped[2] = swapped[2], swapped[1]
	require.ErrorIs(t, eventlog.Verify("order-1", event.Head{}, swapped), fault.Corrupt, "order")

	// Whitespace and the order of names are not part of what was said.
	same := slices.Clone(sealed)
	same[0].Data = []byte(" {\n\"orderId\" : \"1\" }")
	require.NoError(t, eventlog.Verify("order-1", event.Head{}, same))
}

func TestConflictCodes(t *testing.T) {
	err := error(&eventlog.TakenError{Stream: "order-1", Key: "decide"})
	require.Equal(t, fault.KeyTaken, fault.CodeOf(err))
	require.ErrorIs(t, err, fault.KeyTaken)
	require.True(t, eventlog.Lost(err))
}
