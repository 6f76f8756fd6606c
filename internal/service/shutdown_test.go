package service

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// hang returns when the process ends, so never as far as a shutdown is concerned.
func hang(ended <-chan struct{}) func(context.Context) error {
	return func(context.Context) error { <-ended; return nil }
}

// TestAShutdownTakesItsGraceAtMost: whatever hangs, in whichever phase, and however many of its parts do.
func TestAShutdownTakesItsGraceAtMost(t *testing.T) {
	for _, grace := range []time.Duration{time.Second, 9 * time.Second, 30 * time.Second, 10 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			ended := make(chan struct{})
			var steps []drainStep
			for p := range phases {
				for range 4 {
					steps = append(steps, drainStep{"hangs", p, hang(ended)})
				}
			}
			began := time.Now()
			err := drain(t.Context(), grace, steps)
			require.LessOrEqual(t, time.Since(began), grace)
			require.ErrorIs(t, err, errNotStopped)
			close(ended)
		})
	}
}

// TestAShutdownWaitsForWhatEndsInTime, in its order, and gives each phase what the others leave.
func TestAShutdownWaitsForWhatEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const grace = 30 * time.Second
		var ended []string
		takes := func(name string, p phase, d time.Duration) drainStep {
			return drainStep{name, p, func(ctx context.Context) error {
				select {
				case <-time.After(d):
				case <-ctx.Done():
					// What is given back takes a moment.
					time.Sleep(500 * time.Millisecond)
					ended = append(ended, name+" is given back")
					return ctx.Err()
				}
				ended = append(ended, name)
				return nil
			}}
		}
		err := drain(t.Context(), grace, []drainStep{
			takes("http", intake, 2*time.Second), takes("consumer", intake, time.Hour), takes("workers", working, 10*time.Second), takes("publisher", closing, 2*time.Second),
		})
		require.Equal(t, []string{"http", "consumer is given back", "workers", "publisher"}, ended)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "consumer: ")

		ended = nil
		require.NoError(t, drain(t.Context(), grace, []drainStep{takes("http", intake, 0), takes("workers", working, 23*time.Second)}))
		require.Equal(t, []string{"http", "workers"}, ended)
	})
}

func TestEveryPhaseHasTime(t *testing.T) {
	for _, grace := range []time.Duration{time.Second, 30 * time.Second, time.Hour} {
		plan := planDrain(grace)
		require.True(t, slices.IsSorted(plan[:]))
		require.Equal(t, grace, plan[closing])
		for p, end := range plan {
			begin := time.Duration(0)
			if p > 0 {
				begin = plan[p-1]
			}
			require.Greater(t, end-begin, slack(grace), "phase %d of %s", p, grace)
		}
		require.Positive(t, workerGrace(grace))
	}
}
