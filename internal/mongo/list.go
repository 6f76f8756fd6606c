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
	"github.com/ordersaga/ordersaga/workflows/order"
)

// Names of the collections of list entries.
const (
	OrdersCollection = "orders"
	LateCollection   = "late"
	SagasCollection  = "sagas"
)

// List keeps the entries of a list, one document an order; see entry. It implements readmodel.Store.
//
// An entry only ever moves to a higher version, in whatever order Put is called. FerretDB 1 has no atomic updates: there the calls
// of one process for an order take turns. Two processes can still lose an update there, for ever only when the process that wrote
// the terminal state ended in between; a rebuild repairs it.
type List struct {
	entries collection
	group   *groupcommit.Group[replacement]
	// turns is for FerretDB 1.
	turns turns
	// flows reports that the entries are sagas of several flows.
	flows bool
}

// replacement is an entry that may replace versions up to most.
type replacement struct {
	entry
	most int64
}

// NewOrders returns the list of orders.
func NewOrders(db *DB) *List { return newList(db, OrdersCollection) }

// NewLate returns the list in which earlier versions kept late payments that needed attention, by the IDs of their orders.
func NewLate(db *DB) *List { return newList(db, LateCollection) }

// NewSagas returns the list of the sagas that are no orders, by the names of their streams.
func NewSagas(db *DB) *List {
	l := newList(db, SagasCollection)
	l.flows = true
	return l
}

func newList(db *DB, name string) *List {
	l := &List{entries: db.collection(name)}
	l.share(groupcommit.Config[replacement]{Write: l.replace, Lanes: lanes, Overtake: overtake})
	return l
}

// share has replacements share round trips.
func (l *List) share(c groupcommit.Config[replacement]) {
	c.Timeout = l.entries.db.Timeout
	l.group = shared(c)
}

// Indexes returns the indexes of List.
func (l *List) Indexes() []Index {
	if l.entries.db.Server == FerretDB1 {
		return nil
	}
	newest := newestFirst("createdAt")
	if l.flows {
		return []Index{
			{l.entries, "newest", newest, false},
			{l.entries, "flow_newest", append(bson.D{{Key: "flow", Value: 1}}, newest...), false},
			{l.entries, "status_newest", append(bson.D{{Key: "status", Value: 1}}, newest...), false},
		}
	}
	return []Index{
		{l.entries, "newest", newest, false},
		{l.entries, "status_newest", append(bson.D{{Key: "status", Value: 1}}, newest...), false},
		{l.entries, "customer_newest", append(bson.D{{Key: "customerId", Value: 1}}, newest...), false},
	}
}

// Put writes an entry, unless the same or a newer version of it exists. Errors: Invalid for an entry without id or version,
// Unavailable; then it may be called again.
func (l *List) Put(ctx context.Context, o readmodel.Order) error {
	_, err := l.Replace(ctx, o, o.Version-1)
	return err
}

// Replace implements readmodel.Store. Calls at the same time share round trips.
func (l *List) Replace(ctx context.Context, o readmodel.Order, most int64) (wrote bool, err error) {
	if o.ID == "" || o.Version < 1 {
		return false, fault.New(fault.Invalid, "a list entry needs the id and the version of its order")
	}
	r := replacement{toEntry(o), most}
	if l.entries.db.Server == FerretDB1 && most > 0 {
		return l.replaceInTurn(ctx, r.entry, most)
	}
	// Where the filter finds nothing because a newer version exists, the upsert meets its _id. So it does when it meets an insert of
	// the same moment, whatever that one's version: once more, and there is something for the filter to find.
	for range 2 {
		if err = l.group.Do(ctx, r); !isDuplicate(err) {
			return err == nil, unavailable(ctx, err, "write list entry %s", r.ID)
		}
		if most == 0 {
			break // it replaces nothing anyway
		}
	}
	return false, nil
}

// replace writes entries in one round trip, where nothing newer exists.
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

// All implements readmodel.Store. Whoever iterates may take any time.
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

// List returns one page of entries, newest first, and the cursor of the next page, empty after the last one.
// Pages are stable: an order that is there during all of them is on exactly one, whatever is written meanwhile,
// as long as it matches the filter. Errors: Invalid, Unavailable.
func (l *List) List(ctx context.Context, f readmodel.Filter) (items []readmodel.Order, nextCursor string, err error) {
	if err := f.Validate(); err != nil {
		return nil, "", err
	}
	p := &listing{collection: l.entries, name: f.Cursors(), by: "createdAt", filter: anyOf(bson.D{}, "status", f.Statuses)}
	if f.Flow != "" {
		p.filter = append(p.filter, bson.E{Key: "flow", Value: f.Flow})
	}
	if f.Calm {
		p.filter = append(p.filter, bson.E{Key: "status", Value: bson.D{{Key: "$ne", Value: order.StatusNeedsAttention}}})
	}
	if f.CustomerID != "" {
		p.filter = append(p.filter, bson.E{Key: "customerId", Value: f.CustomerID})
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
