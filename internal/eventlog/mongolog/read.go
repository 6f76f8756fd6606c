package mongolog

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Read implements eventlog.Reader.
func (l *Log) Read(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error) {
	lookup, err := l.how(ctx)
	if err != nil {
		return nil, err
	}
	after = max(after, 0)
	if after == 0 && limit == 1 {
		// Records do not change.
		if first, known := l.firsts.Get(stream); known {
			return []event.Record{first}, nil
		}
	}
	read := l.readRange
	switch {
	case lookup == LookupProbe:
		read = l.readProbe
	case after == 0 && limit == 1:
		read = l.readFirst
	}
	records, err := read(ctx, stream, after, limit)
	if errors.Is(err, fault.ErrMissing) {
		// A query may miss a record that is written meanwhile and see the next one, and a read after a failover may miss
		// what was acknowledged. A gap that stays is Unavailable, too: it may be filled when it is read again.
		return l.ReadCertain(ctx, stream, after, limit)
	}
	if err != nil {
		return nil, err
	}
	if n := len(records); n > 0 {
		l.heads.put(stream, records[n-1].HeadOf())
	}
	return records, nil
}

// ReadCertain implements eventlog.CertainReader. FerretDB 1 has no replicas: there it is Read.
func (l *Log) ReadCertain(ctx context.Context, stream string, after int64, limit int) (records []event.Record, err error) {
	lookup, err := l.how(ctx)
	if err != nil {
		return nil, err
	}
	if lookup == LookupProbe {
		return l.Read(ctx, stream, after, limit)
	}
	err = l.certainly(func(from *mongo.Collection) error {
		records, err = l.readRangeFrom(ctx, from, stream, max(after, 0), limit)
		return err
	})
	if n := len(records); err == nil && n > 0 {
		l.heads.put(stream, records[n-1].HeadOf())
	}
	return records, err
}

// Head implements eventlog.Reader.
func (l *Log) Head(ctx context.Context, stream string) (event.Record, bool, error) {
	lookup, err := l.how(ctx)
	if err != nil {
		return event.Record{}, false, err
	}
	head := l.headRange
	if lookup == LookupProbe {
		head = l.headProbe
	}
	r, ok, err := head(ctx, stream)
	if err != nil || !ok {
		return event.Record{}, false, err
	}
	l.heads.put(stream, r.HeadOf())
	return r, true, nil
}

// Find implements eventlog.Reader.
func (l *Log) Find(ctx context.Context, stream, key string) (event.Record, bool, error) {
	found, err := l.findKeys(ctx, stream, []string{key})
	if err != nil {
		return event.Record{}, false, err
	}
	r, ok := found[key]
	return r, ok, nil
}

// FindAll implements eventlog.Reader.
func (l *Log) FindAll(ctx context.Context, stream string, keys []string) (map[string]event.Record, error) {
	return l.findKeys(ctx, stream, keys)
}

// findKeys returns the records of stream that hold one of keys.
func (l *Log) findKeys(ctx context.Context, stream string, keys []string) (map[string]event.Record, error) {
	lookup, err := l.how(ctx)
	if err != nil {
		return nil, err
	}
	if lookup == LookupProbe {
		return l.findProbe(ctx, stream, keys)
	}
	filter := bson.D{{Key: "stream", Value: stream}, {Key: "key", Value: bson.D{{Key: "$in", Value: keys}}}}
	records, err := l.query(ctx, l.events, stream, filter, options.Find())
	if err != nil {
		return nil, err
	}
	found := make(map[string]event.Record, len(records))
	for _, r := range records {
		found[r.Key] = r
	}
	return found, nil
}

// get returns one version of a stream.
func (l *Log) get(ctx context.Context, stream string, version int64) (event.Record, bool, error) {
	return l.getFrom(ctx, l.events, stream, version)
}

// getFrom looks a version up by the index of _id. The stream tells a sharded cluster which shard to ask; FerretDB 1 uses the
// index for a filter on _id alone.
func (l *Log) getFrom(ctx context.Context, from *mongo.Collection, stream string, version int64) (event.Record, bool, error) {
	lookup, err := l.how(ctx)
	if err != nil {
		return event.Record{}, false, err
	}
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	filter, o := bson.D{{Key: "_id", Value: documentID(stream, version)}}, options.FindOne()
	if lookup != LookupProbe {
		filter = append(filter, bson.E{Key: "stream", Value: stream})
		o.SetHint(bson.D{{Key: "_id", Value: 1}})
	}
	raw, err := from.FindOne(ctx, filter, o).Raw()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return event.Record{}, false, nil
	}
	if err != nil {
		return event.Record{}, false, unavailable(ctx, err, "read version %d of %s", version, stream)
	}
	r, err := decode(raw)
	return r, err == nil, err
}

// above selects the versions of a stream behind after, by the order of their _ids: that order is read from the
// index of _id, forwards and backwards, where FerretDB 2 would sort all of a stream for any other. The stream tells a
// sharded cluster which shard to ask.
func above(stream string, after int64) bson.D {
	return bson.D{
		{Key: "stream", Value: stream},
		{Key: "_id", Value: bson.D{{Key: "$gt", Value: documentID(stream, after)}, {Key: "$lt", Value: stream + behindVersions}}},
	}
}

// behindVersions follows the name of a stream in an _id that would stand behind all of its versions.
const behindVersions = "@:"

// readRange reads successive versions. The error matches fault.ErrMissing when there is a gap.
func (l *Log) readRange(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error) {
	return l.readRangeFrom(ctx, l.events, stream, after, limit)
}

func (l *Log) readRangeFrom(ctx context.Context, from *mongo.Collection, stream string, after int64, limit int) ([]event.Record, error) {
	sorted := options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}).SetLimit(int64(limit))
	records, err := l.query(ctx, from, stream, above(stream, after), sorted)
	if err != nil {
		return nil, err
	}
	for i, r := range records {
		if want := after + int64(i) + 1; r.Version != want {
			return nil, fault.Missing("stream %s has version %d where %d should be", stream, r.Version, want)
		}
	}
	return records, nil
}

// readFirst reads the first version alone.
func (l *Log) readFirst(ctx context.Context, stream string, _ int64, _ int) ([]event.Record, error) {
	r, found, err := l.first(ctx, stream)
	if err != nil || !found {
		return nil, err
	}
	return []event.Record{r}, nil
}

// headRange reads the newest version.
func (l *Log) headRange(ctx context.Context, stream string) (event.Record, bool, error) {
	newest := options.Find().SetSort(bson.D{{Key: "_id", Value: -1}}).SetLimit(1)
	records, err := l.query(ctx, l.events, stream, above(stream, 0), newest)
	if err != nil || len(records) == 0 {
		return event.Record{}, false, err
	}
	return records[0], true, nil
}

// certainly reads from the collection that misses nothing; from the other one where the server has no replicas.
func (l *Log) certainly(read func(from *mongo.Collection) error) error {
	err := read(l.latest)
	if NoReplicas(err) {
		return read(l.events)
	}
	return err
}

// query reads records.
func (l *Log) query(ctx context.Context, from *mongo.Collection, stream string, filter bson.D, opts *options.FindOptionsBuilder) (records []event.Record, err error) {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	cursor, err := from.Find(ctx, filter, opts)
	if err != nil {
		return nil, unavailable(ctx, err, "read stream %s", stream)
	}
	defer func() { _ = cursor.Close(context.WithoutCancel(ctx)) }()
	for cursor.Next(ctx) {
		r, err := decode(cursor.Current)
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	if err := cursor.Err(); err != nil {
		return nil, unavailable(ctx, err, "read stream %s", stream)
	}
	return records, nil
}
