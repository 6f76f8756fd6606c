package mongo

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ordersaga/ordersaga/internal/auth"
)

// APIKeysCollection is the name of the collection of API keys.
const APIKeysCollection = "api_keys"

// APIKeys keeps the records of API keys, hashes and no keys: one document a record, inserted once and never changed. It implements
// auth.Store. A read after a failover may miss a record for some seconds, so a revocation then takes that long, too.
type APIKeys struct{ records collection }

type apiKeyDocument struct {
	ID          string       `bson:"_id"`
	Name        string       `bson:"name"`
	Secret      int          `bson:"secret"`
	Hash        string       `bson:"hash,omitempty"`
	Scopes      []auth.Scope `bson:"scopes,omitempty"`
	Caller      string       `bson:"caller,omitempty"`
	At          time.Time    `bson:"at"`
	FormerUntil time.Time    `bson:"formerUntil,omitempty"`
}

// NewAPIKeys returns the API keys of a database. It needs no indexes.
func NewAPIKeys(db *DB) *APIKeys { return &APIKeys{db.collection(APIKeysCollection)} }

// Insert implements auth.Store.
func (k *APIKeys) Insert(ctx context.Context, r auth.Record) (bool, error) {
	d := apiKeyDocument{r.ID(), r.Name, r.Secret, r.Hash, r.Scopes, r.Namespace, r.At, r.FormerUntil}
	return k.records.insert(ctx, d, "keep API key %s", r.Name)
}

// All implements auth.Store.
func (k *APIKeys) All(ctx context.Context) ([]auth.Record, error) {
	documents, err := find[apiKeyDocument](ctx, k.records, bson.D{}, options.Find(), "read the API keys")
	records := make([]auth.Record, len(documents))
	for i, d := range documents {
		records[i] = auth.Record{
			Name: d.Name, Secret: d.Secret, Hash: d.Hash, Scopes: d.Scopes, Namespace: d.Caller, At: d.At.UTC(), FormerUntil: d.FormerUntil.UTC(),
		}
	}
	return records, err
}
