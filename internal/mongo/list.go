package mongo

import (
	"context"
	"iter"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/groupcommit"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Names of the collections of list entries.
const (
	OrdersCollection = "orders"
	LateCollection   = "late"
	SagasCollection  = "sagas"
)

// List stores the entries of a list, one document per order; see entry. It implements readmodel.Store.
//
// An entry is only replaced by a higher version, in whatever order Put is called. FerretDB 1 has no atomic updates: there the calls of one
// process for an order are serialized. Two processes can still lose an update; it is lost permanently only if the process that wrote the
// terminal state ended at that moment. A rebuild repairs it.
type List struct {
	entries collection
	group   *groupcommit.Group[replacement]
	// locks is for FerretDB 1.
	locks documentLocks
	// flows is set if the entries are sagas of several flows.
	flows bool
}

// replacement is an entry that may replace versions up to and including most.
type replacement struct {
	entry
	most int64
}

// NewOrders returns the list of orders.
func NewOrders(db *DB) *List { return newList(db, OrdersCollection) }

// NewLate returns the list in which earlier versions kept late payments that needed attention, by the IDs of their orders.
func NewLate(db *DB) *List { return newList(db, LateCollection) }

// NewSagas returns the list of sagas that are not orders, by stream name.
func NewSagas(db *DB) *List {
	l := newList(db, SagasCollection)
	l.flows = true
	return l
}

func newList(db *DB, name string) *List {
	l := &List{entries: db.collection(name)}
	l.setGroup(groupcommit.Config[replacement]{Write: l.replace, Concurrency: maxRoundTrips, SlowAfter: slowRoundTrip})
	return l
}

// setGroup configures how replacements share round trips.
func (l *List) setGroup(c groupcommit.Config[replacement]) {
	c.Timeout = l.entries.db.Timeout
	l.group = newGroup(c)
}

// Indexes returns the indexes for List.
func (l *List) Indexes() []Index {
	if l.entries.db.Server == FerretDB1 {
		return nil
	}
	newest := newestFirst("createdAt")
	by := func(field string) bson.D { return append(bson.D{{Key: field, Value: 1}}, newest...) }
	indexes := []Index{{l.entries, "newest", newest, false}, {l.entries, "status_newest", by("status"), false}}
	if l.flows {
		return append(indexes, Index{l.entries, "flow_newest", by("flow"), false})
	}
	return append(indexes, Index{l.entries, "customer_newest", by("customerId"), false})
}

// Put writes an entry, unless the same or a newer version exists. Errors: Invalid for an entry without ID or version; Unavailable: call it
// again.
func (l *List) Put(ctx context.Context, o readmodel.Order) error {
	_, err := l.Replace(ctx, o, o.Version-1)
	return err
}

// Replace implements readmodel.Store. Concurrent calls share round trips.
func (l *List) Replace(ctx context.Context, o readmodel.Order, most int64) (wrote bool, err error) {
	if o.ID == "" || o.Version < 1 {
		return false, fault.New(fault.Invalid, "a list entry needs the ID and the version of its order")
	}
	r := replacement{toEntry(o), most}
	if l.entries.db.Server == FerretDB1 && most > 0 {
		return l.replaceSerialized(ctx, r.entry, most)
	}
	// If a newer version exists, the filter does not match and the upsert conflicts with its _id. A concurrent insert of any version has the
	// same effect: on a second attempt the filter finds that version.
	for range 2 {
		if err = l.group.Do(ctx, r); !isDuplicate(err) {
			return err == nil, unavailable(ctx, err, "write list entry %s", r.ID)
		}
		if most == 0 {
			break // it replaces nothing
		}
	}
	return false, nil
}

// replace writes entries in one round trip, unless newer versions exist.
func (l *List) replace(ctx context.Context, batch []replacement) []error {
	models := make([]driver.WriteModel, len(batch))
	for i, r := range batch {
		if l.entries.db.Server == FerretDB1 {
			models[i] = driver.NewInsertOneModel().SetDocument(r.entry)
			continue
		}
		filter := byID(r.ID)
		if r.most != readmodel.AnyVersion {
			filter = append(filter, bson.E{Key: "version", Value: bson.D{{Key: "$lte", Value: r.most}}})
		}
		models[i] = driver.NewReplaceOneModel().SetFilter(filter).SetReplacement(r.entry).SetUpsert(true)
	}
	_, err := l.entries.BulkWrite(ctx, models, options.BulkWrite().SetOrdered(false))
	return results(len(batch), err)
}

// Get implements readmodel.Store.
func (l *List) Get(ctx context.Context, id string) (o readmodel.Order, found bool, err error) {
	documents, err := find[bson.Raw](ctx, l.entries, byID(event.Escape(id)), options.Find().SetLimit(-1), "read list entry %s", id)
	if err != nil || len(documents) == 0 {
		return readmodel.Order{}, false, err
	}
	return readEntry(documents[0]), true, nil
}

// All implements readmodel.Store. The iteration may take any time.
func (l *List) All(ctx context.Context) iter.Seq2[readmodel.Order, error] {
	return func(yield func(readmodel.Order, error) bool) {
		for raw, err := range l.entries.scanByID(nil).all(ctx) {
			o := readmodel.Order{}
			if err == nil {
				o = readEntry(raw)
			}
			if (err != nil || o.ID != "") && !yield(o, err) {
				return
			}
		}
	}
}

// Remove implements readmodel.Store.
func (l *List) Remove(ctx context.Context, id string) (bool, error) {
	return l.entries.remove(ctx, event.Escape(id), "remove list entry %s", id)
}

// List returns one page of entries, newest first, and the cursor of the next page, empty after the last one. Pages are stable: an order that
// exists and matches the filter all the time is on exactly one page, whatever is written meanwhile. Errors: Invalid, Unavailable.
func (l *List) List(ctx context.Context, f readmodel.Filter) (items []readmodel.Order, nextCursor string, err error) {
	if err := f.Validate(); err != nil {
		return nil, "", err
	}
	p := &listing{collection: l.entries, name: f.Cursors(), by: "createdAt", filter: anyOf(bson.D{}, "status", f.Statuses)}
	if f.Flow != "" {
		p.filter = append(p.filter, bson.E{Key: "flow", Value: f.Flow})
	}
	if f.WithoutAttention {
		p.filter = append(p.filter, bson.E{Key: "status", Value: bson.D{{Key: "$ne", Value: saga.NeedsAttention}}})
	}
	if f.CustomerID != "" {
		p.filter = append(p.filter, bson.E{Key: "customerId", Value: f.CustomerID})
	}
	if f.Reason != "" {
		p.filter = append(p.filter, bson.E{Key: "reason", Value: f.Reason})
	}
	amounts := bson.D{}
	if f.MinAmount != nil {
		amounts = append(amounts, bson.E{Key: "$gte", Value: *f.MinAmount})
	}
	if f.MaxAmount != nil {
		amounts = append(amounts, bson.E{Key: "$lte", Value: *f.MaxAmount})
	}
	if len(amounts) > 0 {
		p.filter = append(p.filter, bson.E{Key: "totalAmount", Value: amounts})
	}
	p.within(f.CreatedFrom, f.CreatedTo, f.Cursor)
	entries, nextCursor, err := readPage[entry](ctx, p, f.Limit)
	if err != nil {
		return nil, "", err
	}
	items = make([]readmodel.Order, len(entries))
	for i, e := range entries {
		items[i] = e.order()
	}
	return items, nextCursor, nil
}
