// Package mongoregistry keeps the names of the SKUs in a collection of its own, for the list of stock: one document
// a SKU, {"_id": sku}, inserted once and never changed. It works on everything that speaks MongoDB's protocol.
//
// It imports the MongoDB driver, internal/{inventory,eventlog/mongolog,fault}. A Registry may be used by any number of
// goroutines and processes at once; inserting what is there does nothing. Errors: Unavailable.
package mongoregistry

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/ordersaga/ordersaga/internal/eventlog/mongolog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/inventory"
)

// Collection is the collection's name.
const Collection = "skus"

// Registry implements inventory.Registry.
type Registry struct{ skus *mongo.Collection }

var _ inventory.Registry = (*Registry)(nil)

// New returns the registry of a database. It does no I/O and needs no indexes. The database's concerns do not
// matter: writes are at majority, so that no SKU of which the log knows is missing after a failover.
func New(db *mongo.Database) *Registry {
	journaled := true
	return &Registry{skus: db.Collection(Collection, options.Collection().
		SetWriteConcern(&writeconcern.WriteConcern{W: "majority", Journal: &journaled}).
		SetReadPreference(readpref.Primary()))}
}

// Add implements inventory.Registry.
func (r *Registry) Add(ctx context.Context, sku string) error {
	_, err := r.skus.InsertOne(ctx, bson.D{{Key: "_id", Value: sku}})
	if mongolog.Duplicate(err) {
		return nil
	}
	return fault.Wrap(err, fault.Unavailable, "insert sku %s", sku)
}

// List implements inventory.Registry.
func (r *Registry) List(ctx context.Context, after string, limit int) ([]string, error) {
	cursor, err := r.skus.Find(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$gt", Value: after}}}},
		options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}).SetLimit(int64(limit)))
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "list skus after %q", after)
	}
	var found []struct {
		SKU string `bson:"_id"`
	}
	if err := cursor.All(ctx, &found); err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "list skus after %q", after)
	}
	skus := make([]string, len(found))
	for i, doc := range found {
		skus[i] = doc.SKU
	}
	return skus, nil
}
