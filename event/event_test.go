package event_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// TestDerivedIDsAreStable: stored events and effects are found by them.
func TestDerivedIDsAreStable(t *testing.T) {
	require.Equal(t, "76d57f64-bdfe-59db-b826-191247b56c16", event.DerivedID("order-42", "accept"))
	require.NotEqual(t, event.DerivedID("a", "bc"), event.DerivedID("ab", "c"), "parts do not run together")
	require.NotEqual(t, event.DerivedID("a"), event.DerivedID("a", ""))
}

func TestNew(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_999_999, time.FixedZone("somewhere", 3600))
	e := event.New("order-42", "accept", event.OrderAccepted, "42", at, map[string]int{"b": 2, "a": 1}).CausedBy("corr", "cause")
	require.Equal(t, event.Entry{Key: "accept", Event: event.Event{
		ID: event.DerivedID("order-42", "accept"), Type: "order.accepted", Source: "/ordersaga", Subject: "42",
		Time: time.Date(2026, 1, 2, 2, 4, 5, 678_000_000, time.UTC), CorrelationID: "corr", CausationID: "cause",
		SchemaVersion: 1, Data: json.RawMessage(`{"a":1,"b":2}`),
	}}, e)
	require.Panics(t, func() { event.New("order-42", "x", event.OrderAccepted, "42", at, make(chan int)) })
}

func TestSameIgnoresMetadata(t *testing.T) {
	entry := func(kind, key, data string) event.Entry {
		return event.Entry{Key: key, Event: event.Event{ID: key, Type: kind, Data: json.RawMessage(data)}}
	}
	shipped := entry(event.OrderShipped, "ship", `{"orderId":"42","carrier":"dhl"}`)
	cases := map[string]struct {
		other event.Entry
		same  bool
	}{
		"another id, time and order of fields": {func() event.Entry {
			e := entry(event.OrderShipped, "ship", `{ "carrier":"dhl", "orderId":"42" }`)
			e.ID, e.Time, e.CausationID = "other", time.Now(), "other"
			return e
		}(), true},
		"another detail": {entry(event.OrderShipped, "ship", `{"orderId":"42","carrier":"ups","trackingNumber":"7"}`), true},
		"another order":  {entry(event.OrderShipped, "ship", `{"orderId":"43","carrier":"dhl"}`), false},
		"another type":   {entry(event.OrderDelivered, "ship", `{"orderId":"42","carrier":"dhl"}`), false},
		"another slot":   {entry(event.OrderShipped, "deliver", `{"orderId":"42","carrier":"dhl"}`), false},
		"one field more": {entry(event.OrderShipped, "ship", `{"orderId":"42","carrier":"dhl","x":1}`), false},
	}
	for name, c := range cases {
		require.Equal(t, c.same, event.Same(shipped, c.other), name)
	}
	big := entry(event.OrderAccepted, "accept", `{"totalAmount":9007199254740993}`)
	require.False(t, event.Same(big, entry(event.OrderAccepted, "accept", `{"totalAmount":9007199254740992}`)), "numbers are not rounded")
}

func TestDecodeNamesTheEvent(t *testing.T) {
	_, err := event.Decode[struct{ A int }](event.Event{ID: "e1", Type: "order.accepted", SchemaVersion: 1, Data: json.RawMessage(`{"A":"x"}`)})
	require.ErrorIs(t, err, fault.Malformed)
	require.ErrorContains(t, err, "e1")

	_, err = event.Decode[struct{}](event.Event{ID: "e1", Type: "order.accepted", SchemaVersion: 99, Data: json.RawMessage(`{}`)})
	require.ErrorIs(t, err, fault.UnknownVersion, "an older binary does not guess")
	require.Equal(t, fault.Unavailable, fault.CodeOf(err), "a newer one can read it")
	require.ErrorContains(t, err, "e1")
}

// TestCatalog: names are unique, outbound names are never inbound ones (no echo), and everything is explained.
func TestCatalog(t *testing.T) {
	inbound := map[string]bool{}
	for _, d := range []event.Direction{event.Inbound, event.Published, event.Ledger} {
		require.NotEmpty(t, event.Types(d))
		for _, typ := range event.Types(d) {
			require.NotEmpty(t, typ.Meaning, typ.Name)
			require.NotEmpty(t, typ.Producer, typ.Name)
			require.GreaterOrEqual(t, typ.Version, 1, typ.Name)
			for _, name := range append([]string{typ.Name}, typ.Aliases...) {
				found, ok := event.Find(name)
				require.True(t, ok)
				require.Equal(t, typ.Name, found.Name)
				if d == event.Inbound {
					inbound[name] = true
				} else {
					require.False(t, inbound[name], name)
				}
			}
		}
	}
	_, ok := event.Find("order.teleported")
	require.False(t, ok)
}
