package service

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"

	"github.com/ordersaga/ordersaga/internal/sealed/mongokeys"
)

const (
	// slowCommand is how long a command to MongoDB may take before it is worth a line.
	slowCommand = 500 * time.Millisecond
	// slowText is how much of the command the line shows: what it looks for stands at its beginning.
	slowText = 300
	// slowBytes is how large a command may be to be kept until it has finished; a larger one is an insert.
	slowBytes = 4 << 10
)

// slowCommands logs what MongoDB took long for: a missing index shows here first.
func slowCommands(logger *slog.Logger) *event.CommandMonitor {
	var started sync.Map
	finished := func(ctx context.Context, e event.CommandFinishedEvent) {
		command, _ := started.LoadAndDelete(e.RequestID)
		if e.Duration < slowCommand {
			return
		}
		text := ""
		if raw, kept := command.(bson.Raw); kept {
			text = raw.String()
			text = text[:min(len(text), slowText)]
		}
		logger.LogAttrs(ctx, slog.LevelWarn, "slow database command", slog.String("command", e.CommandName),
			slog.Int64("duration_ms", e.Duration.Milliseconds()), slog.String("text", text))
	}
	return &event.CommandMonitor{
		Started: func(_ context.Context, e *event.CommandStartedEvent) {
			// A copy, because the driver uses its buffer again; it becomes text only when it turns out to be slow. Keys of
			// customers must not.
			if len(e.Command) <= slowBytes && !aboutKeys(e) {
				started.Store(e.RequestID, slices.Clone(e.Command))
			}
		},
		Succeeded: func(ctx context.Context, e *event.CommandSucceededEvent) { finished(ctx, e.CommandFinishedEvent) },
		Failed:    func(ctx context.Context, e *event.CommandFailedEvent) { finished(ctx, e.CommandFinishedEvent) },
	}
}

// aboutKeys reports whether a command is about the customers' keys.
func aboutKeys(e *event.CommandStartedEvent) bool {
	collection, _ := e.Command.Lookup(e.CommandName).StringValueOK()
	return collection == mongokeys.Collection
}
