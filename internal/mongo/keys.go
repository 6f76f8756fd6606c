package mongo

import (
	"context"
	"errors"
	"time"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/sealed"
)

// KeysCollection is the name of the collection of customers' keys.
const KeysCollection = "customer_keys"

// Keys keeps the customers' keys: one document a customer, inserted once and never changed. Deleting it erases the customer. It
// implements sealed.Keys.
type Keys struct{ keys collection }

type keyDocument struct {
	CustomerID string    `bson:"_id"`
	KeyID      string    `bson:"keyId"`
	Secret     []byte    `bson:"secret"`
	CreatedAt  time.Time `bson:"createdAt"`
}

// NewKeys returns the keys of a database. It needs no indexes.
func NewKeys(db *DB) *Keys { return &Keys{db.collection(KeysCollection)} }

// Add implements sealed.Keys.
func (k *Keys) Add(ctx context.Context, customerID string, key sealed.Key) (sealed.Key, error) {
	d := keyDocument{customerID, key.ID, key.Secret, time.Now().UTC()}
	inserted, err := k.keys.insert(ctx, d, "keep the key of customer %s", customerID)
	if err != nil {
		return sealed.Key{}, err
	}
	if inserted {
		return key, nil
	}
	kept, err := k.Get(ctx, customerID)
	if errors.Is(err, fault.NotFound) {
		// Erased in between, or not visible yet: the next try makes a key, or finds it.
		err = fault.Missing("the key of customer %s exists and was not found", customerID)
	}
	return kept, err
}

// Get implements sealed.Keys. A customer whose key a read misses would pass for erased: it is read in a way that misses nothing.
func (k *Keys) Get(ctx context.Context, customerID string) (sealed.Key, error) {
	var found keyDocument
	err := k.keys.get(ctx, byID(customerID), &found)
	return sealed.Key{ID: found.KeyID, Secret: found.Secret}, err
}

// Erase deletes a customer's key: nothing that was sealed under it can be read any more. Erasing a key that does not exist does
// nothing. Errors: Unavailable.
func (k *Keys) Erase(ctx context.Context, customerID string) error {
	_, err := k.keys.remove(ctx, customerID, "erase the key of customer %s", customerID)
	return err
}
