package main

import (
	"fmt"
	"os"

	"github.com/ordersaga/ordersaga/bench/internal/bar"
	"github.com/ordersaga/ordersaga/bench/internal/report"
)

// progress shows the progress of a run: a bar on a terminal, and a line for each result everywhere.
type progress struct{ bar *bar.Bar }

func newProgress(out *os.File, total int) *progress { return &progress{bar.New(out, total)} }

// name is what a round is called.
func name(round int) string {
	if round == 0 {
		return "counting"
	}
	return fmt.Sprintf("round %d", round)
}

// step counts one piece of work.
func (p *progress) step() { p.bar.Step(1) }

// doing names the next step.
func (p *progress) doing(round int, scenario string) { p.bar.Doing(name(round) + ", " + scenario) }

// done prints a result.
func (p *progress) done(round int, scenario string, r report.Round) {
	p.bar.Line("%-9s %-14s %8.1f/s  p50 %7.1f ms  p99 %7.1f ms  %5.1f s", name(round), scenario, r.PerSecond,
		r.Latency.P50.Seconds()*1000, r.Latency.P99.Seconds()*1000, r.Elapsed.Seconds())
}

func (p *progress) end() { p.bar.End() }
