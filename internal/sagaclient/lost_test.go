package sagaclient_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	historypb "go.temporal.io/api/history/v1"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// withUnreadSignals is a world with a run that has read none of the previous runs, one of which has received signals.
func withUnreadSignals(t *testing.T) (*world, []saga.Fact) {
	t.Helper()
	w := newWorld(t)
	w.ran(tea(), true)
	cancel, lost := order.Cancellation{ID: "c-1", Cause: "e-1"}, order.StockLost{SKU: "tea"}
	parcel := order.ShipmentSignal{Kind: order.ShipmentDelivered, ShipmentFact: order.ShipmentFact{ID: "s-1", Cause: "e-2", Carrier: "DHL"}}
	w.temporal.brokenOff = []string{"r-0", "deleted"}
	w.temporal.histories = map[string][]*historypb.HistoryEvent{
		"r-1": numbered(began(t, inputOf(t, tea()))),
		"r-0": numbered(began(t, inputOf(t, tea())), signalled(t, order.SignalStockLost, lost),
			signalled(t, order.SignalShipment, parcel), signalled(t, saga.SignalCancel, cancel), signalled(t, "unknown", cancel)),
	}
	turnsBack, known, err := order.Flow.FactOf("42", order.SignalStockLost, []byte(`{"sku":"tea"}`))
	require.NoError(t, err)
	require.True(t, known)
	return w, []saga.Fact{order.FactOf("42", cancel), order.FactOf("42", parcel), turnsBack}
}

func TestLostSignalsAreResent(t *testing.T) {
	w, facts := withUnreadSignals(t)
	w.open(tea())
	got, err := w.client.Lost(t.Context(), "42")
	require.NoError(t, err)
	require.Equal(t, []saga.Fact{facts[1]}, got.Received)
	require.Len(t, got.Cancellations, 1)
	require.Equal(t, facts[0].Identity, got.Cancellations[0].Identity)
	require.Equal(t, order.StockLost{SKU: "tea"}.Ending(), *got.TurnBack)

	require.NoError(t, w.client.ResendSignals(t.Context(), "42"))
	want := make([]signal, len(facts))
	for i, f := range facts {
		want[i] = signal{"order-42", saga.SignalFact, f}
	}
	require.Equal(t, want, w.temporal.signals)
	require.Empty(t, w.temporal.starts)

	w.temporal.down["list"] = errNoWay
	require.ErrorIs(t, w.client.ResendSignals(t.Context(), "42"), fault.Unavailable)
}

func TestLostSignalsOfEndedOrderStartANewRun(t *testing.T) {
	w, _ := withUnreadSignals(t)
	s := w.rejected(tea())
	w.temporal.running, w.temporal.closed = false, true
	require.NoError(t, w.client.ResendSignals(t.Context(), "42"))
	require.Empty(t, w.temporal.starts, "the newest run was broken off itself: the next one takes over")

	w.temporal.completed = true
	require.NoError(t, w.client.ResendSignals(t.Context(), "42"))
	require.Empty(t, w.temporal.signals)
	in := inputOf(t, tea())
	in.CorrelationID = "first"
	in.Resume = &saga.Resume{Recover: &saga.RecoverCursor{Runs: []string{"deleted", "r-0"}}, Published: s.Head.Version}
	require.Equal(t, in, w.temporal.began(t))
}

func TestSignalsPendingTakeoverAreNotLost(t *testing.T) {
	w, _ := withUnreadSignals(t)
	w.open(tea())
	w.temporal.histories["r-1"] = numbered(began(t, resuming(t, saga.Resume{Recover: &saga.RecoverCursor{Runs: []string{"deleted", "r-0"}}})))
	got, err := w.client.Lost(t.Context(), "42")
	require.NoError(t, err)
	require.Equal(t, order.Facts{}, got)
	require.NoError(t, w.client.ResendSignals(t.Context(), "42"))
	require.Empty(t, w.temporal.signals)
}
