package mongo

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/workflows/order"
)

func TestWalkIncludesUnreadableEntries(t *testing.T) {
	s := openOrders(t, connect(t))
	all := fill(t, s, 12)
	_, err := s.entries.InsertOne(t.Context(), bson.D{{Key: "_id", Value: "o-005x"}, {Key: "version", Value: "?"}})
	require.NoError(t, err)
	var ids []string
	for o, err := range s.All(t.Context()) {
		require.NoError(t, err)
		ids = append(ids, o.ID)
		peeked, found, err := s.Get(t.Context(), o.ID)
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, o, peeked)
		if o.ID == "o-005x" {
			require.Equal(t, readmodel.Order{Order: order.Order{ID: "o-005x"}}, o)
			continue
		}
		require.Contains(t, all, o)
	}
	require.Len(t, ids, 13)
	require.IsIncreasing(t, ids)
	_, found, err := s.Get(t.Context(), "nobody")
	require.NoError(t, err)
	require.False(t, found)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range s.All(ctx) {
		require.ErrorIs(t, err, fault.Unavailable)
	}
	_, _, err = s.Get(ctx, "o-001")
	require.ErrorIs(t, err, fault.Unavailable)
}

func TestMendRebuildsOneEntry(t *testing.T) {
	s, log := openOrders(t, connect(t)), memlog.New()
	state := accepted(t, log, 1)
	want := readmodel.FromState(appended(t, log, state, ended(state)))
	ctx := t.Context()
	set := func(d bson.D) {
		_, err := s.entries.UpdateByID(ctx, "o-001", bson.D{{Key: "$set", Value: d}})
		require.NoError(t, err)
	}
	for name, damage := range map[string]func(){
		"missing":    func() { _, err := s.entries.DeleteOne(ctx, byID("o-001")); require.NoError(t, err) },
		"behind":     func() { set(bson.D{{Key: "version", Value: int64(1)}, {Key: "status", Value: "accepted"}}) },
		"ahead":      func() { set(bson.D{{Key: "version", Value: int64(99)}}) },
		"different":  func() { set(bson.D{{Key: "totalAmount", Value: int64(1)}}) },
		"unreadable": func() { set(bson.D{{Key: "lines", Value: "?"}}) },
		"nothing":    func() {},
	} {
		require.NoError(t, readmodel.Orders.RebuildEntry(ctx, s, log, "o-001"), name)
		damage()
		require.NoError(t, readmodel.Orders.RebuildEntry(ctx, s, log, "o-001"), name)
		requireStored(t, s, want)
	}

	require.NoError(t, s.Put(ctx, sample(2, 1, order.StatusAccepted)))
	require.NoError(t, readmodel.Orders.RebuildEntry(ctx, s, log, "o-002"))
	_, found, err := s.Get(ctx, "o-002")
	require.NoError(t, err)
	require.False(t, found, "an entry without a stream is removed")

	kept := sample(3, 1, order.StatusAccepted)
	require.NoError(t, s.Put(ctx, kept))
	accepted(t, log, 3)
	require.ErrorIs(t, readmodel.Orders.RebuildEntry(ctx, s, damagedLog{Log: log, stream: event.OrderStream("o-003")}, "o-003"), fault.Corrupt)
	requireStored(t, s, kept)
}
