package stats_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/bench/internal/stats"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestPercentiles(t *testing.T) {
	samples := make([]time.Duration, 100)
	for i := range samples {
		samples[99-i] = time.Duration(i + 1)
	}
	l := stats.LatencyOf(samples)
	require.Equal(t, stats.Latency{Samples: 100, P50: 50, P95: 95, P99: 99, Max: 100}, l)
	require.Equal(t, time.Duration(100), samples[0], "the samples stay in their order")

	require.Zero(t, stats.Percentile(nil, 0.5))
	require.Equal(t, time.Duration(7), stats.Percentile([]time.Duration{7}, 0.01))
	require.Equal(t, time.Duration(9), stats.Percentile([]time.Duration{7, 9, 8}, 0.99))
	require.Equal(t, time.Duration(7), stats.Percentile([]time.Duration{7, 9, 8}, 0))
}

// What a percentile promises: at least that share is not above it, and with one sample less it would not be so.
func TestPercentileIsSmallestCoveringValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(0, 50), 1, 60).Draw(t, "values")
		q := rapid.Float64Range(0.001, 1).Draw(t, "q")
		samples := make([]time.Duration, len(values))
		for i, v := range values {
			samples[i] = time.Duration(v)
		}
		p := stats.Percentile(samples, q)
		if !slices.Contains(samples, p) {
			t.Fatalf("%d was never measured", p)
		}
		upTo, below := 0, 0
		for _, s := range samples {
			if s <= p {
				upTo++
			}
			if s < p {
				below++
			}
		}
		need := int(math.Ceil(q * float64(len(samples))))
		if upTo < need || below >= need {
			t.Fatalf("%d samples are up to %d and %d below it; %d are needed", upTo, p, below, need)
		}
	})
}

func TestMedians(t *testing.T) {
	require.Equal(t, stats.Spread{Median: 3, Min: 1, Max: 9, Rounds: 3}, stats.SpreadOf([]float64{9, 1, 3}))
	require.Equal(t, stats.Spread{Median: 2.5, Min: 1, Max: 4, Rounds: 4}, stats.SpreadOf([]float64{4, 1, 3, 2}))
	require.Equal(t, stats.Spread{}, stats.SpreadOf(nil))
}

// The machine was half as fast in the second round; the ratio does not notice.
func TestRatiosArePairedByRound(t *testing.T) {
	base := map[int]float64{1: 100, 2: 50, 3: 80}
	measured := map[int]float64{1: 60, 2: 30, 3: 40, 4: 1000}
	require.Equal(t, stats.Spread{Median: 0.6, Min: 0.5, Max: 0.6, Rounds: 3}, stats.Ratios(measured, base))
	require.Zero(t, stats.Ratios(measured, map[int]float64{1: 0}).Rounds)
}

func TestSchedule(t *testing.T) {
	times := stats.Timetable(5000, 100, 7)
	require.True(t, slices.IsSorted(times))
	require.InEpsilon(t, 50*time.Second, times[len(times)-1], 0.1, "5,000 orders at 100 a second take 50 s")
	require.Equal(t, times, stats.Timetable(5000, 100, 7), "the seed decides")
	require.NotEqual(t, times, stats.Timetable(5000, 100, 8))
}
