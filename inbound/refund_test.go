package inbound_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Each event is one refund: a redelivery has the same ID, and so has an event with the ID of the refund.
func TestRefundRequestedStartsOneRefund(t *testing.T) {
	w := newWorld()
	e := arrived(event.RefundRequested, `{"orderId":"42","amount":300,"reason":null}`)
	for range 2 {
		require.NoError(t, w.executor.Handle(t.Context(), e))
	}
	other := e
	other.ID = "evt-2"
	require.NoError(t, w.executor.Handle(t.Context(), other))
	named := arrived(event.RefundRequested, `{"refundId":"r-1","lines":[{"line":1,"quantity":2}],"restock":true}`)
	named.Subject = "42"
	require.NoError(t, w.executor.Handle(t.Context(), named))

	require.Len(t, w.sagas.refunds, 4)
	require.Equal(t, w.sagas.refunds[0].ID, w.sagas.refunds[1].ID)
	require.NotEqual(t, w.sagas.refunds[0].ID, w.sagas.refunds[2].ID)
	require.Equal(t, "r-1", w.sagas.refunds[3].ID)
	require.JSONEq(t, `{"orderId":"42","lines":[{"line":1,"quantity":2}],"restock":true}`, string(w.sagas.refunds[3].Body))
	require.True(t, w.sagas.refunds[0].CallerID, "the same identity with different content is a conflict")
}

// A provider reports the end of a dispute with the ID of the dispute, and its beginning again and again.
func TestDisputeEvents(t *testing.T) {
	w := newWorld()
	opened := arrived(event.PaymentDisputed, `{"orderId":"42","disputeId":"dp_1","amount":300,"reason":"fraudulent"}`)
	require.NoError(t, w.executor.Handle(t.Context(), opened))
	closed := arrived(event.PaymentDisputeClosed, `{"result":"lost"}`)
	closed.Subject = "dp_1"
	require.NoError(t, w.executor.Handle(t.Context(), closed))
	failed := arrived(event.PaymentRefundFailed, `{"orderId":"42","disputeId":"re_1","refundKey":"k","reason":"lost_or_stolen_card"}`)
	require.NoError(t, w.executor.Handle(t.Context(), failed))

	require.Len(t, w.sagas.refunds, 2)
	require.Equal(t, "dp_1", w.sagas.refunds[0].ID)
	require.Equal(t, "re_1", w.sagas.refunds[1].ID)
	require.Len(t, w.sagas.signals, 1)
	require.Equal(t, "dp_1", w.sagas.signals[0].orderID)
}

func TestInvalidRefundIsRefused(t *testing.T) {
	for _, data := range []string{
		`{"orderId":"42"}`, `{"orderId":"42","amount":-1}`, `{"orderId":"42","amount":1,"lines":[{"line":1,"quantity":1}]}`,
		`{"orderId":"42","lines":[{"quantity":1}]}`, `{"orderId":"42","amount":1,"refundId":"."}`, `{"orderId":"42","amount":1,"unknown":1}`,
	} {
		w := newWorld()
		require.ErrorIs(t, w.executor.Handle(t.Context(), arrived(event.RefundRequested, data)), fault.Invalid, data)
		w.untouched(t)
	}
}
