package mongo

import (
	"context"
	"sync"

	monitor "go.mongodb.org/mongo-driver/v2/event"

	"github.com/ordersaga/ordersaga/internal/trace"
)

// tracedCommands makes a span of each command that is part of a trace. Commands that callers share are part of none: there, each caller has a
// span of its own.
func tracedCommands() *monitor.CommandMonitor {
	var spans sync.Map
	end := func(e monitor.CommandFinishedEvent, err error) {
		if span, ok := spans.LoadAndDelete(e.RequestID); ok {
			span.(trace.Span).End(err)
		}
	}
	return &monitor.CommandMonitor{
		Started: func(ctx context.Context, e *monitor.CommandStartedEvent) {
			if !trace.Recorded(ctx) {
				return
			}
			_, span := trace.Start(ctx, "mongodb "+e.CommandName, trace.Client)
			span.Set("db.system.name", "mongodb")
			span.Set("db.namespace", e.DatabaseName)
			span.Set("db.operation.name", e.CommandName)
			if collection, ok := e.Command.Lookup(e.CommandName).StringValueOK(); ok {
				span.Set("db.collection.name", collection)
			}
			spans.Store(e.RequestID, span)
		},
		Succeeded: func(_ context.Context, e *monitor.CommandSucceededEvent) { end(e.CommandFinishedEvent, nil) },
		Failed:    func(_ context.Context, e *monitor.CommandFailedEvent) { end(e.CommandFinishedEvent, e.Failure) },
	}
}
