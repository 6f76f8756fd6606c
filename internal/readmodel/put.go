package readmodel

import (
	"context"
	"errors"
	"hash/maphash"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ordersaga/ordersaga/internal/eventlog/mongolog"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// putRounds bounds how often one Put tries to find out that it is done.
const putRounds = 5

// guard says which stored versions a write may replace.
type guard int

const (
	// older is what Put may replace.
	older guard = iota
	// olderOrSame is what a rebuild may replace: the fold may have learnt something.
	olderOrSame
	// anyVersion is what a rebuild may replace when the log knows nothing of the stored version.
	anyVersion
)

func (g guard) allows(stored, offered int64) bool {
	return g == anyVersion || stored < offered || (g == olderOrSame && stored == offered)
}

// filter selects the document, if the guard allows to replace it.
func (g guard) filter(d document) bson.D {
	switch g {
	case older:
		return append(byID(d.ID), bson.E{Key: "version", Value: bson.D{{Key: "$lt", Value: d.Version}}})
	case olderOrSame:
		return append(byID(d.ID), bson.E{Key: "version", Value: bson.D{{Key: "$lte", Value: d.Version}}})
	}
	return byID(d.ID)
}

// errStands says that the same or a newer version of an order stands there: its write has nothing to do.
var errStands = errors.New("the same or a newer version stands")

// Put writes the document of an order, unless the same or a newer version of it stands there. Puts that come at the same
// time share round trips. Errors: Invalid for an order without id or version, Unavailable; then it may be called again.
func (s *Store) Put(ctx context.Context, o Order) error {
	if err := valid(o); err != nil {
		return err
	}
	standIn, err := s.standIn(ctx)
	if err != nil {
		return err
	}
	d := toDocument(o)
	if standIn && d.Version > 1 {
		// Nothing but an insert is atomic there.
		_, err := s.put(ctx, o, older)
		return err
	}
	err = s.group.Do(ctx, d)
	if errors.Is(err, errStands) && d.Version > 1 {
		// An upsert that meets an insert of the same moment fails as well, whatever that one's version: once more, and
		// there is something for the filter to find.
		err = s.group.Do(ctx, d)
	}
	if errors.Is(err, errStands) {
		return nil
	}
	return unavailable(ctx, err, "write list entry of order %s", d.ID)
}

// together writes documents in one round trip, where nothing newer stands.
func (s *Store) together(ctx context.Context, docs []document) []error {
	// Group.Do is called when it is known what the server is.
	var err error
	if standIn, _ := s.standIn(ctx); standIn {
		_, err = s.orders.InsertMany(ctx, docs, options.InsertMany().SetOrdered(false))
	} else {
		// Where the filter finds nothing because something newer stands there, the upsert meets its _id.
		models := make([]mongo.WriteModel, len(docs))
		for i, d := range docs {
			models[i] = mongo.NewReplaceOneModel().SetFilter(older.filter(d)).SetReplacement(d).SetUpsert(true)
		}
		_, err = s.orders.BulkWrite(ctx, models, options.BulkWrite().SetOrdered(false))
	}
	return resultsOf(len(docs), err)
}

// resultsOf is what the error of an unordered write of n documents says about each of them.
func resultsOf(n int, err error) []error {
	results := make([]error, n)
	var bulk mongo.BulkWriteException
	if err == nil || errors.As(err, &bulk) && bulk.WriteConcernError == nil && len(bulk.WriteErrors) > 0 {
		for _, e := range bulk.WriteErrors {
			results[e.Index] = e
			if mongo.IsDuplicateKeyError(e.WriteError) {
				results[e.Index] = errStands
			}
		}
		return results
	}
	for i := range results {
		results[i] = err
	}
	return results
}

// valid checks what is to be written. The error is Invalid.
func valid(o Order) error {
	if o.ID == "" || o.Version < 1 {
		return fault.New(fault.Invalid, "a list entry needs the id and the version of its order")
	}
	return nil
}

// put returns whether it wrote.
func (s *Store) put(ctx context.Context, o Order, g guard) (bool, error) {
	if err := valid(o); err != nil {
		return false, err
	}
	standIn, err := s.standIn(ctx)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	d := toDocument(o)
	if standIn {
		return s.putInRow(ctx, d, g, o.Status.Terminal())
	}
	return s.putGuarded(ctx, d, g)
}

// putGuarded is for servers whose updates are atomic: an upsert. Where its filter finds nothing because something stands
// there that the guard keeps, it meets the _id; so it does when it meets an insert of the same moment, whatever the guard says of
// that one: once more, and there is something for the filter to find.
func (s *Store) putGuarded(ctx context.Context, d document, g guard) (bool, error) {
	for range 2 {
		_, err := s.orders.ReplaceOne(ctx, g.filter(d), d, options.Replace().SetUpsert(true))
		if !mongolog.Duplicate(err) {
			return err == nil, unavailable(ctx, err, "write list entry of order %s", d.ID)
		}
	}
	return false, nil
}

// putInRow is for FerretDB 1: there a filter on more than _id scans the collection, and updates are lost. The
// comparison is made here, with the writes of this process in a row. A terminal state is read again: nothing
// would come after it to repair it.
func (s *Store) putInRow(ctx context.Context, d document, g guard, terminal bool) (bool, error) {
	lock := &s.locks[maphash.String(s.seed, d.ID)%stripes]
	lock.Lock()
	defer lock.Unlock()
	wrote := false
	for range putRounds {
		stored, found, err := s.Get(ctx, d.ID)
		if err != nil {
			return false, err
		}
		if found && (!g.allows(stored.Version, d.Version) || (wrote && stored.Version == d.Version)) {
			return wrote, nil
		}
		if !found {
			if wrote, err = s.insert(ctx, d); err != nil {
				return false, err
			}
		} else {
			if _, err := s.orders.ReplaceOne(ctx, byID(d.ID), d); err != nil {
				return false, unavailable(ctx, err, "write list entry of order %s", d.ID)
			}
			wrote = true
		}
		if wrote && !terminal {
			return true, nil
		}
	}
	return false, fault.New(fault.Unavailable, "the list entry of order %s does not hold still", d.ID)
}

// insert reports false when the order has a document already.
func (s *Store) insert(ctx context.Context, d document) (bool, error) {
	_, err := s.orders.InsertOne(ctx, d)
	if mongolog.Duplicate(err) {
		return false, nil
	}
	if err != nil {
		return false, unavailable(ctx, err, "write list entry of order %s", d.ID)
	}
	return true, nil
}
