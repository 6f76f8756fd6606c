package eventlog_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// counting counts reads of a log, and fails them when it is told to.
type counting struct {
	*memlog.Log
	reads atomic.Int32
	fail  atomic.Bool
}

func (c *counting) Read(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error) {
	c.reads.Add(1)
	if c.fail.Load() {
		return nil, fault.New(fault.Unavailable, "down")
	}
	return c.Log.Read(ctx, stream, after, limit)
}

func newFollower(t *testing.T) (*eventlog.Follower, *counting) {
	t.Helper()
	log := &counting{Log: memlog.New()}
	f, err := eventlog.NewFollower(eventlog.FollowerConfig{Log: log})
	require.NoError(t, err)
	return f, log
}

// collect follows order-1 until n records have come, and sends the versions.
func collect(ctx context.Context, f *eventlog.Follower, after int64, n int) <-chan []int64 {
	out := make(chan []int64, 1)
	go func() {
		var versions []int64
		for r, err := range f.Follow(ctx, "order-1", after) {
			if err != nil {
				break
			}
			if versions = append(versions, r.Version); len(versions) == n {
				break
			}
		}
		out <- versions
	}()
	return out
}

func TestFollowReturnsExistingAndNewRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, log := newFollower(t)
		head, _, err := f.Append(t.Context(), "order-1", event.Head{}, numbered(1, 3))
		require.NoError(t, err)
		got := collect(t.Context(), f, 1, 4)
		synctest.Wait()
		before := time.Now()
		head, _, err = f.Append(t.Context(), "order-1", head, numbered(4, 4))
		require.NoError(t, err)
		_, _, err = f.Append(t.Context(), "order-1", head, numbered(5, 5))
		require.NoError(t, err)
		require.Equal(t, []int64{2, 3, 4, 5}, <-got)
		require.Zero(t, time.Since(before), "at once")
		require.Equal(t, int32(1), log.reads.Load(), "and without another read")
	})
}

func TestFollowFindsRecordsOfOtherProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, log := newFollower(t)
		got := collect(t.Context(), f, 0, 2)
		time.Sleep(time.Minute) // of the bubble's clock
		require.Less(t, log.reads.Load(), int32(130), "an idle stream costs two reads a second")
		before := time.Now()
		head, _, err := log.Append(t.Context(), "order-1", event.Head{}, numbered(1, 1))
		require.NoError(t, err)
		time.Sleep(eventlog.DefaultPollMax)
		// The follower is quick again after it has found something.
		_, _, err = log.Append(t.Context(), "order-1", head, numbered(2, 2))
		require.NoError(t, err)
		require.Equal(t, []int64{1, 2}, <-got)
		require.LessOrEqual(t, time.Since(before), 2*eventlog.DefaultPollMax)
	})
}

func TestFollowReturnsRecordsOfLostRaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, log := newFollower(t)
		got := collect(t.Context(), f, 0, 2)
		synctest.Wait()
		_, _, err := log.Append(t.Context(), "order-1", event.Head{}, numbered(1, 2))
		require.NoError(t, err)
		_, _, err = f.Append(t.Context(), "order-1", event.Head{}, numbered(3, 3))
		require.ErrorIs(t, err, fault.Concurrency)
		before := time.Now()
		require.Equal(t, []int64{1, 2}, <-got)
		require.Zero(t, time.Since(before))
	})
}

func TestFollowFillsGapsFromTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, log := newFollower(t)
		got := collect(t.Context(), f, 0, 3)
		synctest.Wait()
		head, _, err := log.Append(t.Context(), "order-1", event.Head{}, numbered(1, 2))
		require.NoError(t, err)
		before := time.Now()
		_, _, err = f.Append(t.Context(), "order-1", head, numbered(3, 3))
		require.NoError(t, err)
		require.Equal(t, []int64{1, 2, 3}, <-got)
		require.Zero(t, time.Since(before))
	})
}

func TestSlowWatcherMissesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _ := newFollower(t)
		const records = 1500
		head, _, err := f.Append(t.Context(), "order-1", event.Head{}, numbered(1, 1))
		require.NoError(t, err)
		next := int64(1)
		for r, err := range f.Follow(t.Context(), "order-1", 0) {
			require.NoError(t, err)
			require.Equal(t, next, r.Version)
			if next == records {
				break
			}
			// It is told about far more than it takes before it comes back for more.
			for next == 1 && head.Version < records {
				n := int(head.Version) + 1
				head, _, err = f.Append(t.Context(), "order-1", head, numbered(n, min(n+49, records)))
				require.NoError(t, err)
			}
			next++
		}
	})
}

func TestFollowEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _ := newFollower(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var last error
		for _, err := range f.Follow(ctx, "order-1", 0) {
			last = err
		}
		require.ErrorIs(t, last, fault.Unavailable)
		require.ErrorIs(t, last, context.DeadlineExceeded)
	})
}

func TestFollowEndsWhenTheLogIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, log := newFollower(t)
		log.fail.Store(true)
		var last error
		for _, err := range f.Follow(t.Context(), "order-1", 0) {
			last = err
		}
		require.ErrorIs(t, last, fault.Unavailable)
	})
}

func TestManyFollowersSeeOneOrder(t *testing.T) {
	f, _ := newFollower(t)
	const records, watchers, writers = 60, 20, 3
	results := make([]<-chan []int64, watchers)
	for i := range results {
		results[i] = collect(t.Context(), f, int64(i%3), records-i%3)
	}
	var done sync.WaitGroup
	for w := range writers {
		done.Go(func() {
			var head event.Head
			for n := range records / writers {
				for {
					newest, _, err := f.Append(t.Context(), "order-1", head, numbered(1000*w+n, 1000*w+n))
					head = newest
					if err == nil {
						break
					}
				}
			}
		})
	}
	done.Wait()
	for i, result := range results {
		versions := <-result
		require.Len(t, versions, records-i%3)
		for j, version := range versions {
			require.Equal(t, int64(i%3+j+1), version)
		}
	}
}

func TestFollowerConfig(t *testing.T) {
	for _, bad := range []eventlog.FollowerConfig{
		{}, {Log: memlog.New(), PollMin: -1}, {Log: memlog.New(), PollMin: 2, PollMax: 1},
	} {
		_, err := eventlog.NewFollower(bad)
		require.Error(t, err)
	}
}

func TestWatchNeedsNoReadForLocalAppends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, log := newFollower(t)
		w := f.Watch("order-1")
		defer w.Close()
		// Appended after the watch began, and before anybody follows.
		head, _, err := f.Append(t.Context(), "order-1", event.Head{}, numbered(1, 2))
		require.NoError(t, err)
		versions := make(chan int64, 4)
		go func() {
			for r, err := range w.Follow(t.Context(), 0) {
				if err != nil {
					return
				}
				if versions <- r.Version; r.Version == 4 {
					return
				}
			}
		}()
		require.Equal(t, int64(1), <-versions)
		require.Equal(t, int64(2), <-versions)
		require.Zero(t, log.reads.Load())
		notifiedAt := time.Now()
		head, _, err = log.Append(t.Context(), "order-1", head, numbered(3, 3))
		require.NoError(t, err)
		require.Equal(t, int64(3), <-versions, "what others append is found all the same")
		require.Equal(t, eventlog.DefaultPollMax, time.Since(notifiedAt), "who appends is here: others are not looked for soon")
		require.Equal(t, int32(1), log.reads.Load())
		_, _, err = f.Append(t.Context(), "order-1", head, numbered(4, 4))
		require.NoError(t, err)
		require.Equal(t, int64(4), <-versions)
	})
}

func TestNotifiedFollowerReadsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, log := newFollower(t)
		f.SetNotified(true)
		w := f.Watch("order-1")
		defer w.Close()
		versions := make(chan int64, 4)
		go func() {
			for r, err := range w.Follow(t.Context(), 0) {
				if err != nil {
					return
				}
				if versions <- r.Version; r.Version == 3 {
					return
				}
			}
		}()
		seldom := 4 * eventlog.DefaultPollMax
		before := time.Now()
		head, _, err := log.Append(t.Context(), "order-1", event.Head{}, numbered(1, 1))
		require.NoError(t, err)
		require.Equal(t, int64(1), <-versions, "an append without a notification is found")
		require.Equal(t, seldom, time.Since(before))
		require.Equal(t, int32(1), log.reads.Load())

		head, _, err = log.Append(t.Context(), "order-1", head, numbered(2, 2))
		require.NoError(t, err)
		f.Notify("order-2")
		synctest.Wait()
		require.Equal(t, int32(1), log.reads.Load(), "another stream's")
		before = time.Now()
		f.Notify("order-1")
		require.Equal(t, int64(2), <-versions)
		require.Zero(t, time.Since(before))

		_, _, err = log.Append(t.Context(), "order-1", head, numbered(3, 3))
		require.NoError(t, err)
		require.Equal(t, int64(3), <-versions)
		require.Equal(t, seldom, time.Since(before), "who was told is told again")
	})
}
