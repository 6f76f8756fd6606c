package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"golang.org/x/sync/errgroup"

	"github.com/ordersaga/ordersaga/bench/internal/bar"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/mongo"
	"github.com/ordersaga/ordersaga/internal/readmodel"
)

// The shape of what is filled in.
const (
	// smallest is how many events there are at least: with fewer, some samples would find nothing.
	smallest = 200
	// eventsPerSKU says how many SKUs there are.
	eventsPerSKU = 10
	// One order in waitsEvery waits for its shipment; one in hotEvery is for the hot SKU.
	waitsEvery, hotEvery = 20, 10
	// eventsPerOrder is how many events an order has on average, in its own stream and in its SKU's: 9 when it is
	// completed, 5 when it waits.
	eventsPerOrder = 9 - 4.0/waitsEvery
	// ordersPerCustomer is how many orders a customer has on average.
	ordersPerCustomer = 10
	// spacing is the time between two orders: a larger size has a longer history, not more orders an hour.
	spacing = time.Second
	// patience bounds each round trip: what is slow is measured, and no error.
	patience = time.Minute
	// registered is how many SKUs one round trip makes known.
	registered = 1000
)

// fill is a database of one size, and what is known of it.
type fill struct {
	db      *mongo.DB
	log     *mongo.Log
	list    *mongo.List
	random  *rand.Rand
	writers int
	seed    uint64
	// newest is when the newest order was placed.
	newest time.Time

	events, skus, customers int
	// orders are the ids of all orders, waiting of those that wait.
	orders, waiting []string
}

// hotSKU is the SKU with the most orders and the longest stream.
var hotSKU = skuName(0)

// Fill describes how a database was filled.
type Fill struct {
	Took            time.Duration `json:"tookNanos"`
	EventsPerSecond float64       `json:"eventsPerSecond"`
}

func newFill(ctx context.Context, db *mongo.DB, o options, newest time.Time) (*fill, error) {
	f := &fill{db: db, random: rand.New(rand.NewPCG(o.seed, 0x67726f77)), writers: o.writers, seed: o.seed, newest: newest}
	f.log, f.list = mongo.NewLog(db, mongo.EventsCollection), mongo.NewOrders(db)
	return f, mongo.Setup(ctx, f.log.Indexes(), f.list.Indexes())
}

// plan is what is filled in.
type plan struct {
	orders []placed
	// shelves are the orders of each SKU.
	shelves map[string][]placed
}

// with fills in about so many events.
func (f *fill) with(ctx context.Context, events int, progress *bar.Bar) (Fill, error) {
	began := time.Now()
	progress.Doing(fmt.Sprintf("filling in %s events", number(events)))
	p := f.plan(events)
	if err := f.register(ctx, p); err != nil {
		return Fill{}, err
	}
	if err := f.write(ctx, p, progress); err != nil {
		return Fill{}, err
	}
	took := time.Since(began)
	return Fill{Took: took, EventsPerSecond: float64(f.events) / took.Seconds()}, nil
}

// plan draws the orders and SKUs of so many events.
func (f *fill) plan(events int) plan {
	f.skus = max(events/eventsPerSKU, 2)
	orders := max(int(float64(events-f.skus)/eventsPerOrder), 1)
	f.customers = max(orders/ordersPerCustomer, 1)
	p := plan{shelves: make(map[string][]placed, f.skus)}
	for n := range f.skus {
		p.shelves[skuName(n)] = nil
	}
	for n := range orders {
		o := placed{
			id: event.DerivedID("growth", fmt.Sprint(f.seed), fmt.Sprint(n)), sku: hotSKU, customer: f.customer(f.random),
			at: f.newest.Add(-time.Duration(n) * spacing), waits: n%waitsEvery == 0,
		}
		if f.random.IntN(hotEvery) != 0 {
			o.sku = f.sku(f.random)
		}
		p.shelves[o.sku] = append(p.shelves[o.sku], o)
		if f.orders = append(f.orders, o.id); o.waits {
			f.waiting = append(f.waiting, o.id)
		}
		p.orders = append(p.orders, o)
	}
	return p
}

// sku is any SKU except the hot one.
func (f *fill) sku(random *rand.Rand) string { return skuName(1 + random.IntN(f.skus-1)) }

func (f *fill) customer(random *rand.Rand) string {
	return fmt.Sprintf("c-%d", random.IntN(f.customers))
}

// register makes the SKUs known, as the ledger does before it writes their first event.
func (f *fill) register(ctx context.Context, p plan) error {
	names := make([]any, 0, len(p.shelves))
	for sku := range p.shelves {
		names = append(names, bson.D{{Key: "_id", Value: sku}})
	}
	for len(names) > 0 {
		n := min(registered, len(names))
		if _, err := f.db.Database.Collection(mongo.SKUsCollection).InsertMany(ctx, names[:n]); err != nil {
			return err
		}
		names = names[n:]
	}
	return nil
}

// write appends all streams of a plan, and lists its orders.
func (f *fill) write(ctx context.Context, p plan, progress *bar.Bar) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(f.writers)
	var events atomic.Int64
	count := func(n int) {
		events.Add(int64(n))
		progress.Step(n)
	}
	// The long stream is written one batch after the other: it begins first.
	stock := func(sku string) {
		group.Go(func() error {
			s := shelf{sku: sku}
			s.open(f.newest)
			for _, o := range p.shelves[sku] {
				s.sell(o)
			}
			count(len(s.entries))
			return f.append(ctx, event.StockStream(sku), s.entries)
		})
	}
	stock(hotSKU)
	for sku := range p.shelves {
		if sku != hotSKU {
			stock(sku)
		}
	}
	for _, o := range p.orders {
		group.Go(func() error {
			entries, state, err := o.stream()
			if err != nil {
				return err
			}
			if err := f.append(ctx, event.OrderStream(o.id), entries); err != nil {
				return err
			}
			count(len(entries))
			return f.list.Put(ctx, readmodel.FromState(state))
		})
	}
	err := group.Wait()
	f.events = int(events.Load())
	return err
}

// append appends the entries of a new stream, as many at once as an append takes.
func (f *fill) append(ctx context.Context, stream string, entries []event.Entry) error {
	var head event.Head
	for len(entries) > 0 {
		n := min(eventlog.MaxBatch, len(entries))
		var err error
		if head, _, err = f.log.Append(ctx, stream, head, entries[:n]); err != nil {
			return err
		}
		entries = entries[n:]
	}
	return nil
}
