// Package stats is the arithmetic of the benchmark: percentiles of exact samples, medians with their spread, ratios
// that are paired by round, and the timetable of an open loop. It imports the standard library only.
package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Percentile is the smallest sample that at least the share q (0 to 1) of all samples do not exceed: the nearest rank.
// It is always a sample that was measured, never a value between two. Samples need not be sorted; without any it is 0.
func Percentile(samples []time.Duration, q float64) time.Duration {
	if len(samples) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(samples))
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// Latency are the percentiles of one set of samples.
type Latency struct {
	Samples int           `json:"samples"`
	P50     time.Duration `json:"p50Nanos"`
	P95     time.Duration `json:"p95Nanos"`
	P99     time.Duration `json:"p99Nanos"`
	Max     time.Duration `json:"maxNanos"`
}

// LatencyOf computes them.
func LatencyOf(samples []time.Duration) Latency {
	return Latency{
		Samples: len(samples), P50: Percentile(samples, 0.50), P95: Percentile(samples, 0.95),
		P99: Percentile(samples, 0.99), Max: Percentile(samples, 1),
	}
}

// Spread is the median of some rounds, and how far they went apart.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	// Rounds is how many there were; 0 when there is nothing to say.
	Rounds int `json:"rounds"`
}

// SpreadOf returns the spread of values. Of an even number of them the median is the mean of the two in the middle.
func SpreadOf(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	median := sorted[middle]
	if len(sorted)%2 == 0 {
		median = (sorted[middle-1] + sorted[middle]) / 2
	}
	return Spread{Median: median, Min: sorted[0], Max: sorted[len(sorted)-1], Rounds: len(sorted)}
}

// Ratios divides what was measured by the base of the same round: what slowed the machine down in one round slowed both.
// A round in which either is missing takes no part.
func Ratios(measured, base map[int]float64) Spread {
	var ratios []float64
	for round, m := range measured {
		if b := base[round]; b > 0 && m > 0 {
			ratios = append(ratios, m/b)
		}
	}
	return SpreadOf(ratios)
}

// Timetable says when each of n orders comes, counted from the start, at a rate of perSecond on average. Customers do not
// wait for each other: the gaps between them are exponential, drawn from the seed.
func Timetable(n int, perSecond float64, seed uint64) []time.Duration {
	random := rand.New(rand.NewPCG(seed, 0x6f70656e))
	times := make([]time.Duration, n)
	var at float64
	for i := range times {
		at += random.ExpFloat64() / perSecond
		times[i] = time.Duration(at * float64(time.Second))
	}
	return times
}
