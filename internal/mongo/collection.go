package mongo

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/groupcommit"
)

// collection is a collection whose writes survive a failover, and whose reads see nothing that may be rolled back.
type collection struct {
	*driver.Collection
	// latest is the collection with reads that do not miss what was acknowledged before they began. A majority read may: the
	// commit point of a new primary lags, and a deposed primary does not know for some seconds that it was deposed. Such a
	// read costs a round trip to a majority, so it is for what another read did not find. FerretDB ignores the level.
	latest *driver.Collection
	db     *DB
}

func (db *DB) collection(name string) collection {
	journaled := true
	c := db.Database.Collection(name, options.Collection().
		SetWriteConcern(&writeconcern.WriteConcern{W: "majority", Journal: &journaled}).
		SetReadConcern(readconcern.Majority()).SetReadPreference(readpref.Primary()))
	return collection{c, c.Clone(options.Collection().SetReadConcern(readconcern.Linearizable())), db}
}

// bounded bounds one round trip.
func (c collection) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, c.db.Timeout)
}

// codeNotAReplicaSet is the answer of a server without replicas to a linearizable read.
const codeNotAReplicaSet = 123

// certainly reads in a way that misses nothing. A server without replicas refuses that: there any read sees everything.
func (c collection) certainly(read func(c collection) error) error {
	err := read(collection{c.latest, c.latest, c.db})
	var refused driver.CommandError
	if errors.As(err, &refused) && refused.Code == codeNotAReplicaSet {
		return read(c)
	}
	return err
}

// find reads the documents that match. Errors: Unavailable.
func find[T any](
	ctx context.Context, c collection, filter bson.D, o *options.FindOptionsBuilder, format string, args ...any,
) (found []T, err error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	cursor, err := c.Find(ctx, filter, o)
	if err == nil {
		err = cursor.All(ctx, &found)
	}
	return found, unavailable(ctx, err, format, args...)
}

// get reads the document that matches, and again, missing nothing, when it is not found. The filter begins with its _id. Errors:
// NotFound, Unavailable.
func (c collection) get(ctx context.Context, filter bson.D, into any, o ...options.Lister[options.FindOneOptions]) error {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	read := func(c collection) error { return c.FindOne(ctx, filter, o...).Decode(into) }
	err := read(c)
	if errors.Is(err, driver.ErrNoDocuments) && c.db.Server != FerretDB1 {
		err = c.certainly(read)
	}
	if errors.Is(err, driver.ErrNoDocuments) {
		return fault.New(fault.NotFound, "%s is not in %s", filter[0].Value, c.Name())
	}
	return unavailable(ctx, err, "read %s in %s", filter[0].Value, c.Name())
}

// insert reports false when a document of that _id exists. Errors: Unavailable.
func (c collection) insert(ctx context.Context, document any, format string, args ...any) (bool, error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	_, err := c.InsertOne(ctx, document)
	if isDuplicate(err) {
		return false, nil
	}
	if errors.As(err, new(driver.WriteException)) {
		// What the server says about a document might quote it: keys, customers' data.
		err = errors.New("the write was not confirmed")
	}
	return err == nil, unavailable(ctx, err, format, args...)
}

// remove reports whether there was a document of that _id. Errors: Unavailable.
func (c collection) remove(ctx context.Context, id, format string, args ...any) (bool, error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	result, err := c.DeleteOne(ctx, byID(id))
	return err == nil && result.DeletedCount > 0, unavailable(ctx, err, format, args...)
}

func byID(id string) bson.D { return bson.D{{Key: "_id", Value: id}} }

// unavailable wraps what server, network or context did; nil stays nil. The error matches the context's error when the context
// has ended, whatever the driver made of it.
func unavailable(ctx context.Context, err error, format string, args ...any) error {
	if ended := ctx.Err(); err != nil && ended != nil && !errors.Is(err, ended) {
		err = errors.Join(ended, err)
	}
	return fault.Wrap(err, fault.Unavailable, format, args...)
}

// isDuplicate reports whether a write was refused because a document with the same unique key exists, at a majority. A
// duplicate that comes together with a write-concern error proves nothing: what it met may be rolled back.
func isDuplicate(err error) bool {
	var one driver.WriteException
	var many driver.BulkWriteException
	unconfirmed := errors.As(err, &one) && one.WriteConcernError != nil || errors.As(err, &many) && many.WriteConcernError != nil
	return driver.IsDuplicateKeyError(err) && !unconfirmed
}

// results is what the error of a write of n documents says about each of them: nil or its own error. Where it leaves open what
// became of the others, it is everybody's. Of an ordered write, nothing behind the first error was tried.
func results(n int, err error) []error {
	each := make([]error, n)
	var bulk driver.BulkWriteException
	if err != nil && (!errors.As(err, &bulk) || bulk.WriteConcernError != nil || len(bulk.WriteErrors) == 0) {
		return slices.Repeat([]error{err}, n)
	}
	for _, e := range bulk.WriteErrors {
		each[e.Index] = e
	}
	return each
}

// Round trips are shared by what comes while others are under way; when one takes longer than overtake, what waits gets another.
// An insert takes less than that on a server that is well.
const (
	lanes    = 4
	overtake = 200 * time.Millisecond
)

// shared returns a group of writes or questions that share round trips.
func shared[T any](c groupcommit.Config[T]) *groupcommit.Group[T] {
	g, err := groupcommit.New(c)
	if err != nil {
		panic(err) // what is configured does not depend on anything from outside
	}
	return g
}
