package mongolog

import (
	"context"
	"errors"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ordersaga/ordersaga/event"
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
	if errors.Is(q.err, fault.ErrMissing) {
		q.err = l.certainly(func(from *mongo.Collection) (err error) {
			q.record, q.found, err = l.getFrom(ctx, from, stream, 1)
			if err == nil && !q.found {
				err = q.err
			}
			return err
		})
	}
	return q.record, q.found, q.err
}

// readFirsts answers questions in one round trip.
func (l *Log) readFirsts(ctx context.Context, asked []*beginning) []error {
	streams := make([]string, len(asked))
	for i, q := range asked {
		streams[i] = q.stream
	}
	found, err := l.findBeginnings(ctx, streams)
	for _, q := range asked {
		q.record, q.found, q.err = firstOf(q.stream, found)
	}
	return slices.Repeat([]error{err}, len(asked))
}

// findBeginnings returns the first and second documents of streams by their _ids. It finds them by that index: any other would
// read all of a stream, which may be long. The streams tell a sharded cluster which shards to ask.
func (l *Log) findBeginnings(ctx context.Context, streams []string) (map[string]bson.Raw, error) {
	ids := make([]string, 0, 2*len(streams))
	for _, stream := range streams {
		ids = append(ids, documentID(stream, 1), documentID(stream, 2))
	}
	filter := bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}, {Key: "stream", Value: bson.D{{Key: "$in", Value: streams}}}}
	cursor, err := l.events.Find(ctx, filter, options.Find().SetHint(bson.D{{Key: "_id", Value: 1}}).SetBatchSize(int32(len(ids))+1))
	if err != nil {
		return nil, err
	}
	var documents []bson.Raw
	if err := cursor.All(ctx, &documents); err != nil {
		return nil, err
	}
	found := make(map[string]bson.Raw, len(documents))
	for _, raw := range documents {
		id, _ := raw.Lookup("_id").StringValueOK()
		found[id] = raw
	}
	return found, nil
}

// firstOf picks a stream's first record. The error matches fault.ErrMissing for a stream that has a second one and no first.
func firstOf(stream string, found map[string]bson.Raw) (event.Record, bool, error) {
	id := documentID(stream, 1)
	raw, there := found[id]
	if !there {
		if _, headless := found[documentID(stream, 2)]; headless {
			return event.Record{}, false, fault.Missing("stream %s has version 2 where 1 should be", stream)
		}
		return event.Record{}, false, nil
	}
	r, err := stored(raw)
	if err == nil && r.Stream != stream {
		err = fault.New(fault.Corrupt, "version %d of stream %s has the _id %q", r.Version, r.Stream, id)
	}
	return r, err == nil, err
}
