package service

import (
	"log/slog"
	"os"

	tlog "go.temporal.io/sdk/log"

	"github.com/ordersaga/ordersaga/internal/config"
	"github.com/ordersaga/ordersaga/internal/trace"
)

// NewLogger makes the process's logger. Lines that are logged about a trace, or a saga, say which.
func NewLogger(c config.Config) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat.For(os.Stderr) == config.LogText {
		return slog.New(trace.Logged(slog.NewTextHandler(os.Stderr, options)))
	}
	return slog.New(trace.Logged(slog.NewJSONHandler(os.Stderr, options)))
}

// temporalLogger is the SDK's logger: what it calls information is detail here.
func temporalLogger(l *slog.Logger) tlog.Logger {
	return quieter{tlog.NewStructuredLogger(l)}
}

type quieter struct{ tlog.Logger }

func (q quieter) Info(message string, keyvals ...any) { q.Debug(message, keyvals...) }

// With keeps the quieter level of loggers that are made from this one.
func (q quieter) With(keyvals ...any) tlog.Logger { return quieter{tlog.With(q.Logger, keyvals...)} }

// WithCallerSkip implements log.WithSkipCallers; callers are not logged.
func (q quieter) WithCallerSkip(int) tlog.Logger { return q }
