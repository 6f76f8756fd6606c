package order_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Anyone may send a signal with Temporal's tools: what becomes part of the log is made fit for it.
func TestIDsAndCausesOfSignalsAreCleaned(t *testing.T) {
	bad := strings.Repeat("x", 300) + "\n"
	for name, payload := range map[string]any{
		saga.SignalCancel:    order.Cancellation{ID: bad, Cause: bad},
		saga.SignalFact:      saga.Fact{Type: event.ShipmentDispatched, ID: bad, Cause: bad},
		order.SignalPayment:  order.PaymentHint{ID: bad, Cause: bad},
		order.SignalShipment: order.ShipmentSignal{Kind: order.ShipmentLost, ShipmentFact: order.ShipmentFact{ID: bad, Cause: bad}},
	} {
		raw, err := json.Marshal(payload)
		require.NoError(t, err)
		fact, known, err := order.Flow.FactOf("42", name, raw)
		require.NoError(t, err, name)
		require.True(t, known, name)
		require.True(t, event.ValidID(fact.ID), name)
		require.Equal(t, event.DerivedID(name, bad), fact.Cause, name)
	}
}

func TestAShipmentSignalOfAnUnknownKindBringsNothing(t *testing.T) {
	unknown := order.ShipmentSignal{Kind: "unknown", ShipmentFact: order.ShipmentFact{ID: "s-1", Cause: "s-1"}}
	require.Equal(t, order.Facts{}, order.FactsOf("42", unknown))
	c := order.Flow.Collect("42", false)
	require.NoError(t, c.Signal(order.SignalShipment, json.RawMessage(`{"kind":"unknown","id":"s-1","cause":"s-1"}`)))
	require.Empty(t, c.Facts())
}

// What a signal without a payload says is the zero value of its payload, as for every receiver of the Temporal SDK.
func TestASignalWithoutPayloadIsRead(t *testing.T) {
	for _, name := range []string{saga.SignalCancel, order.SignalPayment, order.SignalShipment} {
		fact, known, err := order.Flow.FactOf("42", name, nil)
		require.NoError(t, err, name)
		require.True(t, known, name)
		require.True(t, event.ValidID(fact.ID), name)
	}
}

// Anyone may send what a run otherwise gets from an earlier one: it must neither outgrow a payload, nor end an order in a status that
// is none.
func TestAFactOfAnEarlierRunIsChecked(t *testing.T) {
	read := func(f saga.Fact) (saga.Fact, error) {
		raw, err := json.Marshal(f)
		require.NoError(t, err)
		fact, known, err := order.Flow.FactOf("42", saga.SignalFact, raw)
		require.True(t, known)
		return fact, err
	}
	sent := order.ShipmentSignal{Kind: order.ShipmentDispatched, ShipmentFact: order.ShipmentFact{ID: "s-1", Cause: "s-1", Carrier: "dhl"}}.Fact("42")
	got, err := read(sent)
	require.NoError(t, err)
	require.Equal(t, sent, got)
	lost := order.FactOf("42", order.Cancellation{ID: "c-1", Cause: "c-1", Reason: "late"})
	got, err = read(lost)
	require.NoError(t, err)
	require.Equal(t, lost, got)

	got, err = read(saga.Fact{Type: event.ShipmentDispatched, ID: "s-1", Identity: strings.Repeat("x", 1<<20), Asked: 7, NotBefore: time.Now()})
	require.NoError(t, err)
	require.True(t, event.ValidID(got.Identity))
	require.Zero(t, got.Asked)
	require.Zero(t, got.NotBefore)

	first, err := read(saga.Fact{Type: event.ShipmentDispatched, ID: "s-1"})
	require.NoError(t, err)
	second, err := read(saga.Fact{Type: event.ShipmentDelivered, ID: "s-2"})
	require.NoError(t, err)
	require.NotEqual(t, first.Identity, second.Identity)

	big, err := json.Marshal(map[string]string{"carrier": strings.Repeat("x", 1<<20)})
	require.NoError(t, err)
	for _, wrong := range []saga.Fact{
		{},
		{Type: strings.Repeat("x", 1<<20), ID: "s-1"},
		{Type: event.ShipmentDispatched, ID: "s-1", Data: big},
		{Type: order.SignalStockLost, Data: json.RawMessage(`{"outcome":"vanished"}`)},
		{Type: order.SignalStockLost, Data: json.RawMessage(`{"outcome":"completed"}`)},
	} {
		_, err := read(wrong)
		require.Error(t, err)
	}
}
