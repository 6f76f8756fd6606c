package groupcommit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/internal/groupcommit"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

var errEven = errors.New("even")

// Whatever comes with whatever: each item is tried to its end exactly once, each caller hears its own result, and bounds hold.
func TestEachGetsItsOwnResult(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		lanes, most := rapid.IntRange(1, 4).Draw(rt, "lanes"), rapid.IntRange(1, 20).Draw(rt, "most")
		overtake := time.Duration(rapid.IntRange(0, 3).Draw(rt, "microseconds to overtake")) * time.Microsecond
		leaveOut := rapid.Bool().Draw(rt, "leaves out what follows a failure")
		places := rapid.IntRange(1, 40).Draw(rt, "places")
		var mu sync.Mutex
		tried, underWay := map[int]int{}, 0
		g, err := groupcommit.New(groupcommit.Config[int]{
			Concurrency: lanes, SlowAfter: overtake, MaxWeight: most, MaxCallers: places, Timeout: time.Minute, Weight: func(n int) int { return n%3 + 1 },
			Write: func(_ context.Context, items []int) []error {
				mu.Lock()
				defer mu.Unlock()
				underWay++
				defer func() { underWay-- }()
				weight, failed := 0, false
				errs := make([]error, len(items))
				for i, n := range items {
					weight += n%3 + 1
					if failed && leaveOut {
						errs[i] = groupcommit.ErrUntried
						continue
					}
					tried[n]++
					if n%2 == 0 {
						errs[i], failed = fmt.Errorf("%d: %w", n, errEven), true
					}
				}
				if weight > most && len(items) > 1 || underWay > lanes {
					panic("bounds")
				}
				return errs
			},
		})
		require.NoError(rt, err)
		n := rapid.IntRange(1, 80).Draw(rt, "callers")
		errs := make([]error, n)
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() { errs[i] = g.Do(context.Background(), i) })
		}
		all.Wait()
		for i, err := range errs {
			require.Equal(rt, 1, tried[i])
			if i%2 == 0 {
				require.EqualError(rt, err, fmt.Sprintf("%d: even", i))
			} else {
				require.NoError(rt, err)
			}
		}
	})
}

func TestCallerWaitsWhenBatchIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		g, err := groupcommit.New(groupcommit.Config[int]{MaxCallers: 2, Timeout: time.Minute, Write: func(_ context.Context, items []int) []error {
			<-gate
			return make([]error, len(items))
		}})
		require.NoError(t, err)
		results := make(chan error, 3)
		for i := range 2 {
			go func() { results <- g.Do(t.Context(), i) }()
		}
		synctest.Wait()
		ctx, leave := context.WithCancel(t.Context())
		go func() { results <- g.Do(ctx, 3) }()
		synctest.Wait()
		leave()
		require.ErrorIs(t, <-results, context.Canceled, "it had no place")
		close(gate)
		require.NoError(t, <-results)
		require.NoError(t, <-results)
		require.NoError(t, g.Do(t.Context(), 4), "places are given back")
	})
}

func TestRoundTripIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, err := groupcommit.New(groupcommit.Config[int]{Timeout: time.Second, Write: func(ctx context.Context, items []int) []error {
			<-ctx.Done()
			return []error{ctx.Err()}
		}})
		require.NoError(t, err)
		require.ErrorIs(t, g.Do(t.Context(), 1), context.DeadlineExceeded)
	})
}

// What comes while a round trip is under way shares the next one, though there is another lane; when that one hangs, nobody
// waits for it longer than is allowed.
func TestSlowRoundTripIsOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const overtake = 50 * time.Millisecond
		type trip struct {
			items []int
			after time.Duration
		}
		began := time.Now()
		trips, answer := make(chan trip), make(chan struct{})
		g, err := groupcommit.New(groupcommit.Config[int]{Concurrency: 2, MaxWeight: 4, SlowAfter: overtake, Timeout: time.Minute,
			Write: func(_ context.Context, items []int) []error {
				trips <- trip{items, time.Since(began)}
				<-answer
				return make([]error, len(items))
			}})
		require.NoError(t, err)
		var all sync.WaitGroup
		do := func(items ...int) {
			for _, item := range items {
				all.Go(func() { assert.NoError(t, g.Do(t.Context(), item)) })
				synctest.Wait()
			}
		}
		do(1)
		require.Equal(t, trip{[]int{1}, 0}, <-trips, "a change does not wait when no round trip is under way")
		do(2, 3, 4)
		answer <- struct{}{}
		require.Equal(t, trip{[]int{2, 3, 4}, 0}, <-trips, "they share it")
		do(5, 6)
		require.Equal(t, trip{[]int{5, 6}, overtake}, <-trips, "the one before them hangs")
		do(7)
		for range 2 {
			answer <- struct{}{}
		}
		require.Equal(t, trip{[]int{7}, overtake}, <-trips, "there are no more lanes than these")
		answer <- struct{}{}
		all.Wait()
		synctest.Wait()
		do(8)
		require.Equal(t, trip{[]int{8}, overtake}, <-trips)
		// Who comes late in the wait of another waits as long.
		do(9)
		<-time.After(overtake - time.Millisecond)
		answer <- struct{}{}
		require.Equal(t, trip{[]int{9}, 2*overtake - time.Millisecond}, <-trips)
		do(10)
		require.Equal(t, trip{[]int{10}, 3*overtake - time.Millisecond}, <-trips)
		for range 2 {
			answer <- struct{}{}
		}
		all.Wait()
		synctest.Wait()
		do(11)
		require.Equal(t, trip{[]int{11}, 3*overtake - time.Millisecond}, <-trips)
		do(12, 13, 14, 15)
		require.Equal(t, trip{[]int{12, 13, 14, 15}, 3*overtake - time.Millisecond}, <-trips, "more company cannot come")
		for range 2 {
			answer <- struct{}{}
		}
		all.Wait()
	})
}

// While a round trip hangs, no other change waits for it.
func TestHangingRoundTripDelaysOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const overtake = 50 * time.Millisecond
		began, hung := time.Now(), make(chan struct{})
		g, err := groupcommit.New(groupcommit.Config[string]{Concurrency: 3, SlowAfter: overtake, Timeout: time.Minute,
			Write: func(_ context.Context, items []string) []error {
				if items[0] == "hangs" {
					<-hung
				}
				return make([]error, len(items))
			}})
		require.NoError(t, err)
		var all sync.WaitGroup
		all.Go(func() { assert.NoError(t, g.Do(t.Context(), "hangs")) })
		synctest.Wait()
		for range 10 {
			require.NoError(t, g.Do(t.Context(), "well"))
			require.Equal(t, overtake, time.Since(began))
		}
		close(hung)
		all.Wait()
	})
}

// A burst gets as many round trips as it fills, and no more.
func TestBurstFillsRoundTrips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 10
		var mu sync.Mutex
		var sizes []int
		answer := make(chan struct{})
		g, err := groupcommit.New(groupcommit.Config[int]{Concurrency: 4, MaxWeight: most, SlowAfter: time.Hour, Timeout: 2 * time.Hour,
			Write: func(_ context.Context, items []int) []error {
				mu.Lock()
				sizes = append(sizes, len(items))
				mu.Unlock()
				<-answer
				return make([]error, len(items))
			}})
		require.NoError(t, err)
		var all sync.WaitGroup
		do := func(n int) {
			for i := range n {
				all.Go(func() { assert.NoError(t, g.Do(t.Context(), i)) })
			}
			synctest.Wait()
		}
		do(1)
		do(2*most + 5)
		mu.Lock()
		slices.Sort(sizes)
		assert.Equal(t, []int{1, most, most}, sizes)
		mu.Unlock()
		close(answer)
		all.Wait()
		assert.Equal(t, []int{1, most, most, 5}, sizes)
	})
}

func TestConfig(t *testing.T) {
	write := func(context.Context, []int) []error { return nil }
	for _, bad := range []groupcommit.Config[int]{
		{Timeout: 1}, {Write: write}, {Write: write, Timeout: -1}, {Write: write, Timeout: 1, Concurrency: -1},
		{Write: write, Timeout: 1, MaxWeight: -1}, {Write: write, Timeout: 1, MaxCallers: -1}, {Write: write, Timeout: 1, SlowAfter: -1},
	} {
		_, err := groupcommit.New(bad)
		require.Error(t, err)
	}
}
