package inbound_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Each event of the warehouse is one receipt: a redelivery has the same ID.
func TestReturnReceivedIsOneReceipt(t *testing.T) {
	w := newWorld()
	e := arrived(event.ReturnReceived, `{"lines":[{"sku":"tea","quantity":1}],"shelf":"7"}`)
	require.NoError(t, w.executor.Handle(t.Context(), e))
	require.NoError(t, w.executor.Handle(t.Context(), e))
	e.ID = "evt-2"
	require.NoError(t, w.executor.Handle(t.Context(), e))
	require.Len(t, w.sagas.signals, 3)
	var facts []saga.Fact
	for _, s := range w.sagas.signals {
		require.Equal(t, "42", s.orderID, "the subject of the event")
		facts = append(facts, s.payload.(saga.Fact))
	}
	require.Equal(t, facts[0], facts[1])
	require.NotEqual(t, facts[0].ID, facts[2].ID)
	require.Equal(t, facts[0].ID, facts[0].Part, "receipts do not replace each other")
	require.JSONEq(t, `{"lines":[{"sku":"tea","quantity":1}]}`, string(facts[0].Data))
}

func TestReturnRequestedStartsOneReturn(t *testing.T) {
	w := newWorld()
	e := arrived(event.ReturnRequested, `{"orderId":"42","returnId":"r-1","lines":[{"line":1,"quantity":2}],"refund":false}`)
	require.NoError(t, w.executor.Handle(t.Context(), e))
	require.Len(t, w.sagas.refunds, 1)
	require.Equal(t, "r-1", w.sagas.refunds[0].ID)
	require.JSONEq(t, `{"orderId":"42","lines":[{"line":1,"quantity":2}],"refund":false}`, string(w.sagas.refunds[0].Body))
	for _, data := range []string{`{"orderId":"42"}`, `{"orderId":"42","lines":[]}`, `{"orderId":"42","lines":[{"quantity":1}]}`} {
		require.ErrorIs(t, w.executor.Handle(t.Context(), arrived(event.ReturnRequested, data)), fault.Invalid, data)
	}
}
