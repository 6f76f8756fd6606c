package mongo

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	monitor "go.mongodb.org/mongo-driver/v2/event"
)

const (
	// slowCommand is how long a command may take before it is worth a line.
	slowCommand = 500 * time.Millisecond
	// slowText is how much of the command the line shows: what it looks for is at its beginning.
	slowText = 300
	// slowBytes is how large a command may be to be kept until it has finished; a larger one is an insert.
	slowBytes = 4 << 10
)

// slowCommands logs what the server took long for: a missing index shows here first.
func slowCommands(logger *slog.Logger) *monitor.CommandMonitor {
	var started sync.Map
	finished := func(ctx context.Context, e monitor.CommandFinishedEvent) {
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
	return &monitor.CommandMonitor{
		Started: func(_ context.Context, e *monitor.CommandStartedEvent) {
			// A copy, because the driver uses its buffer again; it becomes text only when it turns out to be slow. Keys of
			// customers must not.
			collection, _ := e.Command.Lookup(e.CommandName).StringValueOK()
			if len(e.Command) <= slowBytes && collection != KeysCollection {
				started.Store(e.RequestID, slices.Clone(e.Command))
			}
		},
		Succeeded: func(ctx context.Context, e *monitor.CommandSucceededEvent) { finished(ctx, e.CommandFinishedEvent) },
		Failed:    func(ctx context.Context, e *monitor.CommandFailedEvent) { finished(ctx, e.CommandFinishedEvent) },
	}
}
