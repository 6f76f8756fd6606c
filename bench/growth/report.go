package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ordersaga/ordersaga/bench/internal/stats"
)

// Result is a run.
type Result struct {
	Began   time.Time     `json:"began"`
	Took    time.Duration `json:"tookNanos"`
	Command string        `json:"command"`
	Seed    uint64        `json:"seed"`
	Samples int           `json:"samples"`
	Commit  string        `json:"commit,omitempty"`
	Machine string        `json:"machine"`
	Server  string        `json:"server"`
	// Most is how many times as much an operation may cost at the largest size; Judged tells that the run is held to it.
	Most   float64 `json:"most"`
	Judged bool    `json:"judged"`
	Sizes  []Size  `json:"sizes"`
}

// Size is what was measured at one size.
type Size struct {
	Events int `json:"events"`
	SKUs   int `json:"skus"`
	Orders int `json:"orders"`
	// Longest is how many events the longest stream had.
	Longest    int64       `json:"longestStream"`
	Operations []Operation `json:"operations"`
	Walk       Walk        `json:"walk"`
	Fill       Fill        `json:"fill"`
}

// Operation is what one operation cost.
type Operation struct {
	Name    string        `json:"name"`
	Latency stats.Latency `json:"latency"`
}

// String is the line that a run prints when a size was measured.
func (s Size) String() string {
	return fmt.Sprintf("%9s events measured; the log was walked and verified in %s, %.0f events a second", number(s.Events),
		s.Walk.Took.Round(10*time.Millisecond), s.Walk.EventsPerSecond)
}

// growth is how many times as much the median of operation i is at the largest size as at the smallest.
func (r *Result) growth(i int) float64 {
	first, last := r.Sizes[0].Operations[i].Latency.P50, r.Sizes[len(r.Sizes)-1].Operations[i].Latency.P50
	if first == 0 {
		return 0
	}
	return float64(last) / float64(first)
}

// verdict names the operations that cost more than they should at the largest size.
func (r *Result) verdict() error {
	if !r.Judged {
		return nil
	}
	var grown []string
	for i, op := range r.Sizes[0].Operations {
		if times := r.growth(i); times > r.Most {
			grown = append(grown, fmt.Sprintf("%s (%.1f times)", op.Name, times))
		}
	}
	if len(grown) == 0 {
		return nil
	}
	return fmt.Errorf("at %s events these cost more than %.1f times as much as at %s: %s", number(r.Sizes[len(r.Sizes)-1].Events),
		r.Most, number(r.Sizes[0].Events), strings.Join(grown, ", "))
}

// Markdown is the result as a table.
func (r *Result) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Medians (95th percentiles) of %d samples each, in milliseconds, one at a time. %s; %s.\n\n", r.Samples, r.Server, r.Machine)
	b.WriteString("| |")
	for _, s := range r.Sizes {
		fmt.Fprintf(&b, " %s events |", number(s.Events))
	}
	b.WriteString(" growth |\n|---|" + strings.Repeat("---:|", len(r.Sizes)+1) + "\n")
	r.counts(&b, "orders", func(s Size) string { return number(s.Orders) })
	r.counts(&b, "SKUs", func(s Size) string { return number(s.SKUs) })
	r.counts(&b, "events in the longest stream", func(s Size) string { return number(int(s.Longest)) })
	for i, op := range r.Sizes[0].Operations {
		fmt.Fprintf(&b, "| %s |", op.Name)
		for _, s := range r.Sizes {
			l := s.Operations[i].Latency
			fmt.Fprintf(&b, " %.2f (%.2f) |", millis(l.P50), millis(l.P95))
		}
		fmt.Fprintf(&b, " × %.2f |\n", r.growth(i))
	}
	r.counts(&b, "walk and verify the whole log, µs an event", func(s Size) string {
		return fmt.Sprintf("%.0f", float64(s.Walk.Took.Microseconds())/float64(s.Walk.Events))
	})
	r.counts(&b, "fill, events/s", func(s Size) string { return number(int(s.Fill.EventsPerSecond)) })
	fmt.Fprintf(&b, "\n`%s`, %s", r.Command, r.Took.Round(time.Second))
	switch {
	case !r.Judged:
		b.WriteString(". Not judged: there is nothing to compare, or the server, FerretDB 1, finds records by `_id` alone.\n")
	case r.verdict() != nil:
		fmt.Fprintf(&b, ". %s.\n", r.verdict())
	default:
		fmt.Fprintf(&b, ". Nothing costs more than %.1f times as much at the largest size as at the smallest.\n", r.Most)
	}
	return b.String()
}

// counts is a row that is no operation.
func (r *Result) counts(b *strings.Builder, name string, of func(Size) string) {
	fmt.Fprintf(b, "| %s |", name)
	for _, s := range r.Sizes {
		fmt.Fprintf(b, " %s |", of(s))
	}
	b.WriteString(" |\n")
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// number groups the digits of a number.
func number(n int) string {
	digits := []byte(strconv.Itoa(n))
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = slices.Insert(digits, at, ' ')
	}
	return string(digits)
}
