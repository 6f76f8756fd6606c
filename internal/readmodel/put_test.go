package readmodel

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/fault"
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
