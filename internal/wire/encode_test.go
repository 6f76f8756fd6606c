package wire_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
)

func record() event.Record {
	at := time.Date(2026, 1, 31, 12, 0, 0, 120_000_000, time.UTC)
	entry := event.New(event.OrderStream("o-1"), "accept", event.OrderAccepted, "o-1", at,
		map[string]any{"orderId": "o-1", "customerId": "c-1", "note": "<b> & ü\u2028"}).CausedBy("corr-1", "cause-1")
	return event.Record{Stream: event.OrderStream("o-1"), Version: 1, Entry: entry, PrevHash: "00", Hash: "ff"}
}

func TestEncodeGolden(t *testing.T) {
	m, err := wire.Encode(record())
	require.NoError(t, err)
	require.Equal(t, wire.Message{
		ContentType: "application/cloudevents+json", MessageID: record().ID, CorrelationID: "corr-1", Type: "order.accepted",
		AppID: "ordersaga", Timestamp: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC), RoutingKey: "order.accepted",
		Exchange: "domain_events", Body: m.Body,
	}, m)
	const file = "testdata/encode/order.accepted.json"
	if *update {
		require.NoError(t, os.WriteFile(file, append(m.Body, '\n'), 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), string(m.Body)+"\n")
	sequence, ok := wire.Sequence(m)
	require.True(t, ok)
	require.EqualValues(t, 1, sequence)
}

func TestEncodeRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*event.Record)
		code   fault.Code
	}{
		"unknown type":   {func(r *event.Record) { r.Type = "order.exploded" }, fault.UnknownType},
		"alias":          {func(r *event.Record) { r.Type = "OrderCreated" }, fault.UnknownType},
		"no id":          {func(r *event.Record) { r.ID = "" }, fault.Invalid},
		"long cause":     {func(r *event.Record) { r.CausationID = strings.Repeat("x", 256) }, fault.Invalid},
		"no subject":     {func(r *event.Record) { r.Subject = "" }, fault.Invalid},
		"no time":        {func(r *event.Record) { r.Time = time.Time{} }, fault.Invalid},
		"no version":     {func(r *event.Record) { r.Version = 0 }, fault.Invalid},
		"other schema":   {func(r *event.Record) { r.SchemaVersion = 2 }, fault.Invalid},
		"data not there": {func(r *event.Record) { r.Data = nil }, fault.Invalid},
		"data no object": {func(r *event.Record) { r.Data = json.RawMessage(`[]`) }, fault.Invalid},
		"too large": {func(r *event.Record) {
			r.Data = json.RawMessage(`{"x":"` + strings.Repeat("x", wire.MaxBody) + `"}`)
		}, fault.TooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			r := record()
			test.change(&r)
			m, err := wire.Encode(r)
			require.ErrorIs(t, err, test.code)
			require.Zero(t, m)
		})
	}
}

func TestDecodeReversesEncode(t *testing.T) {
	types := append(event.Types(event.Published), event.Types(event.Ledger)...)
	id := rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9._-]{0,63}`)
	text := rapid.StringMatching(`[^\p{C}\x{FFFD}]{0,60}`) // what travels in ids: see printable
	value := rapid.OneOf(rapid.String().AsAny(), rapid.Int64Range(-1<<53, 1<<53).AsAny(), rapid.Bool().AsAny(),
		rapid.SliceOfN(rapid.MapOfN(rapid.String(), rapid.String().AsAny(), 0, 3), 0, 3).AsAny())
	rapid.Check(t, func(t *rapid.T) {
		typ := rapid.SampledFrom(types).Draw(t, "type")
		data, err := json.Marshal(rapid.MapOf(rapid.String(), value).Draw(t, "data"))
		require.NoError(t, err)
		want := event.Event{
			ID: "e" + text.Draw(t, "id"), Type: typ.Name, Source: "/" + text.Draw(t, "source"), Subject: id.Draw(t, "subject"),
			Time:          time.UnixMilli(rapid.Int64Range(-62_135_596_799_000, 253_402_300_799_999).Draw(t, "time")).UTC(),
			CorrelationID: text.Draw(t, "correlation"), CausationID: text.Draw(t, "causation"),
			SchemaVersion: rapid.IntRange(1, typ.Version).Draw(t, "version"), Data: data,
		}
		m, err := wire.Encode(event.Record{Version: rapid.Int64Range(1, 1<<40).Draw(t, "sequence"), Entry: event.Entry{Event: want}})
		require.NoError(t, err)
		got, err := wire.Decode(m)
		require.NoError(t, err)
		require.JSONEq(t, string(want.Data), string(got.Data))
		want.Data, got.Data = nil, nil
		require.Equal(t, want, got)
	})
}
