package eventlog

import (
	"context"

	"github.com/ordersaga/ordersaga/event"
)

// HeadsReader reads the newest record of many streams.
type HeadsReader interface {
	// Heads returns the newest record of each non-empty stream, by stream name. Errors: Unavailable.
	Heads(ctx context.Context, streams []string) (map[string]event.Record, error)
}

// Heads calls Heads of log if it is a HeadsReader, otherwise Head for each stream.
func Heads(ctx context.Context, log Reader, streams []string) (map[string]event.Record, error) {
	if many, ok := log.(HeadsReader); ok {
		return many.Heads(ctx, streams)
	}
	found := make(map[string]event.Record, len(streams))
	for _, stream := range streams {
		r, ok, err := log.Head(ctx, stream)
		if err != nil {
			return nil, err
		}
		if ok {
			found[stream] = r
		}
	}
	return found, nil
}

// Heads implements HeadsReader.
func (f *Follower) Heads(ctx context.Context, streams []string) (map[string]event.Record, error) {
	return Heads(ctx, f.log, streams)
}
