package wire_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
)

func TestWrap(t *testing.T) {
	e := event.Event{
		ID: "evt-1", Type: event.StockReceived, Source: "/shop", Subject: "tea", Time: time.Date(2026, 11, 21, 12, 0, 0, 5e6, time.UTC),
		CorrelationID: "c-1", CausationID: "cause-1", SchemaVersion: 1, Data: json.RawMessage(`{"sku":"tea","quantity":3,"note":"<&>"}`),
	}
	m, err := wire.Wrap(e)
	require.NoError(t, err)
	require.Equal(t, wire.ContentType, m.ContentType)
	require.Equal(t, "stock.received", m.RoutingKey)
	require.Equal(t, "evt-1", m.MessageID)
	require.Equal(t, "/shop", m.AppID)
	_, sequenced := wire.Sequence(m)
	require.False(t, sequenced, "only streams have sequences")
	again, err := wire.Decode(m)
	require.NoError(t, err)
	require.Equal(t, e, again)
}

func TestWrapRefusesInvalidEvents(t *testing.T) {
	for name, e := range map[string]event.Event{
		"an unknown type": {ID: "1", Type: "no.such", Data: json.RawMessage(`{}`)},
		"no subject":      {ID: "1", Type: event.OrderCreated, Data: json.RawMessage(`{}`)},
		"broken data":     {ID: "1", Type: event.OrderCreated, Subject: "o-1", Data: json.RawMessage(`{`)},
		"data twice":      {ID: "1", Type: event.OrderCreated, Subject: "o-1", Data: json.RawMessage(`{"a":1,"a":2}`)},
		"an id too long":  {ID: string(make([]byte, 300)), Type: event.OrderCreated, Subject: "o-1", Data: json.RawMessage(`{}`)},
	} {
		_, err := wire.Wrap(e)
		require.Error(t, err, name)
		require.Contains(t, []fault.Code{fault.UnknownType, fault.Invalid, fault.Malformed}, fault.CodeOf(err), name)
	}
}
