package e2e

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/test/audit"
	"github.com/ordersaga/ordersaga/test/harness"
)

// TestOrdersThatARestoredLogHasLost restores a backup that is older than some orders, in every state that their runs can have. Only Temporal
// has these orders: reconcile finds them and starts them again.
func TestOrdersThatARestoredLogHasLost(t *testing.T) {
	s := newStack(t)
	s.ownNamespace()
	sku := s.sku(100)
	done := s.place(harness.NewOrder(sku, 1, "tok_visa")).ID
	declined := s.place(harness.NewOrder(sku, 1, "tok_declined")).ID
	waiting, sent, terminated := s.parcel(sku), s.parcel(sku), s.parcel(sku)
	s.deliver(sent)
	s.settled(done, declined, sent)
	s.terminate(terminated)
	// The backup has the first events of one order, up to the dispatch.
	half := s.parcel(s.sku(100))
	s.deliver(half)
	s.settled(half)
	lost := []string{done, declined, waiting, sent, terminated}

	require.NoError(t, s.service.Stop(patience))
	for _, id := range lost {
		_, err := s.db.Collection("events").DeleteMany(s.ctx, bson.D{{Key: "stream", Value: bson.D{{Key: "$in", Value: bson.A{"order-" + id, "payment-" + id}}}}})
		require.NoError(t, err)
		_, err = s.db.Collection("orders").DeleteOne(s.ctx, bson.D{{Key: "_id", Value: id}})
		require.NoError(t, err)
	}
	// The backup has the goods that were received before it.
	_, err := s.db.Collection("events").DeleteMany(s.ctx, bson.D{{Key: "stream", Value: "sku-" + sku}, {Key: "version", Value: bson.D{{Key: "$gt", Value: 1}}}})
	require.NoError(t, err)
	_, err = s.db.Collection("events").DeleteMany(s.ctx, bson.D{{Key: "stream", Value: "order-" + half}, {Key: "version", Value: bson.D{{Key: "$gt", Value: 4}}}})
	require.NoError(t, err)
	_, err = s.db.Collection("orders").DeleteOne(s.ctx, bson.D{{Key: "_id", Value: half}})
	require.NoError(t, err)
	s.start("TEMPORAL_NAMESPACE=" + s.namespace)

	want := []string{"list_missing " + half, "workflow_closed " + half}
	for _, id := range lost {
		want = append(want, "order_unrecorded "+id)
	}
	slices.Sort(want)
	// Temporal lists workflows with a delay.
	require.Eventually(t, func() bool {
		found, content := s.reconcile("--stale", "1s")
		return slices.Equal(want, found) && !content
	}, patience, 100*time.Millisecond, "every order is found, and nothing else")
	found, content := s.reconcileOnce("--stale", "1s", "--repair")
	require.Equal(t, want, found)
	require.True(t, content, "everything is repaired")

	for id, status := range map[string]string{done: "completed", declined: "cancelled", sent: "completed", half: "completed"} {
		end, err := s.client.AwaitEnd(s.ctx, id)
		require.NoError(t, err)
		require.Equal(t, status, end.Status, id)
	}
	for _, id := range []string{waiting, terminated} {
		_, err = s.client.AwaitStatus(s.ctx, id, "awaiting_shipment")
		require.NoError(t, err)
	}
	s.deliver(waiting, terminated)
	s.settled(append(lost, half)...)
	require.Eventually(t, func() bool {
		found, content = s.reconcile()
		return content
	}, patience, 100*time.Millisecond, "everything holds again: %v", &found)
	report, err := audit.RunAll(s.ctx, s.db)
	require.NoError(t, err)
	require.Empty(t, report.Violations)
	require.Empty(t, report.Open())
	require.Len(t, report.Orders, len(lost)+1)
}
