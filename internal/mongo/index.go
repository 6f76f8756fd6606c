package mongo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Index is an index that a store uses.
type Index struct {
	collection collection
	name       string
	// keys are the fields, each ascending (1) or descending (-1).
	keys bson.D
	// unique reports that the store relies on it: without it a key may be written twice. Without another index queries are slow.
	unique bool
}

// byIDAscending is the index of _id, which every collection has.
var byIDAscending = bson.D{{Key: "_id", Value: 1}}

// String returns collection and name.
func (i Index) String() string { return i.collection.Name() + "." + i.name }

// command is what creates the index in mongosh.
func (i Index) command() string {
	fields := make([]string, len(i.keys))
	for n, f := range i.keys {
		fields[n] = fmt.Sprintf("%s: %v", f.Key, f.Value)
	}
	return fmt.Sprintf("db.%s.createIndex({%s}, {name: %q, unique: %t})", i.collection.Name(), strings.Join(fields, ", "), i.name, i.unique)
}

// build creates the index, and returns when it exists: at once when it did, after minutes or hours on a large collection.
// The context should have no deadline: it is sent to the server, which gives the build up when it has passed. Errors:
// Unavailable; see refused.
func (i Index) build(ctx context.Context) error {
	o := options.Index().SetName(i.name)
	if i.unique {
		o.SetUnique(true)
	}
	_, err := i.collection.Indexes().CreateOne(ctx, driver.IndexModel{Keys: i.keys, Options: o})
	return unavailable(ctx, err, "create index %s", i)
}

// exists reports whether an index of the same keys exists, whatever its name. One that is being built exists. Errors: Unavailable;
// see refused.
func (i Index) exists(ctx context.Context) (bool, error) {
	listed, err := i.collection.Indexes().ListSpecifications(ctx)
	return slices.ContainsFunc(listed, i.is), unavailable(ctx, err, "list the indexes of %s", i.collection.Name())
}

// is compares. An index that leaves documents out does not do. A server may answer 1 as a double.
func (i Index) is(spec driver.IndexSpecification) bool {
	elements, err := spec.KeysDocument.Elements()
	if err != nil || len(elements) != len(i.keys) || i.unique && (spec.Unique == nil || !*spec.Unique) || spec.Sparse != nil && *spec.Sparse {
		return false
	}
	for n, e := range elements {
		direction, ok := e.Value().AsInt64OK()
		if !ok || e.Key() != i.keys[n].Key || fmt.Sprint(direction) != fmt.Sprint(i.keys[n].Value) {
			return false
		}
	}
	return true
}

// Setup creates the indexes of a new database. It may be called again. Errors: Unavailable.
func Setup(ctx context.Context, wanted ...[]Index) error {
	for _, i := range slices.Concat(wanted...) {
		if err := i.build(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Codes of answers that do not change by themselves.
const (
	codeUnauthorized     = 13
	codeNotFound         = 59 // the server has no such command
	codeCannotCreate     = 67
	codeOptionsConflict  = 85
	codeKeySpecsConflict = 86
	codeNotImplemented   = 238
	codeDuplicateKey     = 11000
)

// refused reports whether the server understood a request and does not do it, because it is not allowed or does not fit what
// exists: trying again does not help.
func refused(err error) bool {
	var command driver.CommandError
	if !errors.As(err, &command) || command.HasErrorLabel("TransientTransactionError") || command.HasErrorLabel("RetryableWriteError") {
		return false
	}
	return slices.Contains([]int32{
		codeUnauthorized, codeOptionsConflict, codeKeySpecsConflict, codeDuplicateKey, codeCannotCreate, codeNotFound, codeNotImplemented,
	}, command.Code)
}
