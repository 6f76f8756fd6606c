package mongolog

import (
	"context"
	"errors"
	"iter"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

const (
	// maxRest is how long a cursor is left alone before a new one takes over. A server forgets a cursor that rests for 10 minutes,
	// and whoever iterates may do anything between two documents.
	maxRest = 5 * time.Minute
	// maxLosses bounds how often in a row a server may lose a cursor before a document came from it.
	maxLosses = 3
)

// Scan reads documents in the order of a key for as long as its reader likes. When the cursor has rested for minutes, or the server
// has lost it, a new one goes on where it was.
type Scan struct {
	Collection *mongo.Collection
	// Query returns what is to be read: everything, or what begins at the position of a document, that document included. One
	// that is found again is not yielded again.
	Query func(at bson.Raw) bson.D
	// Moved reports whether a document has another position than the one before it. Nil means that each has.
	Moved func(before, document bson.Raw) bool
	// Sort is the order of the key, Projection what is read; it must keep the key. Nil is everything.
	Sort, Projection bson.D
	// Batch is how many documents one round trip brings.
	Batch int32
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// All yields the documents. A document is valid until the next one is asked for. Documents that are written meanwhile may be
// missing. An error ends it; it is the driver's.
func (s Scan) All(ctx context.Context) iter.Seq2[bson.Raw, error] {
	return func(yield func(bson.Raw, error) bool) {
		r := reading{Scan: s}
		defer r.close(ctx)
		for {
			document, err := r.next(ctx)
			if err != nil {
				yield(nil, err)
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
	Scan
	cursor *mongo.Cursor
	// touched is when the server was last asked.
	touched time.Time
	// at is the last document, and seen are those that were yielded at its position.
	at     bson.Raw
	seen   map[string]bool
	losses int
}

func (r *reading) now() time.Time {
	if r.Now == nil {
		return time.Now()
	}
	return r.Now()
}

// next returns the next document, nil behind the last one.
func (r *reading) next(ctx context.Context) (bson.Raw, error) {
	rested := r.cursor != nil && r.cursor.RemainingBatchLength() == 0 && r.now().Sub(r.touched) > maxRest
	for {
		if r.cursor == nil || rested {
			rested = false
			if err := r.open(ctx); err != nil {
				return nil, err
			}
		}
		if r.cursor.RemainingBatchLength() == 0 {
			r.touched = r.now()
		}
		if !r.cursor.Next(ctx) {
			err := r.cursor.Err()
			if lost(err) && r.losses < maxLosses {
				r.losses++
				r.close(ctx)
				continue
			}
			return nil, err
		}
		r.losses = 0
		document := r.cursor.Current
		id := string(document)
		if value := document.Lookup("_id"); value.Type != 0 {
			id = value.String()
		}
		if r.seen[id] {
			continue
		}
		if r.at == nil || r.Moved == nil || r.Moved(r.at, document) {
			r.at, r.seen = append(r.at[:0], document...), map[string]bool{}
		}
		r.seen[id] = true
		return document, nil
	}
}

// open begins, or goes on at the last document.
func (r *reading) open(ctx context.Context) error {
	r.close(ctx)
	o := options.Find().SetSort(r.Sort).SetBatchSize(r.Batch)
	if r.Projection != nil {
		o.SetProjection(r.Projection)
	}
	cursor, err := r.Collection.Find(ctx, r.Query(r.at), o)
	r.cursor, r.touched = cursor, r.now()
	return err
}

func (r *reading) close(ctx context.Context) {
	if r.cursor != nil {
		_ = r.cursor.Close(context.WithoutCancel(ctx))
		r.cursor = nil
	}
}

// Codes of a cursor that the server does not have any more.
const (
	codeCursorNotFound = 43
	codeCursorKilled   = 237
)

// lost reports whether the server has forgotten a cursor.
func lost(err error) bool {
	var command mongo.CommandError
	return errors.As(err, &command) && (command.Code == codeCursorNotFound || command.Code == codeCursorKilled)
}
