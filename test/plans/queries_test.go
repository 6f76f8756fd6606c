package plans

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	ours "github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/mongo"
	"github.com/ordersaga/ordersaga/internal/mongo/mongotest"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// How much there is: enough for an index to be worth it.
const (
	streams = 100
	long    = 400
	orders  = 2000
	skus    = 300
)

// began is when the newest of the orders was placed.
var began = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// recorder keeps what was asked of the server.
type recorder struct {
	mu      sync.Mutex
	queries []bson.D
}

// explainable are the fields of a find that say what is looked for; the others say how the answer travels.
var explainable = []string{"find", "filter", "sort", "limit", "projection", "hint"}

func (r *recorder) started(_ context.Context, e *event.CommandStartedEvent) {
	var command bson.D
	if bson.Unmarshal(e.Command, &command) != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch e.CommandName {
	case "find":
		r.queries = append(r.queries, slices.DeleteFunc(command, func(f bson.E) bool { return !slices.Contains(explainable, f.Key) }))
	case "update":
		// What is to be replaced is looked for as a find looks for it.
		for _, f := range command {
			updates, _ := f.Value.(bson.A)
			for _, u := range updates {
				for _, part := range u.(bson.D) {
					if part.Key == "q" {
						r.queries = append(r.queries, bson.D{{Key: "find", Value: command[0].Value}, {Key: "filter", Value: part.Value}})
					}
				}
			}
		}
	}
}

// of returns the queries that do sends, each shape once.
func (r *recorder) of(t *testing.T, do func(t *testing.T)) []bson.D {
	t.Helper()
	r.mu.Lock()
	r.queries = nil
	r.mu.Unlock()
	do(t)
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.queries)
}

// world is a database with something in it.
type world struct {
	db       *mongo.DB
	asked    *recorder
	log      *mongo.Log
	list     *mongo.List
	registry *mongo.SKUs
	head     ours.Head
	// byIDAlone reports whether the server is FerretDB 1: it uses the index of _id, for a filter on _id alone, and explains nothing.
	byIDAlone bool
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{asked: &recorder{}}
	var err error
	w.db, err = mongo.Open(t.Context(), mongotest.Database(t, options.Client().SetMonitor(&event.CommandMonitor{Started: w.asked.started})), nil)
	require.NoError(t, err)
	w.byIDAlone = w.db.Server == mongo.FerretDB1
	w.log, w.list, w.registry = w.coldLog(t), mongo.NewOrders(w.db), mongo.NewSKUs(w.db)
	require.NoError(t, mongo.Setup(t.Context(), w.log.Indexes(), w.list.Indexes()))
	w.fill(t)
	return w
}

// coldLog is a log that remembers nothing.
func (w *world) coldLog(t *testing.T) *mongo.Log {
	t.Helper()
	return mongo.NewLog(w.db, mongo.EventsCollection)
}

func entry(stream string, n int) ours.Entry {
	return ours.New(stream, fmt.Sprintf("slot-%d", n), ours.OrderAccepted, stream, began, map[string]any{"orderId": stream, "n": n})
}

func listed(n int, version int64) readmodel.Order {
	return readmodel.Order{
		Order:  order.Order{ID: fmt.Sprintf("o-%05d", n), CustomerID: fmt.Sprintf("c-%d", n%200), Currency: "EUR"},
		Status: order.Statuses[n%len(order.Statuses)], Version: version, CreatedAt: began.Add(-time.Duration(n) * time.Second), UpdatedAt: began,
	}
}

func (w *world) fill(t *testing.T) {
	t.Helper()
	write := func(stream string, n int) {
		var head ours.Head
		for from := 0; from < n; from += eventlog.MaxBatch {
			var entries []ours.Entry
			for i := from; i < min(from+eventlog.MaxBatch, n); i++ {
				entries = append(entries, entry(stream, i))
			}
			var err error
			head, _, err = w.log.Append(t.Context(), stream, head, entries)
			require.NoError(t, err)
		}
		w.head = head
	}
	for i := range streams {
		write(fmt.Sprintf("order-%d", i), 7)
	}
	write("sku-long", long)
	var all sync.WaitGroup
	for worker := range 16 {
		all.Go(func() {
			for i := worker; i < orders; i += 16 {
				if !t.Failed() && w.list.Put(t.Context(), listed(i, 1)) != nil {
					t.Errorf("order %d is not listed", i)
				}
			}
			for i := worker; i < skus; i += 16 {
				if !t.Failed() && w.registry.Add(t.Context(), fmt.Sprintf("sku-%d", i)) != nil {
					t.Errorf("sku %d is not registered", i)
				}
			}
		})
	}
	all.Wait()
	require.False(t, t.Failed())
}

// page returns the cursor after the first page of a filter.
func (w *world) page(t *testing.T, f readmodel.Filter) readmodel.Filter {
	t.Helper()
	f.Limit = 20
	items, next, err := w.list.List(t.Context(), f)
	require.NoError(t, err)
	require.NotEmpty(t, items)
	f.Cursor = next
	return f
}

// question is a query that runs often or while a user waits.
type question struct {
	name string
	ask  func(t *testing.T)
	// sorted says why it may be that FerretDB 2, which reads in the order of _id alone, sorts what it has found.
	sorted string
	// everything reports whether FerretDB 1, where only a filter on _id alone uses an index, reads the whole collection.
	everything bool
	// byID reports whether it is the index of _id that has to be used: a stream may be long.
	byID bool
	// windows reports whether FerretDB 2 is asked for one stretch of creation time after the other.
	windows bool
}

const manyStreams = "it reads all of them anyway, and no user waits"

func (w *world) questions(t *testing.T) []question {
	ok := func(do func(ctx context.Context) error) func(*testing.T) {
		return func(t *testing.T) { require.NoError(t, do(t.Context())) }
	}
	all := []question{
		{name: "the head of a stream", ask: ok(func(ctx context.Context) error { _, _, err := w.coldLog(t).Head(ctx, "sku-long"); return err })},
		{name: "a timeline", ask: ok(func(ctx context.Context) error { _, err := w.coldLog(t).Read(ctx, "order-7", 0, 0); return err })},
		{name: "what streams are about", byID: true, ask: func(t *testing.T) {
			log := w.coldLog(t)
			var all sync.WaitGroup
			for _, stream := range []string{"order-1", "order-2", "order-3", "sku-long", "customer-none", "order-none"} {
				all.Go(func() {
					if _, err := log.Read(t.Context(), stream, 0, 1); err != nil {
						t.Errorf("the first record of %s: %v", stream, err)
					}
				})
			}
			all.Wait()
		}},
		{name: "a page of a timeline", ask: ok(func(ctx context.Context) error { _, err := w.coldLog(t).Read(ctx, "sku-long", 50, 20); return err })},
		{name: "an append after a head that was never seen", ask: ok(func(ctx context.Context) error {
			_, _, err := w.coldLog(t).Append(ctx, "sku-long", w.head, []ours.Entry{entry("sku-long", long)})
			return err
		})},
		{name: "an append to a slot that is taken", ask: func(t *testing.T) {
			log := w.coldLog(t)
			newest, _, err := log.Head(t.Context(), "sku-long")
			require.NoError(t, err)
			taken := entry("sku-long", 3)
			taken.Type = ours.OrderCompleted
			_, _, err = log.Append(t.Context(), "sku-long", newest.HeadOf(), []ours.Entry{taken})
			require.ErrorIs(t, err, fault.KeyTaken)
		}},
		{name: "slots by their keys", ask: ok(func(ctx context.Context) error {
			_, err := w.log.FindAll(ctx, "sku-long", []string{"slot-5", "slot-200", "nothing"})
			return err
		})},
		{name: "the names of streams", everything: true, sorted: manyStreams, ask: func(t *testing.T) {
			for _, err := range w.log.Streams(t.Context(), "order-", "order-5") {
				require.NoError(t, err)
			}
		}},
		{name: "a walk through named streams", everything: true, sorted: manyStreams, ask: func(t *testing.T) {
			for _, err := range w.log.Walk(t.Context(), eventlog.Selection{Names: []string{"order-1", "order-2"}}) {
				require.NoError(t, err)
			}
		}},
		{name: "the list entry of an order", ask: ok(func(ctx context.Context) error { _, _, err := w.list.Get(ctx, "o-00007"); return err })},
		{name: "a newer list entry", ask: ok(func(ctx context.Context) error { return w.list.Put(ctx, listed(7, 2)) })},
		{name: "a page of SKUs", everything: true, ask: ok(func(ctx context.Context) error { _, err := w.registry.List(ctx, "sku-1", 50); return err })},
	}
	return append(all, w.lists(t)...)
}

// lists are the lists of orders: every filter, the first page and the next one.
func (w *world) lists(t *testing.T) []question {
	var all []question
	for name, f := range map[string]readmodel.Filter{
		"all":           {},
		"one status":    {Statuses: order.Statuses[:1]},
		"two statuses":  {Statuses: order.Statuses[:2]},
		"one customer":  {CustomerID: "c-5"},
		"some time":     {CreatedFrom: began.Add(-10 * time.Minute), CreatedTo: began.Add(-time.Minute)},
		"all of it":     {Statuses: order.Statuses, CustomerID: "c-5", CreatedFrom: began.Add(-time.Hour)},
		"since a while": {CreatedFrom: began.Add(-20 * time.Minute)},
	} {
		for which, f := range map[string]readmodel.Filter{"first page": f, "next page": w.page(t, f)} {
			all = append(all, question{name: "list of orders, " + name + ", " + which, everything: true, windows: true, ask: func(t *testing.T) {
				f.Limit = 5
				_, _, err := w.list.List(t.Context(), f)
				require.NoError(t, err)
			}})
		}
	}
	return all
}

// begins reports whether a query leaves out what was created before some moment.
func begins(query bson.D) bool {
	for _, field := range query {
		filter, _ := field.Value.(bson.D)
		for _, condition := range filter {
			bounds, _ := condition.Value.(bson.D)
			if condition.Key == "createdAt" && slices.ContainsFunc(bounds, func(b bson.E) bool { return b.Key == "$gte" }) {
				return true
			}
		}
	}
	return false
}

// TestEveryQueryUsesAnIndex: no query that runs often, or while a user waits, reads a collection from one end to the
// other or sorts what it finds, but where it says why. FerretDB 1 cannot explain; what it is asked is held to the one form for
// which it uses an index.
func TestEveryQueryUsesAnIndex(t *testing.T) {
	w := newWorld(t)
	sorting := w.db.Server == mongo.FerretDB2
	held := 0
	for _, q := range w.questions(t) {
		if w.byIDAlone && q.everything {
			continue
		}
		held++
		t.Run(q.name, func(t *testing.T) {
			queries := w.asked.of(t, q.ask)
			require.NotEmpty(t, queries, "it asks nothing")
			if sorting && q.windows {
				require.True(t, begins(queries[0]), "a page begins with a window that has no beginning: %v", queries[0])
			}
			for _, query := range queries {
				if w.byIDAlone {
					requireByID(t, query)
				} else {
					requireTargeted(t, query)
					p := w.requireIndexed(t, query, sorting && q.sorted != "")
					if q.byID {
						require.Equal(t, []string{"_id_"}, p.Indexes, "%v", query)
					}
				}
			}
		})
	}
	require.GreaterOrEqual(t, held, 8)
}

// requireTargeted requires that a query of events says of which streams: a cluster that is sharded by them asks one shard, or
// those that have them, and not every one.
func requireTargeted(t *testing.T, query bson.D) {
	t.Helper()
	if query[0].Value != mongo.EventsCollection {
		return
	}
	for _, field := range query {
		if filter, ok := field.Value.(bson.D); ok && field.Key == "filter" {
			require.True(t, slices.ContainsFunc(filter, func(condition bson.E) bool { return condition.Key == "stream" }), "%v", query)
		}
	}
}

// requireByID requires that a query asks for one _id and nothing else.
func requireByID(t *testing.T, query bson.D) {
	t.Helper()
	for _, field := range query {
		if field.Key == "filter" {
			filter := field.Value.(bson.D)
			require.Len(t, filter, 1, "%v", query)
			require.Equal(t, "_id", filter[0].Key, "%v", query)
			require.IsType(t, "", filter[0].Value, "%v", query)
			return
		}
	}
	require.Fail(t, "it has no filter", "%v", query)
}

// requireIndexed has the server explain a query.
func (w *world) requireIndexed(t *testing.T, query bson.D, maySort bool) Plan {
	t.Helper()
	var explained bson.D
	err := w.db.Database.RunCommand(t.Context(), bson.D{{Key: "explain", Value: query}, {Key: "verbosity", Value: "queryPlanner"}}).Decode(&explained)
	require.NoError(t, err, "%v", query)
	p := Read(explained)
	require.NotEmpty(t, p.Indexes, "%v\n%v", query, explained)
	require.False(t, p.Scans, "%v\n%v", query, explained)
	if !maySort {
		require.False(t, p.Sorts, "%v\n%v", query, explained)
	}
	return p
}
