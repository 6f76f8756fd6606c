package rabbitmq

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// recoveryBench runs a recovery in a bubble of its own time.
type recoveryBench struct {
	*recovery
	down   atomic.Bool
	fails  atomic.Int64 // how many of the next calls of returnWaiting fail
	probes atomic.Int64
	began  time.Time

	mu    sync.Mutex
	times []time.Duration
}

// returned is when something was returned, since the beginning.
func (b *recoveryBench) returned() []time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.times)
}

func withRecovery(t *testing.T, test func(b *recoveryBench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &recoveryBench{began: time.Now()}
		b.recovery = &recovery{
			every: time.Second, least: 5 * time.Second, most: 5 * time.Minute,
			log: slog.New(slog.DiscardHandler), failed: make(chan struct{}, 1),
			probe: func(context.Context) error {
				b.probes.Add(1)
				if b.down.Load() {
					return errors.New("down")
				}
				return nil
			},
			returnWaiting: func(context.Context) (int, error) {
				if b.fails.Add(-1) >= 0 {
					return 0, errors.New("the broker is away")
				}
				b.mu.Lock()
				defer b.mu.Unlock()
				b.times = append(b.times, time.Since(b.began))
				return 1, nil
			},
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); b.run(ctx) }()
		synctest.Wait()
		test(b)
		cancel()
		<-done
	})
}

// after lets time pass.
func (b *recoveryBench) after(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestWaitingMessagesAreReturnedAtStart(t *testing.T) {
	withRecovery(t, func(b *recoveryBench) {
		require.Equal(t, []time.Duration{0}, b.returned(), "the process that saw the outage may be gone")
		b.after(time.Hour)
		require.Len(t, b.returned(), 1)
		require.EqualValues(t, 1, b.probes.Load(), "while nothing fails, nothing is probed")
	})
}

func TestWaitingMessagesAreReturnedAfterRecovery(t *testing.T) {
	withRecovery(t, func(b *recoveryBench) {
		b.after(time.Minute)
		b.down.Store(true)
		b.noteFailure()
		b.after(10 * time.Minute)
		require.Len(t, b.returned(), 1, "nothing is returned while it is down")
		b.down.Store(false)
		b.after(time.Second)
		require.Equal(t, 11*time.Minute+time.Second, last(b.returned()))
	})
}

// A message that fails while everything answers may fail for reasons of its own: each time it is returned later.
func TestReturnsSlowDownWithoutOutage(t *testing.T) {
	withRecovery(t, func(b *recoveryBench) {
		b.after(time.Hour)
		var gaps []time.Duration
		for range 10 {
			now := time.Since(b.began)
			n := len(b.returned())
			b.noteFailure()
			for len(b.returned()) == n {
				b.after(time.Second)
			}
			gaps = append(gaps, b.returned()[n]-now)
		}
		require.Equal(t, []time.Duration{5, 10, 20, 40, 80, 160, 300, 300, 300, 300}, inSeconds(gaps))
		b.after(6 * time.Minute)
		now := time.Since(b.began)
		b.noteFailure()
		b.after(5 * time.Second)
		require.Equal(t, now+5*time.Second, last(b.returned()), "after a quiet time it begins anew")
	})
}

func last(times []time.Duration) time.Duration { return times[len(times)-1] }

func inSeconds(ds []time.Duration) []time.Duration {
	for i := range ds {
		ds[i] /= time.Second
	}
	return ds
}

// A dependency that comes and goes every second has messages returned every five seconds at most.
func TestFlappingDependencyCausesNoHotLoop(t *testing.T) {
	withRecovery(t, func(b *recoveryBench) {
		for i := range 600 {
			b.down.Store(i%2 == 0)
			b.noteFailure()
			b.after(time.Second)
		}
		returned := b.returned()
		require.Greater(t, len(returned), 2)
		for i, at := range returned[1:] {
			require.GreaterOrEqual(t, at-returned[i], 5*time.Second)
		}
	})
}

func TestFailedReturnIsRetried(t *testing.T) {
	withRecovery(t, func(b *recoveryBench) {
		b.after(time.Minute)
		b.fails.Store(3)
		b.noteFailure()
		b.after(5 * time.Minute)
		require.Len(t, b.returned(), 2)
		require.Negative(t, b.fails.Load())
	})
}

// Attempts before their time do not bring a message nearer to the dead letters, but not without end.
func TestEarlyAttemptsDoNotCount(t *testing.T) {
	down := fault.New(fault.Unavailable, "down")
	v := production().decide(Delivery{FirstSeen: start, Attempts: 11}, down, start)
	require.Equal(t, deadLettered, v.outcome)
	v = production().decide(Delivery{FirstSeen: start, Attempts: 11, Early: 9}, down, start)
	require.Equal(t, redelivered, v.outcome)
	require.Equal(t, 5*time.Minute, v.delay)
	require.Equal(t, 12, v.attempts, "it is counted all the same")
	require.Equal(t, 30*time.Second, production().decide(Delivery{FirstSeen: start, Attempts: 11, Early: 10}, down, start).delay)
	d := Delivery{FirstSeen: start}
	for {
		v := production().decide(d, down, start)
		d.Attempts, d.Early = v.attempts, d.Early+1
		if v.outcome == deadLettered {
			break
		}
	}
	require.Equal(t, 12+maxEarly, d.Attempts)
}
