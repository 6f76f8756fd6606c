package mongolog

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"golang.org/x/sync/errgroup"

	"github.com/ordersaga/ordersaga/event"
)

const (
	// headsBatch is how many streams are asked about in one round trip.
	headsBatch = 500
	// headsAtOnce is how many streams are asked about one by one at the same time.
	headsAtOnce = 8
)

// Heads implements eventlog.HeadsReader. Where a head is remembered, it is read again together with what may follow it, for many
// streams in one round trip; the others, and those that went on, are asked for one by one. FerretDB 1 answers one question at a
// time.
func (l *Log) Heads(ctx context.Context, streams []string) (map[string]event.Record, error) {
	lookup, err := l.how(ctx)
	if err != nil {
		return nil, err
	}
	found := make(map[string]event.Record, len(streams))
	rest := streams
	if lookup != LookupProbe {
		if rest, err = l.knownHeads(ctx, streams, found); err != nil {
			return nil, err
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
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for i, r := range records {
		if r.Version > 0 {
			found[rest[i]] = r
		}
	}
	return found, nil
}

// knownHeads adds the heads that are as they are remembered, and returns the other streams.
func (l *Log) knownHeads(ctx context.Context, streams []string, found map[string]event.Record) (rest []string, err error) {
	for len(streams) > 0 {
		n := min(headsBatch, len(streams))
		batch, err := l.readKnownHeads(ctx, streams[:n])
		if err != nil {
			return nil, err
		}
		for _, stream := range streams[:n] {
			if r, ok := batch[stream]; ok {
				found[stream] = r
			} else {
				rest = append(rest, stream)
			}
		}
		streams = streams[n:]
	}
	return rest, nil
}

// readKnownHeads reads remembered heads, and what may follow them, by their _ids.
func (l *Log) readKnownHeads(ctx context.Context, streams []string) (map[string]event.Record, error) {
	var ids, names []string
	known := make(map[string]string, len(streams))
	for _, stream := range streams {
		if head := l.heads.get(stream).Version; head > 0 {
			known[stream] = documentID(stream, head)
			ids = append(ids, known[stream], documentID(stream, head+1))
			names = append(names, stream)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	filter := bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}, {Key: "stream", Value: bson.D{{Key: "$in", Value: names}}}}
	cursor, err := l.events.Find(ctx, filter, options.Find().SetHint(bson.D{{Key: "_id", Value: 1}}).SetBatchSize(int32(len(ids))+1))
	if err != nil {
		return nil, unavailable(ctx, err, "read the heads of %d streams", len(names))
	}
	var documents []bson.Raw
	if err := cursor.All(ctx, &documents); err != nil {
		return nil, unavailable(ctx, err, "read the heads of %d streams", len(names))
	}
	heads := make(map[string]event.Record, len(names))
	followed := make(map[string]bool)
	for _, raw := range documents {
		r, err := stored(raw)
		if err != nil {
			return nil, err
		}
		if _, twice := heads[r.Stream]; twice {
			followed[r.Stream] = true
		}
		if r.Version >= heads[r.Stream].Version {
			heads[r.Stream] = r
		}
	}
	for stream, r := range heads {
		// One that went on may have gone on further.
		if followed[stream] || documentID(stream, r.Version) != known[stream] {
			delete(heads, stream)
		}
	}
	return heads, nil
}
