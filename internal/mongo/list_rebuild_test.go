package mongo

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// accepted appends the first event of order number n to log and returns its state.
func accepted(t *testing.T, log *memlog.Log, n int) order.State {
	t.Helper()
	o := sample(n, 1, order.StatusAccepted).Order
	return appended(t, log, order.State{}, order.Accept(o, "corr", "", start))
}

func appended(t *testing.T, log *memlog.Log, s order.State, entries ...event.Entry) order.State {
	t.Helper()
	_, tail, err := log.Append(t.Context(), event.OrderStream(entries[0].Subject), s.Head, entries)
	require.NoError(t, err)
	s, err = s.Fold(tail)
	require.NoError(t, err)
	return s
}

// ended makes the last event of an order.
func ended(s order.State) event.Entry {
	return event.New(event.OrderStream(s.Order.ID), order.SlotEnd, event.OrderFailed, s.Order.ID, start.Add(time.Minute),
		order.Ending{OrderID: s.Order.ID, Outcome: order.StatusFailed, Reason: order.ReasonPaymentTimeout})
}

func TestRebuild(t *testing.T) {
	s, log := openOrders(t, connect(t)), memlog.New()
	var want []readmodel.Order
	for n := range 30 {
		state := accepted(t, log, n)
		if n%2 == 0 {
			state = appended(t, log, state, ended(state))
			require.Equal(t, order.StatusFailed, state.Status)
		}
		want = append(want, readmodel.FromState(state))
	}
	_, _, err := log.Append(t.Context(), event.StockStream("A-1"), event.Head{}, []event.Entry{
		event.New(event.StockStream("A-1"), "k", event.StockAdded, "A-1", start, map[string]any{"quantity": 1}),
	})
	require.NoError(t, err)
	// One entry is correct, one is old, one differs, one has a version that the log does not have, and two have no stream.
	require.NoError(t, s.Put(t.Context(), want[0]))
	old := want[2]
	old.Version, old.Status = 1, order.StatusAccepted
	require.NoError(t, s.Put(t.Context(), old))
	wrong := want[3]
	wrong.Status, wrong.Reason = order.StatusRejected, "out_of_stock"
	require.NoError(t, s.Put(t.Context(), wrong))
	future := want[4]
	future.Version = 99
	require.NoError(t, s.Put(t.Context(), future))
	require.NoError(t, s.Put(t.Context(), sample(500, 1, order.StatusAccepted)))
	stray := sample(0, 1, order.StatusAccepted)
	stray.ID = "0-before-all"
	require.NoError(t, s.Put(t.Context(), stray))

	compare := func() (found []string) {
		result, err := readmodel.Orders.Compare(t.Context(), s, log, nil, func(d readmodel.Difference) { found = append(found, d.String()) })
		require.NoError(t, err)
		require.Equal(t, 30, result.Streams)
		require.Len(t, found, result.Written+result.Removed)
		return found
	}
	before := pages(t, s, readmodel.Filter{Limit: 100})
	found := compare()
	require.Subset(t, found, []string{
		"order-o-001: the list has no entry", "order-o-002: Status, Version", "order-o-003: Reason, Status", "order-o-004: Version",
		"order-o-500: the log has no stream", "order-0-before-all: the log has no stream",
	})
	require.Len(t, found, 26+3+2)
	require.Equal(t, before, pages(t, s, readmodel.Filter{Limit: 100}), "a comparison changes nothing")

	var seen []int
	result, err := readmodel.Orders.Rebuild(t.Context(), s, log, func(done int) { seen = append(seen, done) })
	require.NoError(t, err)
	require.Equal(t, readmodel.Rebuilt{Streams: 30, Written: 30, Removed: 2}, result)
	require.True(t, slices.IsSorted(seen))
	require.Len(t, seen, 30)
	for _, o := range want {
		requireStored(t, s, o)
	}
	require.Len(t, pages(t, s, readmodel.Filter{Limit: 100}), 30)
	require.Empty(t, compare())

	again, err := readmodel.Orders.Rebuild(t.Context(), s, log, nil)
	require.NoError(t, err)
	require.Equal(t, 30, again.Streams)
	require.Zero(t, again.Removed)
}

func TestRebuildNamesDamagedStreams(t *testing.T) {
	s, log := openOrders(t, connect(t)), memlog.New()
	accepted(t, log, 1)
	kept := sample(2, 1, order.StatusAccepted)
	require.NoError(t, s.Put(t.Context(), kept))
	damaged := damagedLog{Log: log, stream: event.OrderStream("o-002")}
	accepted(t, log, 2)
	_, _, err := log.Append(t.Context(), "order-o-003", event.Head{}, []event.Entry{order.Accept(sample(4, 1, "").Order, "", "", start)})
	require.NoError(t, err)
	result, err := readmodel.Orders.Rebuild(t.Context(), s, damaged, nil)
	require.NoError(t, err)
	require.Equal(t, 3, result.Streams)
	require.Equal(t, 1, result.Written)
	require.Equal(t, 2, result.Failed)
	slices.SortFunc(result.Failures, func(a, b readmodel.Failure) int { return len(a.Err.Error()) - len(b.Err.Error()) })
	for _, f := range result.Failures {
		require.Contains(t, []string{"order-o-002", "order-o-003"}, f.Stream)
		require.ErrorIs(t, f.Err, fault.Corrupt)
	}
	requireStored(t, s, kept)
}

// damagedLog changes the records of one stream.
type damagedLog struct {
	*memlog.Log
	stream string
}

func (d damagedLog) Read(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error) {
	records, err := d.Log.Read(ctx, stream, after, limit)
	if stream == d.stream {
		records[0].Subject = "somebody else"
	}
	return records, err
}

func TestRebuildStopsWithItsContext(t *testing.T) {
	s, log := openOrders(t, connect(t)), memlog.New()
	for n := range 10 {
		accepted(t, log, n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	result, err := readmodel.Orders.Rebuild(ctx, s, log, func(done int) {
		if done == 5 {
			cancel()
		}
	})
	require.ErrorIs(t, err, fault.Unavailable)
	require.ErrorIs(t, err, context.Canceled)
	require.GreaterOrEqual(t, result.Streams, 5)
}

// The log and the read model in one database, as in production.
func TestRebuildFromTheRealLog(t *testing.T) {
	db := connect(t)
	s := openOrders(t, db)
	log := open(t, db)
	for n := range 12 {
		o := sample(n, 1, order.StatusAccepted).Order
		_, _, err := log.Append(t.Context(), event.OrderStream(o.ID), event.Head{}, []event.Entry{order.Accept(o, "corr", "", start)})
		require.NoError(t, err)
	}
	require.NoError(t, s.Put(t.Context(), sample(77, 1, order.StatusAccepted)))
	result, err := readmodel.Orders.Rebuild(t.Context(), s, log, nil)
	require.NoError(t, err)
	require.Equal(t, readmodel.Rebuilt{Streams: 12, Written: 12, Removed: 1}, result)
	count, err := s.entries.CountDocuments(t.Context(), bson.D{})
	require.NoError(t, err)
	require.Equal(t, int64(12), count)
	for n := range 12 {
		o, found, err := s.Get(t.Context(), fmt.Sprintf("o-%03d", n))
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, order.StatusAccepted, o.Status)
	}
}
