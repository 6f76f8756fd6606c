// Command bench measures ordersaga. `make bench` runs it under devstack, or against the servers that the environment
// names (DEVSTACK_EXTERNAL); see docs/benchmark.md.
//
// It compares, in one run: the floor, which is an empty workflow on the same server; the same saga written naively; and
// the service itself, as processes of its own that are driven from outside. Rounds are interleaved, so that what slows the
// machine down hits everything alike. A run in which an order is lost, doubled or ends as it must not, fails.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/ordersaga/ordersaga/bench/internal/report"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args, os.Stderr)
	if err != nil {
		return err
	}
	r, err := newRunner(o)
	if err != nil {
		return err
	}
	result, err := r.run(ctx)
	if err != nil {
		return err
	}
	if err := write(o.out, result); err != nil {
		return err
	}
	fmt.Println(result.Markdown())
	fmt.Fprintf(os.Stderr, "written to %s: bench.json, bench.md, bench.svg\n", o.out)
	return nil
}

// write writes the report in all its forms.
func write(folder string, r *report.Report) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	for name, text := range map[string]string{"bench.json": string(data) + "\n", "bench.md": r.Markdown(), "bench.svg": r.SVG()} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
