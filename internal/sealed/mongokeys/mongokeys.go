// Package mongokeys keeps the customers' keys in a collection of their own: one document a customer,
// {"_id": customer id, "keyId", "secret", "createdAt"}, inserted once and never changed. Deleting the document erases the
// customer. It works on everything that speaks MongoDB's protocol.
//
// It imports the MongoDB driver, internal/{sealed,eventlog/mongolog,fault}. A Keys may be used by any number of goroutines and
// processes at once. Errors: NotFound, Unavailable.
package mongokeys

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/ordersaga/ordersaga/internal/eventlog/mongolog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/sealed"
)

// Collection is the collection's name.
const Collection = "customer_keys"

// Keys implements sealed.Keys.
type Keys struct {
	keys *mongo.Collection
	// latest is keys with reads that miss nothing: that there is no key means that the customer was erased.
	latest *mongo.Collection
}

var _ sealed.Keys = (*Keys)(nil)

// New returns the keys of a database. It does no I/O and needs no indexes. The database's concerns do not matter: a key
// under which something was sealed must not be lost in a failover, nor one be read that is.
func New(db *mongo.Database) *Keys {
	journaled := true
	keys := db.Collection(Collection, options.Collection().
		SetWriteConcern(&writeconcern.WriteConcern{W: "majority", Journal: &journaled}).
		SetReadConcern(readconcern.Majority()).SetReadPreference(readpref.Primary()))
	return &Keys{keys: keys, latest: mongolog.Latest(keys)}
}

type document struct {
	CustomerID string    `bson:"_id"`
	KeyID      string    `bson:"keyId"`
	Secret     []byte    `bson:"secret"`
	CreatedAt  time.Time `bson:"createdAt"`
}

// Add implements sealed.Keys.
func (k *Keys) Add(ctx context.Context, customerID string, key sealed.Key) (sealed.Key, error) {
	_, err := k.keys.InsertOne(ctx, document{customerID, key.ID, key.Secret, time.Now().UTC()})
	switch {
	case err == nil:
		return key, nil
	case mongolog.Duplicate(err):
		kept, err := k.Get(ctx, customerID)
		if errors.Is(err, fault.NotFound) {
			// Erased in between, or not visible yet: the next try makes a key, or finds it.
			err = fault.Missing("the key of customer %s exists and was not found", customerID)
		}
		return kept, err
	}
	return sealed.Key{}, fault.Wrap(unsaid(err), fault.Unavailable, "keep the key of customer %s", customerID)
}

// Get implements sealed.Keys.
func (k *Keys) Get(ctx context.Context, customerID string) (sealed.Key, error) {
	found, err := find(ctx, k.keys, customerID)
	if errors.Is(err, mongo.ErrNoDocuments) {
		// A majority read may miss a key for some seconds after a failover, and the customer would pass for erased.
		latest, again := find(ctx, k.latest, customerID)
		if !mongolog.NoReplicas(again) {
			found, err = latest, again
		}
	}
	if errors.Is(err, mongo.ErrNoDocuments) {
		return sealed.Key{}, fault.New(fault.NotFound, "customer %s has no key", customerID)
	}
	if err != nil {
		return sealed.Key{}, fault.Wrap(unsaid(err), fault.Unavailable, "read the key of customer %s", customerID)
	}
	return sealed.Key{ID: found.KeyID, Secret: found.Secret}, nil
}

func find(ctx context.Context, in *mongo.Collection, customerID string) (found document, err error) {
	err = in.FindOne(ctx, bson.D{{Key: "_id", Value: customerID}}).Decode(&found)
	return found, err
}

// unsaid keeps what a server says about a document out of logs: it might quote it.
func unsaid(err error) error {
	var write mongo.WriteException
	if errors.As(err, &write) {
		return errors.New("the write was not confirmed")
	}
	return err
}

// Erase deletes a customer's key: nothing that was sealed under it can be read any more. Erasing what is not there does
// nothing.
func (k *Keys) Erase(ctx context.Context, customerID string) error {
	_, err := k.keys.DeleteOne(ctx, bson.D{{Key: "_id", Value: customerID}})
	return fault.Wrap(err, fault.Unavailable, "erase the key of customer %s", customerID)
}
