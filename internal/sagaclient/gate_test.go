package sagaclient

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/fault"
)

func TestAGateBoundsWhoIsInside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		var mu sync.Mutex
		inside, most, waits := 0, 0, 0
		count := func(change int) {
			mu.Lock()
			defer mu.Unlock()
			inside += change
			most = max(most, inside)
		}
		done := make(chan struct{})
		for range 30 {
			go func() {
				leave, waited, err := g.enter(t.Context(), "order-42")
				if err == nil {
					count(1)
					time.Sleep(time.Second) // the bubble's time
					count(-1)
					leave()
				}
				if waited {
					mu.Lock()
					waits++
					mu.Unlock()
				}
				done <- struct{}{}
			}()
			// One after the other, in the bubble's time.
			synctest.Wait()
		}
		for range 30 {
			<-done
		}
		require.LessOrEqual(t, most, updatesAtOnce)
		require.Equal(t, 30-updatesAtOnce, waits)
		require.Empty(t, g.keys, "nothing is kept")
	})
}

func TestWhoWaitsAtAGateLeavesWithItsContext(t *testing.T) {
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

func TestWhatWasLookedAtIsNotLookedAtAgainForAWhile(t *testing.T) {
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
