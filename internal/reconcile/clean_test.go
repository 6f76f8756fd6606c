package reconcile_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/reconcile"
	"github.com/ordersaga/ordersaga/test/audit"
	"github.com/ordersaga/ordersaga/workflows/order"
)

func TestConsistentDataHasNoViolation(t *testing.T) {
	w := newWorld(t)
	statuses := map[string]order.Status{}
	for id, e := range w.list {
		statuses[id] = e.Status
	}
	require.Equal(t, map[string]order.Status{
		"done": order.StatusCompleted, "gone": order.StatusCompleted, "sent": order.StatusCompleted, "back": order.StatusCancelled, "poor": order.StatusRejected,
		"turn": order.StatusRejected, "none": order.StatusRejected, "open": order.StatusAwaitingShipment, "desk": order.StatusNeedsAttention,
		"late": order.StatusCancelled, "slow": order.StatusFailed,
	}, statuses, "the shop has an order at every kind of end")

	report := w.check(reconcile.Options{Repair: true})
	require.Empty(t, report.Findings)
	require.Equal(t, reconcile.Counts{Streams: 11 + 11 + 10 + 1 + 3, Orders: 11, SKUs: 11, Payments: 10}, report.Counts)
	require.Zero(t, report.Left())

	checked := audit.Examine(w.documents(t))
	checked.CompareList(w.entries())
	require.Empty(t, checked.Violations)
	require.Empty(t, checked.Exceptions)
}
