package mongo

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// SKUsCollection is the name of the collection of SKUs.
const SKUsCollection = "skus"

// SKUs stores the names of the SKUs, for the list of stock: one document per SKU, {"_id": sku}, inserted once and never changed. It
// implements inventory.Registry.
type SKUs struct{ skus collection }

// NewSKUs returns the SKU store of a database. It needs no indexes.
func NewSKUs(db *DB) *SKUs { return &SKUs{db.collection(SKUsCollection)} }

// Add implements inventory.Registry.
func (s *SKUs) Add(ctx context.Context, sku string) error {
	_, err := s.skus.insert(ctx, byID(sku), "insert sku %s", sku)
	return err
}

// List implements inventory.Registry.
func (s *SKUs) List(ctx context.Context, after string, limit int) ([]string, error) {
	found, err := find[struct {
		SKU string `bson:"_id"`
	}](ctx, s.skus, bson.D{{Key: "_id", Value: bson.D{{Key: "$gt", Value: after}}}},
		options.Find().SetSort(byIDAscending).SetLimit(int64(limit)), "list skus after %q", after)
	skus := make([]string, len(found))
	for i, doc := range found {
		skus[i] = doc.SKU
	}
	return skus, err
}
