package mongolog

import (
	"context"
	"iter"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// streamsBatch is how many names one round trip brings.
const streamsBatch = 1000

// lastRune sorts behind every other.
const lastRune = "\U0010FFFF"

// Streams implements eventlog.Lister. Every stream has one document of version 1; these are read in one scan of
// the index (stream, version). FerretDB 2 finds them by another index and sorts; FerretDB 1 scans and sorts the collection.
func (l *Log) Streams(ctx context.Context, prefix, after string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for raw, err := range l.streamsOf(prefix, after).All(ctx) {
			if err != nil {
				yield("", unavailable(ctx, err, "list streams"))
				return
			}
			name, ok := raw.Lookup("stream").StringValueOK()
			if !ok {
				yield("", fault.New(fault.Corrupt, "a document without a stream"))
				return
			}
			if !yield(name, nil) {
				return
			}
		}
	}
}

func (l *Log) streamsOf(prefix, after string) Scan {
	return Scan{
		Collection: l.events, Batch: streamsBatch,
		Sort:       bson.D{{Key: "stream", Value: 1}},
		Projection: bson.D{{Key: "_id", Value: 0}, {Key: "stream", Value: 1}},
		Query: func(at bson.Raw) bson.D {
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
		},
	}
}
