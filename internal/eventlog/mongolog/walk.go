package mongolog

import (
	"context"
	"iter"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ordersaga/ordersaga/internal/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// walkBatch is how many documents one round trip brings.
const walkBatch = 1000

// Walk implements eventlog.Walker: one scan along the index (stream, version). FerretDB 2 finds the streams by another index
// and sorts them; FerretDB 1 scans and sorts the collection.
func (l *Log) Walk(ctx context.Context, s eventlog.Selection) iter.Seq2[event.Record, error] {
	return func(yield func(event.Record, error) bool) {
		cursor, err := l.events.Find(ctx, selected(s), options.Find().
			SetSort(bson.D{{Key: "stream", Value: 1}, {Key: "version", Value: 1}}).
			SetBatchSize(walkBatch))
		if err != nil {
			yield(event.Record{}, unavailable(ctx, err, "walk the log"))
			return
		}
		defer func() { _ = cursor.Close(context.WithoutCancel(ctx)) }()
		for cursor.Next(ctx) {
			if !yield(stored(cursor.Current)) {
				return
			}
		}
		if err := cursor.Err(); err != nil {
			yield(event.Record{}, unavailable(ctx, err, "walk the log"))
		}
	}
}

// selected is the selection in the server's language.
func selected(s eventlog.Selection) bson.D {
	if len(s.Names) > 0 {
		return bson.D{{Key: "stream", Value: bson.D{{Key: "$in", Value: s.Names}}}}
	}
	bounds := bson.D{{Key: "$gte", Value: s.From}}
	if s.To != "" {
		bounds = append(bounds, bson.E{Key: "$lt", Value: s.To})
	}
	return bson.D{{Key: "stream", Value: bounds}}
}

// stored decodes a document that may be damaged. The error is Corrupt.
func stored(raw bson.Raw) (event.Record, error) {
	r, err := decode(raw)
	if err != nil {
		stream, _ := raw.Lookup("stream").StringValueOK()
		version, _ := raw.Lookup("version").AsInt64OK()
		return event.Record{Stream: stream, Version: version}, err
	}
	id, _ := raw.Lookup("_id").StringValueOK()
	if id != documentID(r.Stream, r.Version) {
		return r, fault.New(fault.Corrupt, "version %d of stream %s has the _id %q", r.Version, r.Stream, id)
	}
	return r, nil
}
