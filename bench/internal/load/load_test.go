package load_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/bench/internal/load"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestClosedLoopKeepsClientsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var now, most int
		seen := map[int]bool{}
		sample, err := load.Closed(t.Context(), 100, 8, func(_ context.Context, i int) error {
			mu.Lock()
			now, seen[i] = now+1, true
			most = max(most, now)
			mu.Unlock()
			time.Sleep(10 * time.Millisecond)
			mu.Lock()
			now--
			mu.Unlock()
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, 8, most)
		require.Len(t, seen, 100)
		require.Len(t, sample.Latencies, 100)
		require.Equal(t, 130*time.Millisecond, sample.Elapsed, "13 times 8 clients, 10 ms each")
		require.Equal(t, 10*time.Millisecond, slices.Max(sample.Latencies))
	})
}

// A server that answers in 1 ms stalls once for a second. A hundred orders were due meanwhile: each of them waited.
// A loop that measures from when it got to send would have seen one slow order.
func TestOpenLoopCountsDelayAfterStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		timetable := make([]time.Duration, 200)
		for i := range timetable {
			timetable[i] = time.Duration(i) * 10 * time.Millisecond
		}
		var server sync.Mutex
		sample, err := load.Open(t.Context(), timetable, 1, func(_ context.Context, i int) error {
			server.Lock()
			defer server.Unlock()
			if i == 50 {
				time.Sleep(time.Second)
			}
			time.Sleep(time.Millisecond)
			return nil
		})
		require.NoError(t, err)
		slow := 0
		for _, l := range sample.Latencies {
			if l > 10*time.Millisecond {
				slow++
			}
		}
		require.InDelta(t, 110, slow, 5, "all that were due during the stall, and until it was worked off")
		require.Equal(t, 1001*time.Millisecond, slices.Max(sample.Latencies))
	})
}

func TestOpenLoopDoesNotWaitForAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		timetable := []time.Duration{0, 10 * time.Millisecond, 20 * time.Millisecond}
		sample, err := load.Open(t.Context(), timetable, 100, func(context.Context, int) error {
			time.Sleep(time.Second)
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, 1020*time.Millisecond, sample.Elapsed)
		require.Equal(t, time.Second, slices.Max(sample.Latencies))
	})
}

func TestFirstErrorEndsLoop(t *testing.T) {
	broken := errors.New("lost")
	fail := func(ctx context.Context, i int) error {
		if i == 3 {
			return broken
		}
		if i > 3 {
			<-ctx.Done()
		}
		return nil
	}
	_, err := load.Closed(t.Context(), 1000, 2, fail)
	require.ErrorIs(t, err, broken)
	require.ErrorContains(t, err, "order 4 of the round")
	_, err = load.Open(t.Context(), make([]time.Duration, 1000), 2, fail)
	require.ErrorIs(t, err, broken)

	over, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = load.Closed(over, 10, 2, func(context.Context, int) error { return nil })
	require.ErrorIs(t, err, context.Canceled)
}
