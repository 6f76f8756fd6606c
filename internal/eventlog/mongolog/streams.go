package mongolog

import (
	"context"
	"iter"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// streamsBatch is how many names one round trip brings. Whoever iterates has minutes for them: a server
// forgets a cursor that rests for ten.
const streamsBatch = 1000

// lastRune sorts behind every other.
const lastRune = "\U0010FFFF"

// Streams implements eventlog.Lister. Every stream has one document of version 1; these are read in one scan of
// the index (stream, version). FerretDB 2 finds them by another index and sorts; FerretDB 1 scans and sorts the collection.
func (l *Log) Streams(ctx context.Context, prefix, after string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		filter := bson.D{
			{Key: "version", Value: int64(1)},
			{Key: "stream", Value: bson.D{
				{Key: "$gte", Value: prefix}, {Key: "$lt", Value: prefix + lastRune}, {Key: "$gt", Value: after},
			}},
		}
		cursor, err := l.events.Find(ctx, filter, options.Find().
			SetProjection(bson.D{{Key: "_id", Value: 0}, {Key: "stream", Value: 1}}).
			SetSort(bson.D{{Key: "stream", Value: 1}}).
			SetBatchSize(streamsBatch))
		if err != nil {
			yield("", unavailable(ctx, err, "list streams"))
			return
		}
		defer func() { _ = cursor.Close(context.WithoutCancel(ctx)) }()
		for cursor.Next(ctx) {
			name, ok := cursor.Current.Lookup("stream").StringValueOK()
			if !ok {
				yield("", fault.New(fault.Corrupt, "a document without a stream"))
				return
			}
			if !yield(name, nil) {
				return
			}
		}
		if err := cursor.Err(); err != nil {
			yield("", unavailable(ctx, err, "list streams"))
		}
	}
}
