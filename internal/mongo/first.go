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
	// headsBatch is how many streams are asked about in one round trip.
	headsBatch = 500
	// headsAtOnce is how many streams are asked about one by one at the same time.
	headsAtOnce = 8
)

// firstQuestion asks for the first record of a stream: is there such a stream, and what is it about? Whoever places
// an order asks it, and whoever tells its customer of the end, so that questions share round trips as inserts do.
type firstQuestion struct {
	stream string
	// The answer is for the caller whom the group has told that there is one.
	records []event.Record
	err     error
}

// readFirst reads the first version alone. The error matches fault.ErrMissing for a stream that has a second one and no first.
func (l *Log) readFirst(ctx context.Context, stream string) ([]event.Record, error) {
	q := &firstQuestion{stream: stream}
	if err := l.questions.Do(ctx, q); err != nil {
		return nil, unavailable(ctx, err, "read stream %s", stream)
	}
	return q.records, q.err
}

// readFirsts answers questions in one round trip.
func (l *Log) readFirsts(ctx context.Context, asked []*firstQuestion) []error {
	var streams, ids []string
	for _, q := range asked {
		streams = append(streams, q.stream)
		ids = append(ids, documentID(q.stream, 1), documentID(q.stream, 2))
	}
	found, err := l.findIDs(ctx, streams, ids)
	for _, q := range asked {
		if raw, ok := found[documentID(q.stream, 1)]; ok {
			q.records = make([]event.Record, 1)
			q.records[0], q.err = stored(raw)
		} else if _, headless := found[documentID(q.stream, 2)]; headless {
			q.err = fault.Missing("stream %s has version 2 where 1 should be", q.stream)
		}
	}
	return slices.Repeat([]error{err}, len(asked))
}

// findIDs returns the documents of streams that have the _ids. It finds them by that index: any other would read all of a
// stream, which may be long. The streams tell a sharded cluster which shards to ask.
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

// Heads implements eventlog.HeadsReader. Where a head is remembered, it is read again together with what may follow it, for many
// streams in one round trip; the others, and those that went on, are asked for one by one. FerretDB 1 answers one question at a
// time.
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

// readKnownHeads adds the heads that are as they are remembered, and returns the other streams.
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
		// One that went on may have gone on further.
		if _, went := documents[documentID(stream, known[stream]+1)]; !ok || went {
			rest = append(rest, stream)
		} else if found[stream], err = stored(raw); err != nil {
			return nil, err
		}
	}
	return rest, nil
}
