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
	// slowCommand is the duration from which a command is logged.
	slowCommand = 500 * time.Millisecond
	// slowText is the number of bytes of the command in the log; filters are at its beginning.
	slowText = 300
	// slowBytes is the largest command that is copied for the log; larger ones are inserts.
	slowBytes = 4 << 10
)

// slowCommands logs slow commands, such as queries without an index.
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
			// A copy, because the driver reuses its buffer. Customers' keys must not be logged.
			collection, _ := e.Command.Lookup(e.CommandName).StringValueOK()
			if len(e.Command) <= slowBytes && collection != KeysCollection {
				started.Store(e.RequestID, slices.Clone(e.Command))
			}
		},
		Succeeded: func(ctx context.Context, e *monitor.CommandSucceededEvent) { finished(ctx, e.CommandFinishedEvent) },
		Failed:    func(ctx context.Context, e *monitor.CommandFailedEvent) { finished(ctx, e.CommandFinishedEvent) },
	}
}
