package mongolog

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Index is an index that a store uses.
type Index struct {
	Collection *mongo.Collection
	Name       string
	// Keys are the fields, each ascending (1) or descending (-1).
	Keys bson.D
	// Unique reports that the store relies on it: without it a key may be written twice. Without another index queries are slow.
	Unique bool
}

// String returns collection and name.
func (i Index) String() string { return i.Collection.Name() + "." + i.Name }

// Command is what creates the index in mongosh.
func (i Index) Command() string {
	fields := make([]string, len(i.Keys))
	for n, f := range i.Keys {
		fields[n] = fmt.Sprintf("%s: %v", f.Key, f.Value)
	}
	return fmt.Sprintf("db.%s.createIndex({%s}, {name: %q, unique: %t})", i.Collection.Name(), strings.Join(fields, ", "), i.Name, i.Unique)
}

// Build creates the index, and returns when it is there: at once when it was, after minutes or hours on a large collection.
// The context should have no deadline: it is sent to the server, which gives the build up when it has passed. Errors:
// Unavailable; see Refused.
func (i Index) Build(ctx context.Context) error {
	o := options.Index().SetName(i.Name)
	if i.Unique {
		o.SetUnique(true)
	}
	if _, err := i.Collection.Indexes().CreateOne(ctx, mongo.IndexModel{Keys: i.Keys, Options: o}); err != nil {
		return unavailable(ctx, err, "create index %s", i)
	}
	return nil
}

// Missing returns the indexes that do not exist, whatever the names of those that do. One that is being built exists. Errors:
// Unavailable; see Refused.
func Missing(ctx context.Context, wanted []Index) ([]Index, error) {
	var missing []Index
	listed := make(map[string][]mongo.IndexSpecification)
	for _, i := range wanted {
		existing, known := listed[i.Collection.Name()]
		if !known {
			var err error
			if existing, err = i.Collection.Indexes().ListSpecifications(ctx); err != nil {
				return nil, unavailable(ctx, err, "list the indexes of %s", i.Collection.Name())
			}
			listed[i.Collection.Name()] = existing
		}
		if !i.among(existing) {
			missing = append(missing, i)
		}
	}
	return missing, nil
}

// among reports whether an index of the same keys exists. One that leaves documents out does not do.
func (i Index) among(existing []mongo.IndexSpecification) bool {
	for _, spec := range existing {
		if sameKeys(spec.KeysDocument, i.Keys) && (!i.Unique || spec.Unique != nil && *spec.Unique) && (spec.Sparse == nil || !*spec.Sparse) {
			return true
		}
	}
	return false
}

// sameKeys compares; a server may answer 1 as a double.
func sameKeys(stored bson.Raw, keys bson.D) bool {
	elements, err := stored.Elements()
	if err != nil || len(elements) != len(keys) {
		return false
	}
	for n, e := range elements {
		direction, ok := e.Value().AsInt64OK()
		if !ok || e.Key() != keys[n].Key || fmt.Sprint(direction) != fmt.Sprint(keys[n].Value) {
			return false
		}
	}
	return true
}

// Ensure creates the indexes that do not exist, and returns when all of them are there; see Build for the context. Errors:
// Unavailable.
func Ensure(ctx context.Context, wanted []Index) error {
	missing, err := Missing(ctx, wanted)
	if err != nil {
		return err
	}
	for _, i := range missing {
		if err := i.Build(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Refused reports whether the server understood a request and does not do it, because it is not allowed or does not fit what
// there is: trying again does not help.
func Refused(err error) bool {
	var command mongo.CommandError
	if !errors.As(err, &command) || command.HasErrorLabel("TransientTransactionError") || command.HasErrorLabel("RetryableWriteError") {
		return false
	}
	switch command.Code {
	case codeUnauthorized, codeOptionsConflict, codeKeySpecsConflict, codeDuplicateKey, codeCannotCreate, codeNotFound, codeNotImplemented:
		return true
	}
	return false
}

// Codes of answers that do not change by themselves.
const (
	codeUnauthorized     = 13
	codeNotFound         = 59 // there is no such command
	codeCannotCreate     = 67
	codeOptionsConflict  = 85
	codeKeySpecsConflict = 86
	codeNotImplemented   = 238
	codeDuplicateKey     = 11000
)
