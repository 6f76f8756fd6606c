package readmodel

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/groupcommit"
	"github.com/ordersaga/ordersaga/internal/order"
)

func requireStored(t *testing.T, s *Store, want Order) {
	t.Helper()
	got, found, err := s.Get(t.Context(), want.ID)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, want, got)
}

func TestPutOnlyMovesForward(t *testing.T) {
	db := connect(t)
	s, other := open(t, db), open(t, db)
	_, found, err := s.Get(t.Context(), "o-001")
	require.NoError(t, err)
	require.False(t, found)

	for _, step := range []struct {
		put  Order
		want Order
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

func TestPutOfAnOrderThatStartsLate(t *testing.T) {
	s := open(t, connect(t))
	require.NoError(t, s.Put(t.Context(), sample(2, 7, order.StatusCompleted)))
	require.NoError(t, s.Put(t.Context(), sample(2, 1, order.StatusAccepted)))
	requireStored(t, s, sample(2, 7, order.StatusCompleted))
}

func TestPutInAnyOrderAtOnce(t *testing.T) {
	s := open(t, connect(t))
	const orders, versions = 4, 8
	var puts []Order
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
	s := open(t, connect(t))
	require.ErrorIs(t, s.Put(t.Context(), Order{Version: 1}), fault.Invalid)
	require.ErrorIs(t, s.Put(t.Context(), sample(1, 0, order.StatusAccepted)), fault.Invalid)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := s.Put(ctx, sample(1, 1, order.StatusAccepted))
	require.ErrorIs(t, err, fault.Unavailable)
	require.ErrorIs(t, err, context.Canceled)
	_, _, err = s.Get(ctx, "o-001")
	require.ErrorIs(t, err, fault.Unavailable)
	_, _, err = s.List(ctx, Filter{})
	require.ErrorIs(t, err, fault.Unavailable)
	_, err = New(Config{})
	require.Error(t, err)
	_, err = New(Config{Database: s.orders.Database(), Timeout: -1})
	require.Error(t, err)
}

func TestPutsShareRoundTripsAndEachGetsItsOwnResult(t *testing.T) {
	db := connect(t)
	s := open(t, db)
	var trips, together atomic.Int64
	gate := make(chan struct{})
	write := s.together
	var err error
	const orders = 60
	var queued sync.Map
	var coming sync.WaitGroup
	coming.Add(orders)
	s.group, err = groupcommit.New(groupcommit.Config[document]{
		Timeout: s.timeout,
		Write: func(ctx context.Context, docs []document) []error {
			<-gate
			trips.Add(1)
			together.Store(max(together.Load(), int64(len(docs))))
			return write(ctx, docs)
		},
		// What comes is weighed before it waits.
		Weight: func(d document) int {
			if _, again := queued.LoadOrStore(d.ID, true); !again {
				coming.Done()
			}
			return 1
		},
	})
	require.NoError(t, err)
	standing := sample(7, 5, order.StatusCompleted)
	_, err = s.put(t.Context(), standing, older)
	require.NoError(t, err)
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

func TestResultsOf(t *testing.T) {
	duplicate := mongo.BulkWriteError{WriteError: mongo.WriteError{Index: 1, Code: 11000}}
	other := mongo.BulkWriteError{WriteError: mongo.WriteError{Index: 2, Code: 1}}
	got := resultsOf(3, mongo.BulkWriteException{WriteErrors: []mongo.BulkWriteError{duplicate, other}})
	require.NoError(t, got[0])
	require.ErrorIs(t, got[1], errStands)
	require.Equal(t, error(other), got[2])
	require.Equal(t, []error{nil, nil}, resultsOf(2, nil))
	unsure := mongo.BulkWriteException{WriteErrors: []mongo.BulkWriteError{duplicate}, WriteConcernError: &mongo.WriteConcernError{Code: 64}}
	for _, err := range []error{context.DeadlineExceeded, unsure, mongo.BulkWriteException{}} {
		require.Equal(t, []error{err, err}, resultsOf(2, err), "nobody's success")
	}
}
