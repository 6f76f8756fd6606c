package mongolog

import (
	"context"
	"iter"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// walkBatch is how many documents one round trip brings.
const walkBatch = 1000

// Walk implements eventlog.Walker: one scan along the index (stream, version). FerretDB 2 finds the streams by another index
// and sorts them; FerretDB 1 scans and sorts the collection. Whoever iterates may take any time.
func (l *Log) Walk(ctx context.Context, s eventlog.Selection) iter.Seq2[event.Record, error] {
	return func(yield func(event.Record, error) bool) {
		for raw, err := range l.walk(s).All(ctx) {
			if err != nil {
				yield(event.Record{}, unavailable(ctx, err, "walk the log"))
				return
			}
			if !yield(stored(raw)) {
				return
			}
		}
	}
}

func (l *Log) walk(s eventlog.Selection) Scan {
	return Scan{
		Collection: l.events, Batch: walkBatch,
		Sort:  bson.D{{Key: "stream", Value: 1}, {Key: "version", Value: 1}},
		Query: func(at bson.Raw) bson.D { return selectedFrom(s, at) },
		// On a server without a unique index two documents may have one position.
		Moved: func(before, document bson.Raw) bool {
			return !before.Lookup("stream").Equal(document.Lookup("stream")) || !before.Lookup("version").Equal(document.Lookup("version"))
		},
	}
}

// selectedFrom is what is selected from the position of a document on; all of it when there is none.
func selectedFrom(s eventlog.Selection, at bson.Raw) bson.D {
	stream, ok := at.Lookup("stream").StringValueOK()
	if !ok {
		return selected(s)
	}
	here := bson.D{{Key: "stream", Value: stream}}
	if version := at.Lookup("version"); version.IsNumber() {
		here = append(here, bson.E{Key: "version", Value: bson.D{{Key: "$gte", Value: version}}})
	}
	behind := bson.D{{Key: "$gt", Value: stream}}
	switch {
	case len(s.Names) > 0:
		behind = append(behind, bson.E{Key: "$in", Value: s.Names})
	case s.To != "":
		behind = append(behind, bson.E{Key: "$lt", Value: s.To})
	}
	return bson.D{{Key: "$or", Value: bson.A{here, bson.D{{Key: "stream", Value: behind}}}}}
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
