package sagaclient_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/order"
)

func TestSettleShortageStartsOrSignalsASaga(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.client.SettleShortage(t.Context(), "tea"))
	require.Equal(t, []string{"shortage-tea shortage tea AllowDuplicate UseExisting"}, w.temporal.shortages)
	w.temporal.down["settle"] = errNoWay
	require.Equal(t, fault.Unavailable, fault.CodeOf(w.client.SettleShortage(t.Context(), "tea")))
}

func TestStockLostIsASignal(t *testing.T) {
	w := newWorld(t)
	require.ErrorIs(t, w.client.StockLost(t.Context(), "42", "tea"), fault.OrderUnknown)

	w.temporal.running = true
	require.NoError(t, w.client.StockLost(t.Context(), "42", "tea"))
	require.Len(t, w.temporal.signals, 1)
	require.Equal(t, order.SignalStockLost, w.temporal.signals[0].name)
	require.Equal(t, order.StockLost{SKU: "tea"}, w.temporal.signals[0].payload)
}
