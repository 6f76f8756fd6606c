package mongo

import (
	"context"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"golang.org/x/sync/errgroup"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

const (
	// headsBatch is the number of streams in one round trip.
	headsBatch = 500
	// headsAtOnce bounds concurrent reads of single streams.
	headsAtOnce = 8
)

// firstRecordRequest reads the first record of a stream: whether the stream exists, and its subject. Placing an order and notifying a
// customer need it, so that requests share round trips.
type firstRecordRequest struct {
	stream string
	// records and err are valid after the group has returned without an error.
	records []event.Record
	err     error
}

// readFirstRecord reads version 1. The error matches fault.ErrMissing if the stream has version 2 but not version 1.
func (l *Log) readFirstRecord(ctx context.Context, stream string) ([]event.Record, error) {
	q := &firstRecordRequest{stream: stream}
	if err := l.firstRequests.Do(ctx, q); err != nil {
		return nil, unavailable(ctx, err, "read stream %s", stream)
	}
	return q.records, q.err
}

// readFirstRecords serves requests in one round trip.
func (l *Log) readFirstRecords(ctx context.Context, requests []*firstRecordRequest) []error {
	var streams, ids []string
	for _, q := range requests {
		streams = append(streams, q.stream)
		ids = append(ids, documentID(q.stream, 1), documentID(q.stream, 2))
	}
	found, err := l.findIDs(ctx, streams, ids)
	for _, q := range requests {
		if raw, ok := found[documentID(q.stream, 1)]; ok {
			q.records = make([]event.Record, 1)
			q.records[0], q.err = decodeChecked(raw)
		} else if _, headless := found[documentID(q.stream, 2)]; headless {
			q.err = fault.Missing("stream %s has version 2 but not version 1", q.stream)
		}
	}
	return slices.Repeat([]error{err}, len(requests))
}

// findIDs returns documents of streams by _id. It uses the index of _id: any other would read whole streams. streams routes the query
// in a sharded cluster.
func (l *Log) findIDs(ctx context.Context, streams, ids []string) (map[string]bson.Raw, error) {
	filter := bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}, {Key: "stream", Value: bson.D{{Key: "$in", Value: streams}}}}
	documents, err := find[bson.Raw](ctx, l.events, filter,
		options.Find().SetHint(byIDAscending).SetBatchSize(int32(len(ids))+1), "read %d streams", len(streams))
	found := make(map[string]bson.Raw, len(documents))
	for _, raw := range documents {
		id, _ := raw.Lookup("_id").StringValueOK()
		found[id] = raw
	}
	return found, err
}

// Heads implements eventlog.HeadsReader. Cached heads are read together with their successors, for many streams in one round trip. Streams
// without a cached head, or with newer records, are read one by one. FerretDB 1 reads all streams one by one.
func (l *Log) Heads(ctx context.Context, streams []string) (map[string]event.Record, error) {
	found := make(map[string]event.Record, len(streams))
	rest := streams
	if l.events.db.Server != FerretDB1 {
		rest = nil
		for batch := range slices.Chunk(streams, headsBatch) {
			others, err := l.readKnownHeads(ctx, batch, found)
			if err != nil {
				return nil, err
			}
			rest = append(rest, others...)
		}
	}
	records := make([]event.Record, len(rest))
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(headsAtOnce)
	for i, stream := range rest {
		group.Go(func() (err error) {
			records[i], _, err = l.Head(within, stream)
			return err
		})
	}
	err := group.Wait()
	for i, r := range records {
		if r.Version > 0 {
			found[rest[i]] = r
		}
	}
	return found, err
}

// readKnownHeads adds the cached heads that are still the newest to found, and returns the other streams.
func (l *Log) readKnownHeads(ctx context.Context, streams []string, found map[string]event.Record) (rest []string, err error) {
	known := make(map[string]int64, len(streams))
	var names, ids []string
	for _, stream := range streams {
		if known[stream] = l.heads.get(stream).Version; known[stream] > 0 {
			names = append(names, stream)
			ids = append(ids, documentID(stream, known[stream]), documentID(stream, known[stream]+1))
		}
	}
	if len(names) == 0 {
		return streams, nil
	}
	documents, err := l.findIDs(ctx, names, ids)
	if err != nil {
		return nil, err
	}
	for _, stream := range streams {
		raw, ok := documents[documentID(stream, known[stream])]
		// There may be more records after the next one.
		if _, went := documents[documentID(stream, known[stream]+1)]; !ok || went {
			rest = append(rest, stream)
		} else if found[stream], err = decodeChecked(raw); err != nil {
			return nil, err
		}
	}
	return rest, nil
}
