// Command bench measures ordersaga. `make bench` runs it under devstack, or against the servers that the environment
// names (DEVSTACK_EXTERNAL); see docs/how-to/benchmark.md.
//
// It compares, in one run: the floor, which is an empty workflow on the same server; the same saga written naively; and
// the service itself, as processes of its own that are driven from outside. Rounds are interleaved, so that what slows the
// machine down hits everything alike. A run in which an order is lost, doubled or ends as it must not, fails.
package main

import (
	"context"
	"os"
	"runtime/debug"

	"github.com/ordersaga/ordersaga/bench/internal/command"
)

func main() { command.Main("bench", run) }

func run(ctx context.Context, args []string) error {
	o, err := parse(args, os.Stderr)
	if err != nil {
		return err
	}
	// The floor and the naive sagas run in this process, and the log by itself: they are collected as rarely as the service.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(200)
	}
	r, err := newRunner(o)
	if err != nil {
		return err
	}
	result, err := r.run(ctx)
	if err != nil {
		return err
	}
	return command.Leave(o.out, "bench", result)
}
