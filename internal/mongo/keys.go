package mongo

import (
	"context"
	"errors"
	"iter"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/sealed"
)

// KeysCollection and LetterKeysCollection are the names of the collections of the keys of customers and of dead letters.
const (
	KeysCollection       = "customer_keys"
	LetterKeysCollection = "dead_letter_keys"
)

// Keys stores the keys of customers or of dead letters: one document for each, inserted once, and changed only to replace its master key. Deleting it
// erases the data of the customer or of the dead letter. It implements sealed.Store.
type Keys struct {
	keys collection
	// of names the subjects.
	of string
}

var _ sealed.Store = (*Keys)(nil)

type keyDocument struct {
	Subject string `bson:"_id"`
	KeyID   string `bson:"keyId"`
	Secret  []byte `bson:"secret"`
	// Master is missing when Secret is not wrapped.
	Master    string    `bson:"master,omitempty"`
	CreatedAt time.Time `bson:"createdAt"`
}

func (d keyDocument) key() sealed.Key {
	return sealed.Key{ID: d.KeyID, Secret: d.Secret, Master: d.Master}
}

// NewKeys returns the store of the customers' keys. It needs no indexes.
func NewKeys(db *DB) *Keys { return &Keys{db.collection(KeysCollection), "customer"} }

// NewLetterKeys returns the store of the keys of dead letters. It needs no indexes.
func NewLetterKeys(db *DB) *Keys { return &Keys{db.collection(LetterKeysCollection), "dead letter"} }

// Add implements sealed.Keys.
func (k *Keys) Add(ctx context.Context, subject string, key sealed.Key) (sealed.Key, error) {
	d := keyDocument{subject, key.ID, key.Secret, key.Master, time.Now().UTC()}
	inserted, err := k.keys.insert(ctx, d, "store the key of %s %s", k.of, subject)
	if err != nil {
		return sealed.Key{}, err
	}
	if inserted {
		return key, nil
	}
	existing, err := k.Get(ctx, subject)
	if errors.Is(err, fault.NotFound) {
		// It was erased meanwhile, or is not visible yet: a retry creates or finds it.
		err = fault.Missing("the key of %s %s exists but was not found", k.of, subject)
	}
	return existing, err
}

// Get implements sealed.Keys. It uses linearizable reads: a customer whose key is missed would be taken for erased.
func (k *Keys) Get(ctx context.Context, subject string) (sealed.Key, error) {
	var found keyDocument
	err := k.keys.get(ctx, byID(subject), &found)
	return found.key(), err
}

// All implements sealed.Store.
func (k *Keys) All(ctx context.Context) iter.Seq2[sealed.Entry, error] {
	return func(yield func(sealed.Entry, error) bool) {
		for raw, err := range k.keys.scanByID(nil).all(ctx) {
			var d keyDocument
			if err == nil {
				err = fault.Wrap(bson.Unmarshal(raw, &d), fault.Corrupt, "read a key of %s", k.of)
			}
			if !yield(sealed.Entry{Subject: d.Subject, Key: d.key()}, err) || err != nil {
				return
			}
		}
	}
}

// Replace implements sealed.Store.
func (k *Keys) Replace(ctx context.Context, subject string, from, to sealed.Key) (bool, error) {
	ctx, cancel := k.keys.withTimeout(ctx)
	defer cancel()
	var master any
	if from.Master != "" {
		master = from.Master // otherwise null, which a missing field is equal to
	}
	filter := append(byID(subject), bson.E{Key: "keyId", Value: from.ID}, bson.E{Key: "master", Value: master})
	update := bson.D{{Key: "$set", Value: bson.D{{Key: "secret", Value: to.Secret}, {Key: "master", Value: to.Master}}}}
	result, err := k.keys.UpdateOne(ctx, filter, update)
	return err == nil && result.ModifiedCount > 0, unavailable(ctx, err, "replace the key of %s %s", k.of, subject)
}

// Erase deletes the key of a subject: data that was sealed with it can never be read again. It does nothing if there is no key. Errors: Unavailable.
func (k *Keys) Erase(ctx context.Context, subject string) error {
	_, err := k.keys.remove(ctx, subject, "erase the key of %s %s", k.of, subject)
	return err
}
