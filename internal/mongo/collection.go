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

// collection is a collection whose writes survive a failover, and whose reads never return what may be rolled back.
type collection struct {
	*driver.Collection
	// linearizable is the same collection with reads that never miss an acknowledged write. A majority read may: the commit point of
	// a new primary lags, and a deposed primary accepts reads for some seconds. A linearizable read costs a round trip to a
	// majority, so it is used only after another read found nothing. FerretDB ignores the read concern.
	linearizable *driver.Collection
	db           *DB
}

func (db *DB) collection(name string) collection {
	journaled := true
	c := db.Database.Collection(name, options.Collection().
		SetWriteConcern(&writeconcern.WriteConcern{W: "majority", Journal: &journaled}).
		SetReadConcern(readconcern.Majority()).SetReadPreference(readpref.Primary()))
	return collection{c, c.Clone(options.Collection().SetReadConcern(readconcern.Linearizable())), db}
}

// withTimeout bounds one round trip.
func (c collection) withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, c.db.Timeout)
}

// codeNotAReplicaSet is the error code of a standalone server for a linearizable read.
const codeNotAReplicaSet = 123

// readLinearizable calls read with a collection whose reads never miss an acknowledged write. A standalone server refuses linearizable
// reads; there every read has this property.
func (c collection) readLinearizable(read func(c collection) error) error {
	err := read(collection{c.linearizable, c.linearizable, c.db})
	var refused driver.CommandError
	if errors.As(err, &refused) && refused.Code == codeNotAReplicaSet {
		return read(c)
	}
	return err
}

// find reads the matching documents. Errors: Unavailable.
func find[T any](
	ctx context.Context, c collection, filter bson.D, o *options.FindOptionsBuilder, format string, args ...any,
) (found []T, err error) {
	ctx, cancel := c.withTimeout(ctx)
	defer cancel()
	cursor, err := c.Find(ctx, filter, o)
	if err == nil {
		err = cursor.All(ctx, &found)
	}
	return found, unavailable(ctx, err, format, args...)
}

// get reads the matching document; if it is not found, it reads again with a linearizable read. The filter begins with _id. Errors:
// NotFound, Unavailable.
func (c collection) get(ctx context.Context, filter bson.D, into any, o ...options.Lister[options.FindOneOptions]) error {
	ctx, cancel := c.withTimeout(ctx)
	defer cancel()
	read := func(c collection) error { return c.FindOne(ctx, filter, o...).Decode(into) }
	err := read(c)
	if errors.Is(err, driver.ErrNoDocuments) && c.db.Server != FerretDB1 {
		err = c.readLinearizable(read)
	}
	if errors.Is(err, driver.ErrNoDocuments) {
		return fault.New(fault.NotFound, "%s is not in %s", filter[0].Value, c.Name())
	}
	return unavailable(ctx, err, "read %s in %s", filter[0].Value, c.Name())
}

// insert inserts a document; it returns false if a document with this _id exists. Errors: Unavailable.
func (c collection) insert(ctx context.Context, document any, format string, args ...any) (bool, error) {
	ctx, cancel := c.withTimeout(ctx)
	defer cancel()
	_, err := c.InsertOne(ctx, document)
	if isDuplicate(err) {
		return false, nil
	}
	if errors.As(err, new(driver.WriteException)) {
		// The text of the server's error may quote the document: keys, customers' data.
		err = errors.New("the write was not confirmed")
	}
	return err == nil, unavailable(ctx, err, format, args...)
}

// remove deletes the document with this _id and reports whether it existed. Errors: Unavailable.
func (c collection) remove(ctx context.Context, id, format string, args ...any) (bool, error) {
	ctx, cancel := c.withTimeout(ctx)
	defer cancel()
	result, err := c.DeleteOne(ctx, byID(id))
	return err == nil && result.DeletedCount > 0, unavailable(ctx, err, format, args...)
}

func byID(id string) bson.D { return bson.D{{Key: "_id", Value: id}} }

// unavailable wraps errors of server, network or context; nil stays nil. If the context has ended, the error matches the context's
// error, even if the driver's does not.
func unavailable(ctx context.Context, err error, format string, args ...any) error {
	if ended := ctx.Err(); err != nil && ended != nil && !errors.Is(err, ended) {
		err = errors.Join(ended, err)
	}
	return fault.Wrap(err, fault.Unavailable, format, args...)
}

// isDuplicate reports whether a write was refused because a document with the same unique key exists at a majority. A duplicate key
// error together with a write-concern error is inconclusive: the existing document may be rolled back.
func isDuplicate(err error) bool {
	var one driver.WriteException
	var many driver.BulkWriteException
	unconfirmed := errors.As(err, &one) && one.WriteConcernError != nil || errors.As(err, &many) && many.WriteConcernError != nil
	return driver.IsDuplicateKeyError(err) && !unconfirmed
}

// results returns the result of each of n documents of a write: nil or an error. An error that leaves results unknown is returned for
// all. After an error in an ordered write, later documents were not tried.
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

// Concurrent writes share round trips. If a round trip takes longer than slowRoundTrip, waiting writes get another one. An insert on a
// healthy server is faster.
const (
	maxRoundTrips = 4
	slowRoundTrip = 200 * time.Millisecond
)

// newGroup returns a group that shares round trips.
func newGroup[T any](c groupcommit.Config[T]) *groupcommit.Group[T] {
	g, err := groupcommit.New(c)
	if err != nil {
		panic(err) // the configuration is constant
	}
	return g
}
