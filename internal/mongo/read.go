package mongo

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Read implements eventlog.Reader.
func (l *Log) Read(ctx context.Context, stream string, after int64, limit int) (records []event.Record, err error) {
	after = max(after, 0)
	onlyFirst := after == 0 && limit == 1
	if first, known := l.firstRecords.Get(stream); known && onlyFirst {
		return []event.Record{first}, nil // records never change
	}
	switch {
	case l.events.db.Server == FerretDB1:
		records, err = l.readProbing(ctx, stream, after, limit)
	case onlyFirst:
		records, err = l.readFirstRecord(ctx, stream)
	default:
		records, err = l.readRange(ctx, l.events, stream, after, limit)
	}
	if errors.Is(err, fault.ErrMissing) {
		// A query may miss a record that is written meanwhile and return the next one, and after a failover it may miss acknowledged
		// records. A remaining gap is Unavailable as well: a later read may fill it.
		return l.ReadCertain(ctx, stream, after, limit)
	}
	return l.seen(records, err)
}

// ReadCertain implements eventlog.CertainReader.
func (l *Log) ReadCertain(ctx context.Context, stream string, after int64, limit int) (records []event.Record, err error) {
	if l.events.db.Server == FerretDB1 {
		return l.Read(ctx, stream, after, limit)
	}
	err = l.events.readLinearizable(func(in collection) (err error) {
		records, err = l.readRange(ctx, in, stream, max(after, 0), limit)
		return err
	})
	return l.seen(records, err)
}

// seen caches the last record as the head of its stream.
func (l *Log) seen(records []event.Record, err error) ([]event.Record, error) {
	if err != nil {
		return nil, err
	}
	if n := len(records); n > 0 {
		l.heads.put(records[n-1].Stream, records[n-1].HeadOf())
	}
	return records, nil
}

// forget removes a stream from the caches: the collection was emptied while the process runs.
func (l *Log) forget(stream string) {
	l.heads.Remove(stream)
	l.firstRecords.Remove(stream)
	l.keys.Remove(stream)
}

// Head implements eventlog.Reader.
func (l *Log) Head(ctx context.Context, stream string) (event.Record, bool, error) {
	var records []event.Record
	var err error
	if l.events.db.Server == FerretDB1 {
		records, err = l.headProbing(ctx, stream)
	} else {
		newest := options.Find().SetSort(bson.D{{Key: "_id", Value: -1}}).SetLimit(1)
		records, err = l.query(ctx, l.events, stream, versionsAfter(stream, 0), newest)
	}
	if records, err = l.seen(records, err); err != nil || len(records) == 0 {
		return event.Record{}, false, err
	}
	return records[0], true, nil
}

// Find implements eventlog.Reader.
func (l *Log) Find(ctx context.Context, stream, key string) (event.Record, bool, error) {
	found, err := l.FindAll(ctx, stream, []string{key})
	r, ok := found[key]
	return r, ok, err
}

// FindAll implements eventlog.Reader.
func (l *Log) FindAll(ctx context.Context, stream string, keys []string) (map[string]event.Record, error) {
	if l.events.db.Server == FerretDB1 {
		return l.findProbing(ctx, stream, keys)
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

// get returns one version of a stream, by the index of _id, with a linearizable read if needed. The stream in the filter routes the query in
// a sharded cluster; FerretDB 1 uses the index only for a filter on _id alone.
func (l *Log) get(ctx context.Context, stream string, version int64) (r event.Record, ok bool, err error) {
	filter, o := byID(documentID(stream, version)), options.FindOne()
	if l.events.db.Server != FerretDB1 {
		filter = append(filter, bson.E{Key: "stream", Value: stream})
		o.SetHint(byIDAscending)
	}
	var raw bson.Raw
	if err = l.events.get(ctx, filter, &raw, o); errors.Is(err, fault.NotFound) {
		return r, false, nil
	}
	if err == nil {
		r, err = decode(raw)
	}
	return r, err == nil, err
}

// afterVersions, after the name of a stream, sorts after all _ids of its versions.
const afterVersions = "@:"

// versionsAfter selects the versions of a stream greater than after, as a range of _id: the index of _id has this order, in both directions;
// FerretDB 2 would sort the whole stream for any other. The stream in the filter routes the query in a sharded cluster.
func versionsAfter(stream string, after int64) bson.D {
	return bson.D{
		{Key: "stream", Value: stream},
		{Key: "_id", Value: bson.D{{Key: "$gt", Value: documentID(stream, after)}, {Key: "$lt", Value: stream + afterVersions}}},
	}
}

// readRange reads consecutive versions. The error matches fault.ErrMissing if there is a gap.
func (l *Log) readRange(ctx context.Context, in collection, stream string, after int64, limit int) ([]event.Record, error) {
	sorted := options.Find().SetSort(byIDAscending).SetLimit(int64(limit))
	records, err := l.query(ctx, in, stream, versionsAfter(stream, after), sorted)
	for i, r := range records {
		if want := after + int64(i) + 1; r.Version != want {
			return nil, fault.Missing("stream %s has version %d where %d was expected", stream, r.Version, want)
		}
	}
	return records, err
}

func (l *Log) query(ctx context.Context, in collection, stream string, filter bson.D, o *options.FindOptionsBuilder) ([]event.Record, error) {
	documents, err := find[bson.Raw](ctx, in, filter, o, "read stream %s", stream)
	if err != nil || len(documents) == 0 {
		return nil, err
	}
	records := make([]event.Record, len(documents))
	for i, raw := range documents {
		if records[i], err = decode(raw); err != nil {
			return nil, err
		}
	}
	return records, nil
}
