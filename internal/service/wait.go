package service

import (
	"context"
	"log/slog"
	"time"
)

const (
	// probeTimeout bounds one look at a dependency.
	probeTimeout = 5 * time.Second
	// probePause is the pause between two looks.
	probePause = 500 * time.Millisecond
	// patience is how long it is waited before anything is said.
	patience = 2 * time.Second
	// sayAgain is how often it is said what is being waited for.
	sayAgain = 5 * time.Second
)

// await waits until a dependency answers, and says for what it waits. It ends with the context only: who starts
// a service before its dependencies wants it to wait.
func await(ctx context.Context, logger *slog.Logger, name, where string, probe func(context.Context) error) error {
	started := time.Now()
	// Not at the first look: most dependencies are there a moment later.
	said := started.Add(patience - sayAgain)
	for {
		attempt, cancel := context.WithTimeout(ctx, probeTimeout)
		err := probe(attempt)
		cancel()
		if err == nil {
			logger.LogAttrs(ctx, slog.LevelInfo, "dependency is there", slog.String("dependency", name),
				slog.String("address", where), slog.Int64("after_ms", time.Since(started).Milliseconds()))
			return nil
		}
		if time.Since(said) >= sayAgain {
			said = time.Now()
			logger.LogAttrs(ctx, slog.LevelWarn, "waiting for dependency", slog.String("dependency", name),
				slog.String("address", where), slog.Any("error", err))
		}
		timer := time.NewTimer(probePause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}
