// Command ordersaga runs order sagas: the REST API, the Temporal workers and the event consumer, together or
// each on its own. This package wires adapters to the packages that need them; it decides nothing.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/ordersaga/ordersaga/internal/config"
)

// version is set by the build: -ldflags "-X main.version=…".
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	// The first signal drains; a second one finds the default handler and ends the process at once.
	context.AfterFunc(ctx, stop)
	err := root().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "ordersaga:", err)
		var wrong *config.Error
		if errors.As(err, &wrong) {
			os.Exit(2)
		}
		os.Exit(1)
	}
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "ordersaga",
		Short:         "Runs every order as a durable saga",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	for _, r := range []struct {
		use, short string
		roles      roles
	}{
		{"serve", "Run the API, the workers and the consumer in one process", roles{api: true, worker: true, consumer: true}},
		{"api", "Run the REST API", roles{api: true}},
		{"worker", "Run the Temporal workers of WORKER_QUEUES", roles{worker: true}},
		{"consumer", "Run the event consumer", roles{consumer: true}},
	} {
		cmd.AddCommand(&cobra.Command{
			Use: r.use, Short: r.short, Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), r.roles) },
		})
	}
	cmd.AddCommand(configCommand(), rebuildCommand(), healthCommand())
	return cmd
}

func configCommand() *cobra.Command {
	return &cobra.Command{
		Use: "config", Short: "Print the effective settings, secrets masked", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config.Load(os.Environ())
			if err != nil {
				return err
			}
			return c.Print(cmd.OutOrStdout())
		},
	}
}
