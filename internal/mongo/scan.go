package mongo

import (
	"context"
	"errors"
	"iter"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

const (
	// scanBatch is the number of documents per round trip.
	scanBatch = 1000
	// maxIdle is the idle time after which a cursor is replaced. Servers close a cursor that is idle for 10 minutes, and the caller may
	// take any time between two documents.
	maxIdle = 5 * time.Minute
	// maxLosses bounds how often a cursor may be lost in a row before it returns a document.
	maxLosses = 3
)

// Error codes for a cursor that no longer exists.
const (
	codeCursorNotFound = 43
	codeCursorKilled   = 237
)

// scan reads documents in the order of a key, for any time. When the cursor has been idle for minutes, or the server has lost it, a new one
// continues at the same position.
type scan struct {
	collection
	// query selects everything, or everything from the position of a document, that document included. A document that is found again is
	// not yielded again.
	query func(at bson.Raw) bson.D
	// moved reports whether a document has another position than the previous one. Nil means always.
	moved func(before, document bson.Raw) bool
	// sort is the order; projection is optional and must include the key.
	sort, projection bson.D
	batch            int32
	now              func() time.Time
}

func (c collection) scan(sort, projection bson.D, query func(at bson.Raw) bson.D) scan {
	return scan{collection: c, query: query, sort: sort, projection: projection, batch: scanBatch, now: time.Now}
}

// scanByID reads all documents in the order of _id.
func (c collection) scanByID(projection bson.D) scan {
	return c.scan(byIDAscending, projection, func(at bson.Raw) bson.D {
		if at == nil {
			return bson.D{}
		}
		return bson.D{{Key: "_id", Value: bson.D{{Key: "$gte", Value: at.Lookup("_id")}}}}
	})
}

// all yields the documents. A document is valid until the next iteration. Documents that are written meanwhile may be missing. An error ends
// the iteration. Errors: Unavailable.
func (s scan) all(ctx context.Context) iter.Seq2[bson.Raw, error] {
	return func(yield func(bson.Raw, error) bool) {
		var cursor *driver.Cursor // nil if a new one is needed
		drop := func() {
			if cursor != nil {
				_ = cursor.Close(context.WithoutCancel(ctx))
				cursor = nil
			}
		}
		defer drop()
		var touched time.Time // the time of the last round trip
		var losses int
		var yielded position
		for {
			var err error
			if cursor == nil {
				o := options.Find().SetSort(s.sort).SetBatchSize(s.batch)
				if s.projection != nil {
					o.SetProjection(s.projection)
				}
				cursor, err = s.Find(ctx, s.query(yielded.at), o)
				touched = s.now()
			}
			if err == nil && cursor.RemainingBatchLength() == 0 {
				touched = s.now()
			}
			if err == nil && cursor.Next(ctx) {
				losses = 0
				if yielded.add(cursor.Current, s.moved) {
					if !yield(cursor.Current, nil) {
						return
					}
					if cursor.RemainingBatchLength() == 0 && s.now().Sub(touched) > maxIdle {
						drop()
					}
				}
				continue
			}
			if err == nil {
				err = cursor.Err()
			}
			var gone driver.CommandError
			if errors.As(err, &gone) && (gone.Code == codeCursorNotFound || gone.Code == codeCursorKilled) && losses < maxLosses {
				losses++
				drop()
				continue
			}
			if err != nil {
				yield(nil, unavailable(ctx, err, "scan %s", s.Name()))
			}
			return
		}
	}
}

// position is the last yielded document, with the IDs of all yielded documents at the same position.
type position struct {
	at   bson.Raw
	seen map[string]bool
}

// add moves to the position of a document. It returns false if the document was already yielded.
func (p *position) add(document bson.Raw, moved func(before, document bson.Raw) bool) bool {
	id := document.Lookup("_id").String()
	if id == "" {
		id = string(document)
	}
	if p.seen[id] {
		return false
	}
	if p.at == nil || moved == nil || moved(p.at, document) {
		p.at, p.seen = append(p.at[:0], document...), map[string]bool{}
	}
	p.seen[id] = true
	return true
}
