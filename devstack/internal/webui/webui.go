// Package webui runs the Temporal Web UI inside this process.
package webui

import (
	"context"
	"fmt"

	"github.com/temporalio/ui-server/v2/server"
	"github.com/temporalio/ui-server/v2/server/api"
	"github.com/temporalio/ui-server/v2/server/config"
	"github.com/temporalio/ui-server/v2/server/headers"
	"github.com/temporalio/ui-server/v2/server/server_options"
)

// Config says where the Web UI listens, always on loopback, and which Temporal server it shows.
type Config struct {
	Port int `json:"port"`
	// Temporal is the address of the server's gRPC API. The server may start later.
	Temporal  string `json:"temporal"`
	Namespace string `json:"namespace"`
}

// Run serves until the context ends.
func Run(ctx context.Context, cfg Config) error {
	ui := server.NewServer(
		server_options.WithConfigProvider(&config.Config{
			TemporalGRPCAddress: cfg.Temporal,
			Host:                "127.0.0.1",
			Port:                cfg.Port,
			EnableUI:            true,
			DefaultNamespace:    cfg.Namespace,
			DisableNewsFetch:    true,
			HideLogs:            true,
			CORS:                config.CORS{CookieInsecure: true}, // plain HTTP on loopback
		}),
		server_options.WithAPIMiddleware([]api.Middleware{headers.WithForwardHeaders(nil)}),
	)
	ended := make(chan error, 1)
	go func() { ended <- ui.Start() }()
	select {
	case <-ctx.Done():
		ui.Stop()
		<-ended
		return nil
	case err := <-ended:
		return fmt.Errorf("web ui: %w", err)
	}
}
