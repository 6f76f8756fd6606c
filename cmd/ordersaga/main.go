// Command ordersaga runs order sagas: the REST API, the Temporal workers and the event consumer, together or
// each on its own.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/ordersaga/ordersaga/internal/cli"
)

// version is set by the build: -ldflags "-X main.version=…".
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	// The first signal drains; a second one finds the default handler and ends the process at once.
	context.AfterFunc(ctx, stop)
	code := cli.Run(ctx, version)
	stop()
	os.Exit(code)
}
