package readmodel

import (
	"context"
	"errors"
	"iter"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ordersaga/ordersaga/internal/eventlog/mongolog"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// walkBatch is how many documents one round trip brings.
const walkBatch = 1000

// All yields every document, in the order of the bytes of the ids, for checks. A document that cannot be read comes
// as its id alone, with version 0. It reads while it is iterated; documents that are written meanwhile may be missing.
// An error ends it. Errors: Unavailable.
func (s *Store) All(ctx context.Context) iter.Seq2[Order, error] {
	return func(yield func(Order, error) bool) {
		for raw, err := range s.scan(nil).All(ctx) {
			if err != nil {
				yield(Order{}, unavailable(ctx, err, "walk the list of orders"))
				return
			}
			if o, ours := readable(raw); ours && !yield(o, nil) {
				return
			}
		}
	}
}

// scan reads all documents in the order of their ids. Whoever iterates may take any time.
func (s *Store) scan(projection bson.D) mongolog.Scan {
	return mongolog.Scan{
		Collection: s.orders, Batch: walkBatch, Sort: bson.D{{Key: "_id", Value: 1}}, Projection: projection,
		Query: func(at bson.Raw) bson.D {
			if at == nil {
				return bson.D{}
			}
			return bson.D{{Key: "_id", Value: bson.D{{Key: "$gte", Value: at.Lookup("_id")}}}}
		},
	}
}

// Peek is Get for documents that may be damaged: one that cannot be read comes as its id alone, with version 0. Errors:
// Unavailable.
func (s *Store) Peek(ctx context.Context, id string) (o Order, found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	raw, err := s.orders.FindOne(ctx, byID(id)).Raw()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return Order{}, false, nil
	}
	if err != nil {
		return Order{}, false, unavailable(ctx, err, "read list entry of order %s", id)
	}
	o, found = readable(raw)
	return o, found, nil
}

// readable decodes a document that may be damaged; ours is false when its id is no text.
func readable(raw bson.Raw) (o Order, ours bool) {
	var d document
	if err := bson.Unmarshal(raw, &d); err == nil {
		return d.order(), true
	}
	o.ID, ours = raw.Lookup("_id").StringValueOK()
	return o, ours
}

// Mend makes the document of one order anew from the log, as Rebuild does, whatever stands there: it writes it, or
// removes it when the order has no stream. Errors: Unavailable; Corrupt and Malformed when the stream does not verify or
// cannot be folded, and then nothing is changed.
func (s *Store) Mend(ctx context.Context, source Source, id string) error {
	r := rebuild{store: s, source: source}
	there, err := exists(ctx, source, s.stream(id))
	if err != nil {
		return err
	}
	if !there {
		return r.removeStray(ctx, id)
	}
	stored, found, err := s.Peek(ctx, id)
	if err != nil {
		return err
	}
	if found && stored.Version == 0 {
		// It cannot be read, so nothing could be compared with it.
		o, listed, err := r.fold(ctx, s.stream(id))
		if err != nil || !listed {
			return err
		}
		_, err = s.orders.ReplaceOne(ctx, byID(id), toDocument(o))
		return unavailable(ctx, err, "write list entry of order %s", id)
	}
	_, err = r.write(ctx, s.stream(id))
	return fault.Wrap(err, fault.CodeOf(err), "mend list entry of order %s", id)
}
