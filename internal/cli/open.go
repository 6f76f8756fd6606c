package cli

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/ordersaga/ordersaga/event"
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
	s, err := service.Open(cmd.Context(), cfg, logger(cfg), parts, addedFlows(cmd.Context())...)
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

// everyPage reads a list page by page. The result is never nil: JSON has [] for an empty list.
func everyPage[T any](page func(cursor string) (items []T, next string, err error)) ([]T, error) {
	all := []T{}
	for cursor := ""; ; {
		items, next, err := page(cursor)
		if err != nil {
			return nil, err
		}
		all = append(all, items...)
		if cursor = next; cursor == "" {
			return all, nil
		}
	}
}

// duration is the value of a flag: a duration as the settings have it.
type duration time.Duration

func (d *duration) String() string {
	if *d == 0 {
		return ""
	}
	return config.FormatDuration(time.Duration(*d))
}

func (d *duration) Set(value string) error {
	if value == "" {
		*d = 0
		return nil
	}
	parsed, err := config.ParseDuration(value)
	if err != nil || parsed <= 0 {
		return errors.New("expected a duration above zero, such as 90s, 5m or 2d")
	}
	*d = duration(parsed)
	return nil
}

func (*duration) Type() string { return "string" }

func jsonFlag(cmd *cobra.Command, asJSON *bool, usage string) {
	cmd.Flags().BoolVar(asJSON, "json", false, usage)
}

// byFlag adds --by, whose default is the user that runs the command when that is a valid ID.
func byFlag(cmd *cobra.Command, by *string) {
	user := os.Getenv("USER")
	if !event.ValidToken(user) {
		user = ""
	}
	cmd.Flags().StringVar(by, "by", user, "the person who decides")
}
