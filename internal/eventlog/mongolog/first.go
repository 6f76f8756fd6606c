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

// readFirsts answers questions in one round trip. It asks for second records too: a stream that has one and no first is
// damaged.
func (l *Log) readFirsts(ctx context.Context, asked []*beginning) []error {
	type place struct {
		stream  string
		version int64
	}
	of, places := make(map[string][]*beginning, len(asked)), make(map[string]place, 2*len(asked))
	var ids, streams []string
	for _, q := range asked {
		if of[q.stream] == nil {
			streams = append(streams, q.stream)
			for _, version := range []int64{1, 2} {
				id := documentID(q.stream, version)
				ids, places[id] = append(ids, id), place{q.stream, version}
			}
		}
		of[q.stream] = append(of[q.stream], q)
	}
	headless := make(map[string]bool)
	err := l.findByID(ctx, ids, streams, func(raw bson.Raw) {
		id, _ := raw.Lookup("_id").StringValueOK()
		at := places[id]
		if at.version == 2 {
			headless[at.stream] = true
			return
		}
		r, err := stored(raw)
		if err == nil && r.Stream != at.stream {
			err = fault.New(fault.Corrupt, "version %d of stream %s has the _id %q", r.Version, r.Stream, id)
		}
		for _, q := range of[at.stream] {
			q.record, q.found, q.err = r, err == nil, err
		}
	})
	for stream := range headless {
		for _, q := range of[stream] {
			if !q.found && q.err == nil {
				q.err = fault.New(fault.Corrupt, "stream %s has version 2 where 1 should be", stream)
			}
		}
	}
	return slices.Repeat([]error{err}, len(asked))
}

// findByID finds documents by the index of _id: any other would read all of a stream, which may be long. The streams tell a
// sharded cluster which shards to ask.
func (l *Log) findByID(ctx context.Context, ids, streams []string, take func(bson.Raw)) error {
	filter := bson.D{{Key: "_id", Value: oneOf(ids)}, {Key: "stream", Value: oneOf(streams)}}
	opts := options.Find().SetHint(bson.D{{Key: "_id", Value: 1}}).SetBatchSize(int32(len(ids)) + 1)
	cursor, err := l.events.Find(ctx, filter, opts)
	if err != nil {
		return err
	}
	defer func() { _ = cursor.Close(context.WithoutCancel(ctx)) }()
	for cursor.Next(ctx) {
		take(cursor.Current)
	}
	return cursor.Err()
}

func oneOf(values []string) any {
	if len(values) == 1 {
		return values[0]
	}
	return bson.D{{Key: "$in", Value: values}}
}
