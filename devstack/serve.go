package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/signal"
	"syscall"

	"github.com/ordersaga/ordersaga/devstack/internal/mongoserver"
	"github.com/ordersaga/ordersaga/devstack/internal/process"
	"github.com/ordersaga/ordersaga/devstack/internal/stack"
	"github.com/ordersaga/ordersaga/devstack/internal/temporalserver"
	"github.com/ordersaga/ordersaga/devstack/internal/webui"
)

// serve is one embedded server: [component, configuration]. It ends with
// SIGTERM, or with the launcher.
func serve(args []string, stderr io.Writer) int {
	if len(args) != 2 {
		fmt.Fprintf(stderr, "devstack: %s is for devstack itself\n", stack.ServeCommand)
		return exitUsage
	}
	process.WatchLifeline()
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	component, configuration := args[0], []byte(args[1])
	var err error
	switch component {
	case stack.Temporal:
		err = decodeAndRun(ctx, configuration, temporalserver.Run)
	case stack.UI:
		err = decodeAndRun(ctx, configuration, webui.Run)
	case stack.MongoDB:
		err = decodeAndRun(ctx, configuration, mongoserver.Run)
	default:
		err = fmt.Errorf("no embedded server for %q", component)
	}
	if err != nil {
		fmt.Fprintf(stderr, "devstack: %v\n", err)
		return 1
	}
	return 0
}

func decodeAndRun[Config any](ctx context.Context, text []byte, run func(context.Context, Config) error) error {
	var cfg Config
	if err := json.Unmarshal(text, &cfg); err != nil {
		return fmt.Errorf("decode configuration: %w", err)
	}
	return run(ctx, cfg)
}
