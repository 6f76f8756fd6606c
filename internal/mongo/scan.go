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
		r := reading{scan: s}
		defer r.close(ctx)
		for {
			document, err := r.next(ctx)
			if err != nil {
				yield(nil, unavailable(ctx, err, "read through %s", s.Name()))
				return
			}
			if document == nil || !yield(document, nil) {
				return
			}
		}
	}
}

// reading is a scan under way.
type reading struct {
	scan
	cursor *driver.Cursor
	// touched is when the server was last asked.
	touched time.Time
	losses  int
	// at is the last document, and seen are those that were yielded at its position.
	at   bson.Raw
	seen map[string]bool
}

// next returns the next document, nil behind the last one.
func (r *reading) next(ctx context.Context) (bson.Raw, error) {
	if r.cursor != nil && r.cursor.RemainingBatchLength() == 0 && r.now().Sub(r.touched) > maxRest {
		r.close(ctx)
	}
	for {
		if err := r.open(ctx); err != nil {
			return nil, err
		}
		if r.cursor.RemainingBatchLength() == 0 {
			r.touched = r.now()
		}
		if r.cursor.Next(ctx) {
			r.losses = 0
			if r.isNew(r.cursor.Current) {
				return r.cursor.Current, nil
			}
			continue
		}
		var gone driver.CommandError
		err := r.cursor.Err()
		if !errors.As(err, &gone) || gone.Code != codeCursorNotFound && gone.Code != codeCursorKilled || r.losses == maxLosses {
			return nil, err
		}
		r.losses++
		r.close(ctx)
	}
}

// open begins, or goes on at the last document, unless there is a cursor.
func (r *reading) open(ctx context.Context) (err error) {
	if r.cursor != nil {
		return nil
	}
	o := options.Find().SetSort(r.sort).SetBatchSize(r.batch)
	if r.projection != nil {
		o.SetProjection(r.projection)
	}
	r.cursor, err = r.Find(ctx, r.query(r.at), o)
	r.touched = r.now()
	return err
}

// isNew reports whether a document was not yielded yet, and moves to its position.
func (r *reading) isNew(document bson.Raw) bool {
	id := document.Lookup("_id").String()
	if id == "" {
		id = string(document)
	}
	if r.seen[id] {
		return false
	}
	if r.at == nil || r.moved == nil || r.moved(r.at, document) {
		r.at, r.seen = append(r.at[:0], document...), map[string]bool{}
	}
	r.seen[id] = true
	return true
}

func (r *reading) close(ctx context.Context) {
	if r.cursor != nil {
		_ = r.cursor.Close(context.WithoutCancel(ctx))
		r.cursor = nil
	}
}
