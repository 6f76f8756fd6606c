package mongo

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	driver "go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/groupcommit"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/workflows/order"
)

func requireStored(t *testing.T, s *List, want readmodel.Order) {
	t.Helper()
	got, found, err := s.Get(t.Context(), want.ID)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, want, got)
}

func TestPutOnlyMovesForward(t *testing.T) {
	db := connect(t)
	s, other := openOrders(t, db), openOrders(t, db)
	_, found, err := s.Get(t.Context(), "o-001")
	require.NoError(t, err)
	require.False(t, found)

	for _, step := range []struct {
		put  readmodel.Order
		want readmodel.Order
	}{
		{sample(1, 1, order.StatusAccepted), sample(1, 1, order.StatusAccepted)},
		{sample(1, 1, order.StatusAccepted), sample(1, 1, order.StatusAccepted)},
		{sample(1, 3, order.StatusAwaitingPayment), sample(1, 3, order.StatusAwaitingPayment)},
		{sample(1, 2, order.StatusReserved), sample(1, 3, order.StatusAwaitingPayment)},
		{sample(1, 3, order.StatusFailed), sample(1, 3, order.StatusAwaitingPayment)},
		{sample(1, 7, order.StatusCompleted), sample(1, 7, order.StatusCompleted)},
		{sample(1, 1, order.StatusAccepted), sample(1, 7, order.StatusCompleted)},
	} {
		require.NoError(t, s.Put(t.Context(), step.put))
		requireStored(t, other, step.want)
		require.NoError(t, other.Put(t.Context(), step.put))
		requireStored(t, s, step.want)
	}
}

func TestPutOfLaterVersionFirst(t *testing.T) {
	s := openOrders(t, connect(t))
	require.NoError(t, s.Put(t.Context(), sample(2, 7, order.StatusCompleted)))
	require.NoError(t, s.Put(t.Context(), sample(2, 1, order.StatusAccepted)))
	requireStored(t, s, sample(2, 7, order.StatusCompleted))
}

func TestConcurrentPutsInAnyOrder(t *testing.T) {
	s := openOrders(t, connect(t))
	const orders, versions = 4, 8
	var puts []readmodel.Order
	for n := range orders {
		for v := range versions {
			status := order.StatusAccepted
			if v == versions-1 {
				status = order.StatusCompleted
			}
			puts = append(puts, sample(n, int64(v+1), status), sample(n, int64(v+1), status))
		}
	}
	rand.Shuffle(len(puts), func(i, j int) { puts[i], puts[j] = puts[j], puts[i] })
	var done sync.WaitGroup
	for _, o := range puts {
		done.Go(func() {
			if err := s.Put(t.Context(), o); err != nil {
				t.Errorf("put %s at %d: %v", o.ID, o.Version, err)
			}
		})
	}
	done.Wait()
	for n := range orders {
		requireStored(t, s, sample(n, versions, order.StatusCompleted))
	}
}

func TestPutRefuses(t *testing.T) {
	s := openOrders(t, connect(t))
	require.ErrorIs(t, s.Put(t.Context(), readmodel.Order{Version: 1}), fault.Invalid)
	require.ErrorIs(t, s.Put(t.Context(), sample(1, 0, order.StatusAccepted)), fault.Invalid)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := s.Put(ctx, sample(1, 1, order.StatusAccepted))
	require.ErrorIs(t, err, fault.Unavailable)
	require.ErrorIs(t, err, context.Canceled)
	_, _, err = s.Get(ctx, "o-001")
	require.ErrorIs(t, err, fault.Unavailable)
	_, _, err = s.List(ctx, readmodel.Filter{})
	require.ErrorIs(t, err, fault.Unavailable)
}

func TestPutsShareRoundTripsAndEachGetsItsOwnResult(t *testing.T) {
	db := connect(t)
	s := openOrders(t, db)
	var trips, together atomic.Int64
	gate := make(chan struct{})
	const orders = 60
	var queued sync.Map
	var coming sync.WaitGroup
	coming.Add(orders)
	s.setGroup(groupcommit.Config[replacement]{
		Write: func(ctx context.Context, docs []replacement) []error {
			<-gate
			trips.Add(1)
			together.Store(max(together.Load(), int64(len(docs))))
			return s.replace(ctx, docs)
		},
		// The size of an entry is checked before it waits.
		Weight: func(d replacement) int {
			if _, again := queued.LoadOrStore(d.ID, true); !again {
				coming.Done()
			}
			return 1
		},
	})
	standing := sample(7, 5, order.StatusCompleted)
	require.NoError(t, openOrders(t, db).Put(t.Context(), standing))
	var all sync.WaitGroup
	for n := range orders {
		all.Go(func() {
			if err := s.Put(t.Context(), sample(n, 1, order.StatusAccepted)); err != nil {
				t.Errorf("put %d: %v", n, err)
			}
		})
	}
	coming.Wait()
	close(gate)
	all.Wait()
	for n := range orders {
		want := sample(n, 1, order.StatusAccepted)
		if n == 7 {
			want = standing
		}
		requireStored(t, s, want)
	}
	require.LessOrEqual(t, trips.Load(), int64(2), "all others came while the first was under way")
	require.Greater(t, together.Load(), int64(1))
}

func TestResults(t *testing.T) {
	duplicate := driver.BulkWriteError{WriteError: driver.WriteError{Index: 1, Code: 11000}}
	other := driver.BulkWriteError{WriteError: driver.WriteError{Index: 2, Code: 1}}
	got := results(3, driver.BulkWriteException{WriteErrors: []driver.BulkWriteError{duplicate, other}})
	require.NoError(t, got[0])
	require.True(t, isDuplicate(got[1]))
	require.Equal(t, error(other), got[2])
	require.Equal(t, []error{nil, nil}, results(2, nil))
	unsure := driver.BulkWriteException{WriteErrors: []driver.BulkWriteError{duplicate}, WriteConcernError: &driver.WriteConcernError{Code: 64}}
	for _, err := range []error{context.DeadlineExceeded, unsure, driver.BulkWriteException{}} {
		require.Equal(t, []error{err, err}, results(2, err), "no entry was stored")
	}
}
