package mongolog

import (
	"context"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ordersaga/ordersaga/internal/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// beginning is a question for the first record of a stream: is there such a stream, and what is it about? Whoever places
// an order asks it, and whoever tells its customer of the end, so that questions share round trips as inserts do.
type beginning struct {
	stream string
	// The answer is for the caller whom the group has told that there is one.
	record event.Record
	found  bool
	err    error
}

// first reads the first record of a stream. Errors: as for Read.
func (l *Log) first(ctx context.Context, stream string) (event.Record, bool, error) {
	q := &beginning{stream: stream}
	if err := l.beginnings.Do(ctx, q); err != nil {
		return event.Record{}, false, unavailable(ctx, err, "read stream %s", stream)
	}
	return q.record, q.found, q.err
}

// readFirsts answers questions in one round trip. It asks for second records too: a stream without its first is damaged.
func (l *Log) readFirsts(ctx context.Context, asked []*beginning) []error {
	of := make(map[string][]*beginning, len(asked))
	for _, q := range asked {
		of[q.stream] = append(of[q.stream], q)
	}
	var ids, streams []string
	for stream := range of {
		ids, streams = append(ids, documentID(stream, 1), documentID(stream, 2)), append(streams, stream)
	}
	err := l.findFirsts(ctx, ids, streams, func(stream string, r event.Record, err error) {
		for _, q := range of[stream] {
			if !q.found {
				q.record, q.found, q.err = r, err == nil, err
			}
		}
	})
	return slices.Repeat([]error{err}, len(asked))
}

// findFirsts tells what is found. The streams tell a sharded cluster which shards to ask.
func (l *Log) findFirsts(ctx context.Context, ids, streams []string, tell func(stream string, r event.Record, err error)) error {
	cursor, err := l.events.Find(ctx, bson.D{{Key: "_id", Value: oneOf(ids)}, {Key: "stream", Value: oneOf(streams)}},
		options.Find().SetBatchSize(int32(len(ids))+1)) // all in one answer
	if err != nil {
		return err
	}
	defer func() { _ = cursor.Close(context.WithoutCancel(ctx)) }()
	for cursor.Next(ctx) {
		stream, _ := cursor.Current.Lookup("stream").StringValueOK()
		r, err := decode(cursor.Current)
		if err == nil && r.Version != 1 {
			err = fault.New(fault.Corrupt, "stream %s has version %d where 1 should be", stream, r.Version)
		}
		tell(stream, r, err)
	}
	return cursor.Err()
}

func oneOf(values []string) any {
	if len(values) == 1 {
		return values[0]
	}
	return bson.D{{Key: "$in", Value: values}}
}
