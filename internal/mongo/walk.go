package mongo

import (
	"context"
	"iter"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// lastRune sorts after all other characters.
const lastRune = "\U0010FFFF"

// Streams implements eventlog.Lister. Every stream has one document of version 1; they are read in one scan of the index (stream, version).
// FerretDB 2 uses another index and sorts; FerretDB 1 scans and sorts the collection.
func (l *Log) Streams(ctx context.Context, prefix, after string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for raw, err := range l.scanStreams(prefix, after).all(ctx) {
			name, ok := raw.Lookup("stream").StringValueOK()
			if err == nil && !ok {
				err = fault.New(fault.Corrupt, "document without a stream")
			}
			if !yield(name, err) || err != nil {
				return
			}
		}
	}
}

func (l *Log) scanStreams(prefix, after string) scan {
	projection := bson.D{{Key: "_id", Value: 0}, {Key: "stream", Value: 1}}
	return l.events.scan(bson.D{{Key: "stream", Value: 1}}, projection, func(at bson.Raw) bson.D {
		from := prefix
		if name, ok := at.Lookup("stream").StringValueOK(); ok {
			from = name
		}
		return bson.D{
			{Key: "version", Value: int64(1)},
			{Key: "stream", Value: bson.D{
				{Key: "$gte", Value: from}, {Key: "$lt", Value: prefix + lastRune}, {Key: "$gt", Value: after},
			}},
		}
	})
}

// Walk implements eventlog.Walker with one scan of the index (stream, version). FerretDB 2 uses another index and sorts; FerretDB 1 scans and
// sorts the collection. The iteration may take any time.
func (l *Log) Walk(ctx context.Context, s eventlog.Selection) iter.Seq2[event.Record, error] {
	return func(yield func(event.Record, error) bool) {
		for raw, err := range l.scanRecords(s).all(ctx) {
			if err != nil {
				yield(event.Record{}, err)
				return
			}
			if !yield(decodeChecked(raw)) {
				return
			}
		}
	}
}

func (l *Log) scanRecords(s eventlog.Selection) scan {
	walk := l.events.scan(bson.D{{Key: "stream", Value: 1}, {Key: "version", Value: 1}}, nil, func(at bson.Raw) bson.D {
		return selectedFrom(s, at)
	})
	// On a server without the unique index two documents may have the same position.
	walk.moved = func(before, document bson.Raw) bool {
		return !before.Lookup("stream").Equal(document.Lookup("stream")) || !before.Lookup("version").Equal(document.Lookup("version"))
	}
	return walk
}

// selectedFrom selects the rest of a selection, from the position of a document; everything if there is none.
func selectedFrom(s eventlog.Selection, at bson.Raw) bson.D {
	stream, ok := at.Lookup("stream").StringValueOK()
	if !ok {
		return bson.D{{Key: "stream", Value: selected(s, "$gte", s.From)}}
	}
	here := bson.D{{Key: "stream", Value: stream}}
	if version := at.Lookup("version"); version.IsNumber() {
		here = append(here, bson.E{Key: "version", Value: bson.D{{Key: "$gte", Value: version}}})
	}
	later := bson.D{{Key: "stream", Value: selected(s, "$gt", stream)}}
	return bson.D{{Key: "$or", Value: bson.A{here, later}}}
}

// selected returns the condition on stream names, from a name on.
func selected(s eventlog.Selection, operator, from string) bson.D {
	names := bson.D{{Key: operator, Value: from}}
	if len(s.Names) > 0 {
		if operator == "$gte" {
			names = nil // From is ignored
		}
		return append(names, bson.E{Key: "$in", Value: s.Names})
	}
	if s.To != "" {
		names = append(names, bson.E{Key: "$lt", Value: s.To})
	}
	return names
}
