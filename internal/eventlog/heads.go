package eventlog

import (
	"context"

	"github.com/ordersaga/ordersaga/event"
)

// HeadsReader reads the newest records of many streams.
type HeadsReader interface {
	// Heads returns the newest record of each stream that is not empty, by the stream's name. Errors: Unavailable.
	Heads(ctx context.Context, streams []string) (map[string]event.Record, error)
}

// Heads calls Heads of a log that has it, and Head for each stream of one that has not.
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
