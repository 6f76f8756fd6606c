package main

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/template"
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
	// Most is how many times as much an operation may cost at the largest size; Judged reports whether the run is held to it.
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
	Longest    int         `json:"longestStream"`
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

// Growth is how many times as much the median of operation i is at the largest size as at the smallest.
func (r *Result) Growth(i int) float64 {
	first, last := r.Sizes[0].Operations[i].Latency.P50, r.Sizes[len(r.Sizes)-1].Operations[i].Latency.P50
	if first == 0 {
		return 0
	}
	return float64(last) / float64(first)
}

// Verdict names the operations that cost more than they should at the largest size.
func (r *Result) Verdict() error {
	if !r.Judged {
		return nil
	}
	var grown []string
	for i, op := range r.Sizes[0].Operations {
		if times := r.Growth(i); times > r.Most {
			grown = append(grown, fmt.Sprintf("%s (%.1f times)", op.Name, times))
		}
	}
	if len(grown) == 0 {
		return nil
	}
	return fmt.Errorf("at %s events these cost more than %.1f times as much as at %s: %s", number(r.Sizes[len(r.Sizes)-1].Events),
		r.Most, number(r.Sizes[0].Events), strings.Join(grown, ", "))
}

//go:embed report.md.tmpl
var tables string

var markdown = template.Must(template.New("").Funcs(template.FuncMap{
	"number": number,
	"cost": func(o Operation) string {
		return fmt.Sprintf("%.2f (%.2f)", millis(o.Latency.P50), millis(o.Latency.P95))
	},
}).Parse(tables))

// Markdown is the result as a table.
func (r *Result) Markdown() (string, error) {
	var b strings.Builder
	err := markdown.Execute(&b, r)
	return b.String(), err
}

// MicrosAnEvent is what it costs to walk the log.
func (w Walk) MicrosAnEvent() float64 { return float64(w.Took.Microseconds()) / float64(w.Events) }

// Rate is how many events a second were filled in.
func (f Fill) Rate() int { return int(f.EventsPerSecond) }

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// number groups the digits of a number.
func number(n int) string {
	digits := []byte(strconv.Itoa(n))
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = slices.Insert(digits, at, ' ')
	}
	return string(digits)
}
