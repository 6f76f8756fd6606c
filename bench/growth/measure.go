package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/ordersaga/ordersaga/bench/internal/bar"
	"github.com/ordersaga/ordersaga/bench/internal/stats"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/inventory"
	"github.com/ordersaga/ordersaga/internal/mongo"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// warmUp is how often each operation runs before it is measured: connections are dialled, and plans made.
const warmUp = 5

// page is the size of a page.
const page = 50

// operation is something that should cost the same at every size. It prepares one sample and returns what is measured.
type operation struct {
	name    string
	prepare func(ctx context.Context) (timed func(ctx context.Context) error, err error)
}

// meter measures one size.
type meter struct {
	*fill
	random *rand.Rand
	// warm has the data in its caches; every cold sample gets a new log.
	warm   *mongo.Log
	ledger *inventory.Ledger
	serial int
}

// newMeter prepares to measure a database.
func newMeter(f *fill, o options) (*meter, error) {
	m := &meter{fill: f, random: rand.New(rand.NewPCG(o.seed, uint64(f.events)))}
	m.warm = m.coldLog()
	var err error
	m.ledger, err = m.newLedger(m.warm)
	return m, err
}

// measure measures every operation on every database. The databases take turns sample by sample: what slows the machine
// down for a while hits all sizes alike.
func measure(ctx context.Context, meters []*meter, samples int, progress *bar.Bar) ([]Size, error) {
	sizes := make([]Size, len(meters))
	for i, m := range meters {
		newest, _, err := m.warm.Head(ctx, event.StockStream(hotSKU))
		if err != nil {
			return nil, err
		}
		sizes[i] = Size{Events: m.events, SKUs: m.skus, Orders: len(m.orders), Longest: int(newest.Version)}
	}
	for n := range meters[0].operations() {
		took := make([][]time.Duration, len(meters))
		for round := range samples + min(warmUp, samples) {
			for i, m := range meters {
				op := m.operations()[n]
				progress.Doing("measuring: " + op.name)
				t, err := sample(ctx, op)
				if err != nil {
					return nil, fmt.Errorf("%s at %d events: %w", op.name, m.events, err)
				}
				if round >= min(warmUp, samples) {
					took[i] = append(took[i], t)
					progress.Step(1)
				}
			}
		}
		for i, m := range meters {
			sizes[i].Operations = append(sizes[i].Operations, Operation{Name: m.operations()[n].name, Latency: stats.LatencyOf(took[i])})
		}
	}
	for i, m := range meters {
		progress.Doing("walking")
		var err error
		if sizes[i].Walk, err = m.walk(ctx); err != nil {
			return nil, err
		}
		progress.Line("%s", sizes[i])
	}
	return sizes, nil
}

func sample(ctx context.Context, op operation) (time.Duration, error) {
	timed, err := op.prepare(ctx)
	if err != nil {
		return 0, fmt.Errorf("prepare: %w", err)
	}
	began := time.Now()
	err = timed(ctx)
	return time.Since(began), err
}

// coldLog is a log that has seen nothing, as that of a process that has just begun.
func (m *meter) coldLog() *mongo.Log { return mongo.NewLog(m.db, mongo.EventsCollection) }

func (m *meter) newLedger(log eventlog.Log) (*inventory.Ledger, error) {
	return inventory.New(inventory.Config{Log: log, Registry: mongo.NewSKUs(m.db), Temporary: order.Temporary})
}

// operations are all that is measured.
func (m *meter) operations() []operation {
	return []operation{
		{"append to an order, head known", m.appendTo(false)},
		{"append to an order, cold", m.appendTo(true)},
		{"timeline of an order", m.timeline(false)},
		{"verify an order's stream", m.timeline(true)},
		{"update the order's list entry", m.relist},
		{"list of orders, newest", m.listed(func() readmodel.Filter { return readmodel.Filter{} }, false)},
		{"list of orders, deep page", m.listed(func() readmodel.Filter { return readmodel.Filter{} }, true)},
		{"list of orders, one status", m.listed(m.byStatus(statusWaiting), false)},
		{"list of orders, one status, deep page", m.listed(m.byStatus(statusCompleted), true)},
		{"list of orders, two statuses, deep page", m.listed(m.byStatus(statusWaiting, statusCompleted), true)},
		{"list of orders, one customer", m.listed(m.byCustomer, false)},
		{"reserve, SKU known", m.reserve(false, false)},
		{"reserve, cold", m.reserve(true, false)},
		{"reserve, cold, longest stream", m.reserve(true, true)},
		{"reserve again, cold, longest stream", m.reserveAgain},
		{"balance of a SKU", m.balance(false)},
		{"balance, longest stream", m.balance(true)},
		{"list of SKUs, a page", m.listSKUs},
	}
}

func (m *meter) anyOf(ids []string) string { return ids[m.random.IntN(len(ids))] }

func (m *meter) next() string {
	m.serial++
	return fmt.Sprintf("%d-%d", m.events, m.serial)
}

// Walk is a walk of the whole log, which verifies every stream. It costs more with each event, by its nature.
type Walk struct {
	Events          int           `json:"events"`
	Took            time.Duration `json:"tookNanos"`
	EventsPerSecond float64       `json:"eventsPerSecond"`
}

// walk verifies the whole log.
func (m *meter) walk(ctx context.Context) (Walk, error) {
	began, n := time.Now(), 0
	var head event.Head
	stream := ""
	for r, err := range m.warm.Walk(ctx, eventlog.Selection{}) {
		if err != nil {
			return Walk{}, fmt.Errorf("walk: %w", err)
		}
		if r.Stream != stream {
			stream, head = r.Stream, event.Head{}
		}
		if err := eventlog.Verify(stream, head, []event.Record{r}); err != nil {
			return Walk{}, fmt.Errorf("walk: %w", err)
		}
		head = r.HeadOf()
		n++
	}
	took := time.Since(began)
	if n < m.events {
		return Walk{}, fmt.Errorf("the walk has seen %d events of %d", n, m.events)
	}
	return Walk{Events: n, Took: took, EventsPerSecond: float64(n) / took.Seconds()}, nil
}
