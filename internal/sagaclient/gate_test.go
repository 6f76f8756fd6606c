package sagaclient

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/fault"
)

func TestGateLimitsConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		var inside, most, waits atomic.Int64
		var all sync.WaitGroup
		for range 30 {
			all.Go(func() {
				leave, waited, err := g.enter(t.Context(), "order-42")
				if !assert.NoError(t, err) {
					return
				}
				if n := inside.Add(1); n > most.Load() {
					most.Store(n)
				}
				time.Sleep(time.Second)
				inside.Add(-1)
				leave()
				if waited {
					waits.Add(1)
				}
			})
			synctest.Wait()
		}
		all.Wait()
		require.LessOrEqual(t, most.Load(), int64(updatesAtOnce))
		require.EqualValues(t, 30-updatesAtOnce, waits.Load())
		require.Empty(t, g.keys, "nothing is kept")
	})
}

func TestWaitAtGateEndsWithItsContext(t *testing.T) {
	var g gate
	for range updatesAtOnce {
		_, _, err := g.enter(t.Context(), "k")
		require.NoError(t, err)
	}
	_, waited, err := g.enter(t.Context(), "another")
	require.NoError(t, err)
	require.False(t, waited)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, waited, err = g.enter(ctx, "k")
	require.True(t, waited)
	require.Equal(t, fault.Unavailable, fault.CodeOf(err))
}

func TestRecentLookupIsNotRepeated(t *testing.T) {
	var r recently
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	require.False(t, r.again("a", now))
	require.True(t, r.again("a", now.Add(recent-1)))
	require.False(t, r.again("a", now.Add(recent)))
	for range 3 * maxRecent {
		now = now.Add(1)
		r.again(now.String(), now)
	}
	require.LessOrEqual(t, len(r.seen), maxRecent)
}
