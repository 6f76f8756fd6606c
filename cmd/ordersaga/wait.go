package main

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
	// sayAgain is how often it is said what is being waited for.
	sayAgain = 5 * time.Second
)

// await waits until a dependency answers, and says for what it waits. It ends with the context only: who starts
// a service before its dependencies wants it to wait.
func await(ctx context.Context, logger *slog.Logger, name, where string, probe func(context.Context) error) error {
	started, said := time.Now(), time.Time{}
	for {
		attempt, cancel := context.WithTimeout(ctx, probeTimeout)
		err := probe(attempt)
		cancel()
		if err == nil {
			logger.LogAttrs(ctx, slog.LevelInfo, "dependency is there", slog.String("dependency", name),
				slog.String("address", where), slog.Duration("after", time.Since(started).Round(time.Millisecond)))
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
