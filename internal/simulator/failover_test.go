package simulator_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog/eventlogtest"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/payment"
)

// TestPaymentHiddenByFailoverIsFound: an authorization, a capture and money that arrived late are found although an ordinary read
// misses them. Otherwise a capture is refused for good, and late money is kept.
func TestPaymentHiddenByFailoverIsFound(t *testing.T) {
	log := eventlogtest.NewLossyLog(memlog.New())
	first, _ := open(t, log)
	approved, late := pay("tok_visa"), pay("tok_pending")
	approved.OrderID, late.OrderID = "approved", "late"
	_, err := first.Authorize(t.Context(), "k", approved)
	require.NoError(t, err)
	_, err = first.Authorize(t.Context(), "k", late)
	require.NoError(t, err)
	_, err = first.Void(t.Context(), "k", late)
	require.NoError(t, err)
	require.NoError(t, first.Settle(t.Context(), late, true, ""))

	log.Forget(event.PaymentStream("approved"), 0)
	log.Forget(event.PaymentStream("late"), 2)
	second, _ := open(t, log)
	got, err := second.Lookup(t.Context(), late)
	require.NoError(t, err)
	require.Equal(t, late.Amount, got.Arrived)
	got, err = second.Capture(t.Context(), "k", approved)
	require.NoError(t, err)
	require.Equal(t, payment.Captured, got.State)
	third, _ := open(t, log)
	got, err = third.Refund(t.Context(), "r", approved, 1)
	require.NoError(t, err)
	require.Equal(t, payment.Refunded, got.State)
}
