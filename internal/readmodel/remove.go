package readmodel

import (
	"context"
	"iter"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// removeStrays removes the documents that have no stream. It walks both lists side by side, in the order of
// their bytes; what is on one list only is looked up once more before it goes, because it may be younger than
// the other list. A server that sorts otherwise costs look-ups, not documents.
func (r *rebuild) removeStrays(ctx context.Context) error {
	nextStream, stop := iter.Pull2(r.source.Streams(ctx, r.store.stream(""), ""))
	defer stop()
	name, err, more := nextStream()
	for raw, failed := range r.store.scan(bson.D{{Key: "_id", Value: 1}}).All(ctx) {
		if failed != nil {
			return unavailable(ctx, failed, "list list entries")
		}
		id, ok := raw.Lookup("_id").StringValueOK()
		if !ok {
			continue // not one of ours
		}
		for more && err == nil && name < r.store.stream(id) {
			name, err, more = nextStream()
		}
		if err != nil {
			return err
		}
		if more && name == r.store.stream(id) {
			continue
		}
		if err := r.removeStray(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// removeStray removes the document of id, if the log really has no such order.
func (r *rebuild) removeStray(ctx context.Context, id string) error {
	found, err := exists(ctx, r.source, r.store.stream(id))
	if err != nil || found {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, r.store.timeout)
	defer cancel()
	result, err := r.store.orders.DeleteOne(ctx, byID(id))
	if err != nil {
		return unavailable(ctx, err, "remove list entry of order %s", id)
	}
	r.result.Removed += int(result.DeletedCount)
	return nil
}
