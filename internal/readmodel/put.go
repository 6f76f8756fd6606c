package readmodel

import (
	"context"
	"hash/maphash"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

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

// Put writes the document of an order, unless the same or a newer version of it stands there. Errors: Invalid
// for an order without id or version, Unavailable; then it may be called again.
func (s *Store) Put(ctx context.Context, o Order) error {
	_, err := s.put(ctx, o, older)
	return err
}

// put returns whether it wrote.
func (s *Store) put(ctx context.Context, o Order, g guard) (bool, error) {
	if o.ID == "" || o.Version < 1 {
		return false, fault.New(fault.Invalid, "a list entry needs the id and the version of its order")
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

// putGuarded is for servers whose updates are atomic. The first version of an order is usually new, later ones
// usually find one to replace: one round trip each.
func (s *Store) putGuarded(ctx context.Context, d document, g guard) (bool, error) {
	isNew := d.Version == 1
	for range putRounds {
		if isNew {
			inserted, err := s.insert(ctx, d)
			if err != nil || inserted {
				return inserted, err
			}
		}
		result, err := s.orders.ReplaceOne(ctx, g.filter(d), d)
		if err != nil {
			return false, unavailable(ctx, err, "write list entry of order %s", d.ID)
		}
		if result.MatchedCount > 0 {
			return true, nil
		}
		stored, found, err := s.Get(ctx, d.ID)
		if err != nil {
			return false, err
		}
		if found && !g.allows(stored.Version, d.Version) {
			return false, nil
		}
		isNew = !found
	}
	return false, fault.New(fault.Unavailable, "the list entry of order %s does not hold still", d.ID)
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
	if mongo.IsDuplicateKeyError(err) {
		return false, nil
	}
	if err != nil {
		return false, unavailable(ctx, err, "write list entry of order %s", d.ID)
	}
	return true, nil
}
