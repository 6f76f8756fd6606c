package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/ordersaga/ordersaga/bench/internal/report"
)

// progress shows how far a run has come: a bar on a terminal, and a line for each result everywhere.
type progress struct {
	out      *os.File
	terminal bool
	began    time.Time

	mu          sync.Mutex
	pieces      int
	total       int
	label       string
	drawn       time.Time
	barOnScreen bool
}

// redraw is how often the bar is drawn at most.
const redraw = 200 * time.Millisecond

// barWidth is how many characters the bar has.
const barWidth = 30

func newProgress(out *os.File, total int) *progress {
	info, err := out.Stat()
	return &progress{out: out, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0, began: time.Now(), total: total}
}

// step counts one piece of work.
func (p *progress) step() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pieces++
	if p.terminal && time.Since(p.drawn) >= redraw {
		p.drawn, p.barOnScreen = time.Now(), true
		fmt.Fprintf(p.out, "\r\x1b[K%s", bar(p.pieces, p.total, time.Since(p.began), p.label))
	}
}

// bar is the bar as text.
func bar(pieces, total int, took time.Duration, label string) string {
	share := min(float64(pieces)/float64(max(total, 1)), 1)
	full := int(share * barWidth)
	left := "?"
	if share > 0.02 {
		left = time.Duration(float64(took) * (1 - share) / share).Round(time.Second).String()
	}
	return fmt.Sprintf("%s%s %3.0f %%, %s left, %s", strings.Repeat("█", full), strings.Repeat("░", barWidth-full), share*100, left, label)
}

// name is what a round is called.
func name(round int) string {
	if round == 0 {
		return "counting"
	}
	return fmt.Sprintf("round %d", round)
}

// doing says what comes next.
func (p *progress) doing(round int, scenario string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.label = name(round) + ", " + scenario
}

// done prints a result.
func (p *progress) done(round int, scenario string, r report.Round) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wipe()
	fmt.Fprintf(p.out, "%-9s %-14s %8.1f/s  p50 %7.1f ms  p99 %7.1f ms  %5.1f s\n", name(round), scenario, r.PerSecond,
		r.Latency.P50.Seconds()*1000, r.Latency.P99.Seconds()*1000, r.Elapsed.Seconds())
}

func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wipe()
}

// wipe takes the bar off the screen.
func (p *progress) wipe() {
	if p.barOnScreen {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.barOnScreen = false
	}
}
