package mongo

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/eventlog/eventlogtest"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/mongo/mongofake"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// TestUnconfirmedEntryIsUnknown: the newer entry that the write found may be rolled back, and nothing follows an
// order's end to write it again.
func TestUnconfirmedEntryIsUnknown(t *testing.T) {
	unconfirmed := true
	s := NewOrders(fake(t, func(c mongofake.Command) bson.D {
		switch c.Name {
		case "buildInfo":
			return bson.D{{Key: "version", Value: "8.0.0"}}
		case "insert", "update":
			return mongofake.Refused(unconfirmed, 0)
		}
		return nil
	}))
	o := sample(1, 2, order.StatusCompleted)
	require.ErrorIs(t, s.Put(t.Context(), o), fault.Unavailable)
	_, err := s.Replace(t.Context(), o, o.Version)
	require.ErrorIs(t, err, fault.Unavailable)
	unconfirmed = false
	require.NoError(t, s.Put(t.Context(), o))
	wrote, err := s.Replace(t.Context(), o, o.Version)
	require.NoError(t, err)
	require.False(t, wrote)
}

// TestEntryIsKeptWhenFailoverHidesItsStream: an entry is removed if its order does not exist, not if a read misses it.
func TestEntryIsKeptWhenFailoverHidesItsStream(t *testing.T) {
	s, log := openOrders(t, connect(t)), memlog.New()
	state := accepted(t, log, 1)
	require.NoError(t, s.Put(t.Context(), readmodel.FromState(state)))
	forgetful := forgetfulSource{eventlogtest.NewLossyLog(log), log}
	forgetful.Forget(event.OrderStream(state.Order.ID), 0)
	require.NoError(t, readmodel.Orders.RebuildEntry(t.Context(), s, forgetful, state.Order.ID))
	requireStored(t, s, readmodel.FromState(state))
}

// forgetfulSource is a log that may be rebuilt from.
type forgetfulSource struct {
	*eventlogtest.LossyLog
	eventlog.Lister
}

// TestRebuildNamesStreamsWithMissingRecords: one that stays missing damages one stream, and does not end the rebuild.
func TestRebuildNamesStreamsWithMissingRecords(t *testing.T) {
	s, log := openOrders(t, connect(t)), memlog.New()
	for n := range 3 {
		accepted(t, log, n)
	}
	result, err := readmodel.Orders.Rebuild(t.Context(), s, gapLog{log, event.OrderStream("o-001")}, nil)
	require.NoError(t, err)
	require.Equal(t, 2, result.Written)
	require.Len(t, result.Failures, 1)
	require.Equal(t, event.OrderStream("o-001"), result.Failures[0].Stream)
}

// gapLog is a log in which a record of one stream is missing.
type gapLog struct {
	*memlog.Log
	stream string
}

func (g gapLog) Read(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error) {
	if stream == g.stream {
		return nil, fault.Missing("stream %s has version 3 where 2 should be", stream)
	}
	return g.Log.Read(ctx, stream, after, limit)
}
