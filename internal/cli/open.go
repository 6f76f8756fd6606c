package cli

import (
	"context"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/ordersaga/ordersaga/internal/config"
	"github.com/ordersaga/ordersaga/internal/service"
)

// with loads the settings, opens the parts of the service that a command works on, and closes them when use has returned.
func with(
	cmd *cobra.Command, logger func(config.Config) *slog.Logger, parts service.Parts, use func(ctx context.Context, s *service.Service) error,
) error {
	cfg, err := config.Load(os.Environ())
	if err != nil {
		return err
	}
	s, err := service.Open(cmd.Context(), cfg, logger(cfg), parts)
	if err != nil {
		return err
	}
	defer s.Close()
	return use(cmd.Context(), s)
}

// quietLogger is for commands whose output people read: it logs what is wrong, and what is waited for.
func quietLogger(cmd *cobra.Command) func(config.Config) *slog.Logger {
	return func(config.Config) *slog.Logger {
		return slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
}
