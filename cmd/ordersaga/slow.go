package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/event"
)

const (
	// slowCommand is how long a command to MongoDB may take before it is worth a line.
	slowCommand = 500 * time.Millisecond
	// slowText is how much of the command the line shows: what it looks for stands at its beginning.
	slowText = 300
)

// slowCommands logs what MongoDB took long for: a missing index shows here first.
func slowCommands(logger *slog.Logger) *event.CommandMonitor {
	var started sync.Map
	finished := func(ctx context.Context, e event.CommandFinishedEvent) {
		command, _ := started.LoadAndDelete(e.RequestID)
		if e.Duration < slowCommand {
			return
		}
		text, _ := command.(string)
		logger.LogAttrs(ctx, slog.LevelWarn, "slow database command", slog.String("command", e.CommandName),
			slog.Int64("duration_ms", e.Duration.Milliseconds()), slog.String("text", text))
	}
	return &event.CommandMonitor{
		Started: func(_ context.Context, e *event.CommandStartedEvent) {
			text := e.Command.String()
			started.Store(e.RequestID, text[:min(len(text), slowText)])
		},
		Succeeded: func(ctx context.Context, e *event.CommandSucceededEvent) { finished(ctx, e.CommandFinishedEvent) },
		Failed:    func(ctx context.Context, e *event.CommandFailedEvent) { finished(ctx, e.CommandFinishedEvent) },
	}
}
