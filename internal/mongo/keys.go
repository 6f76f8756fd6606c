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

// Keys stores the customers' keys: one document per customer, inserted once and never changed. Deleting it erases the customer's data. It
// implements sealed.Keys.
type Keys struct{ keys collection }

type keyDocument struct {
	CustomerID string    `bson:"_id"`
	KeyID      string    `bson:"keyId"`
	Secret     []byte    `bson:"secret"`
	CreatedAt  time.Time `bson:"createdAt"`
}

// NewKeys returns the key store of a database. It needs no indexes.
func NewKeys(db *DB) *Keys { return &Keys{db.collection(KeysCollection)} }

// Add implements sealed.Keys.
func (k *Keys) Add(ctx context.Context, customerID string, key sealed.Key) (sealed.Key, error) {
	d := keyDocument{customerID, key.ID, key.Secret, time.Now().UTC()}
	inserted, err := k.keys.insert(ctx, d, "store the key of customer %s", customerID)
	if err != nil {
		return sealed.Key{}, err
	}
	if inserted {
		return key, nil
	}
	existing, err := k.Get(ctx, customerID)
	if errors.Is(err, fault.NotFound) {
		// It was erased meanwhile, or is not visible yet: a retry creates or finds it.
		err = fault.Missing("the key of customer %s exists but was not found", customerID)
	}
	return existing, err
}

// Get implements sealed.Keys. It uses linearizable reads: a customer whose key is missed would be taken for erased.
func (k *Keys) Get(ctx context.Context, customerID string) (sealed.Key, error) {
	var found keyDocument
	err := k.keys.get(ctx, byID(customerID), &found)
	return sealed.Key{ID: found.KeyID, Secret: found.Secret}, err
}

// Erase deletes a customer's key: data that was sealed with it can never be read again. It does nothing if there is no key. Errors:
// Unavailable.
func (k *Keys) Erase(ctx context.Context, customerID string) error {
	_, err := k.keys.remove(ctx, customerID, "erase the key of customer %s", customerID)
	return err
}
