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
	// scanBatch is how many documents one round trip brings.
	scanBatch = 1000
	// maxRest is how long a cursor is left alone before a new one takes over. A server forgets a cursor that rests for 10 minutes,
	// and whoever iterates may do anything between two documents.
	maxRest = 5 * time.Minute
	// maxLosses bounds how often in a row a server may lose a cursor before a document came from it.
	maxLosses = 3
)

// Codes of a cursor that the server does not have any more.
const (
	codeCursorNotFound = 43
	codeCursorKilled   = 237
)

// scan reads documents in the order of a key for as long as its reader likes. When the cursor has rested for minutes, or the server
// has lost it, a new one goes on where it was.
type scan struct {
	collection
	// query returns what is to be read: everything, or what begins at the position of a document, that document included. One
	// that is found again is not yielded again.
	query func(at bson.Raw) bson.D
	// moved reports whether a document has another position than the one before it. Nil means that each has.
	moved func(before, document bson.Raw) bool
	// sort is the order of the key, projection what is read; it must keep the key. Nil is everything.
	sort, projection bson.D
	batch            int32
	now              func() time.Time
}

func (c collection) scan(sort, projection bson.D, query func(at bson.Raw) bson.D) scan {
	return scan{collection: c, query: query, sort: sort, projection: projection, batch: scanBatch, now: time.Now}
}

// scanByID reads all documents in the order of their _ids.
func (c collection) scanByID(projection bson.D) scan {
	return c.scan(byIDAscending, projection, func(at bson.Raw) bson.D {
		if at == nil {
			return bson.D{}
		}
		return bson.D{{Key: "_id", Value: bson.D{{Key: "$gte", Value: at.Lookup("_id")}}}}
	})
}

// all yields the documents. A document is valid until the next one is asked for. Documents that are written meanwhile may be
// missing. An error ends it. Errors: Unavailable.
func (s scan) all(ctx context.Context) iter.Seq2[bson.Raw, error] {
	return func(yield func(bson.Raw, error) bool) {
		var cursor *driver.Cursor // nil when the next one takes over
		drop := func() {
			if cursor != nil {
				_ = cursor.Close(context.WithoutCancel(ctx))
				cursor = nil
			}
		}
		defer drop()
		var touched time.Time // when the server was last asked
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
					if cursor.RemainingBatchLength() == 0 && s.now().Sub(touched) > maxRest {
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
				yield(nil, unavailable(ctx, err, "read through %s", s.Name()))
			}
			return
		}
	}
}

// position is the last document that was yielded, and all that were yielded at its place.
type position struct {
	at   bson.Raw
	seen map[string]bool
}

// add moves to a document's place. It reports false when the document was yielded already.
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
