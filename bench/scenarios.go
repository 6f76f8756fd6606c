package main

import (
	"context"
	"fmt"
	"time"

	"github.com/ordersaga/ordersaga/bench/internal/load"
	"github.com/ordersaga/ordersaga/bench/internal/report"
	"github.com/ordersaga/ordersaga/bench/internal/rig"
	"github.com/ordersaga/ordersaga/bench/internal/shop"
	"github.com/ordersaga/ordersaga/bench/internal/stats"
	"github.com/ordersaga/ordersaga/bench/naive"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// side is what must run for a scenario.
type side string

const (
	// inside is this process: the floor, the naive sagas, the log by itself.
	inside side = "inside"
	// serve is the service in one process.
	serve side = "serve"
	// apart is the service as an api, a worker and a consumer.
	apart side = "apart"
	// regular is the service in one process, with a payment gateway that is too slow to be called inside of a workflow task.
	regular side = "regular"
	// replicas are three processes of the service with a load balancer: their workers race for every SKU that they share.
	replicas side = "replicas"
)

// sides are all of them.
var sides = []side{inside, serve, apart, regular, replicas}

// scenario is one thing to measure.
type scenario struct {
	name, title string
	side        side
	// share is how much of the orders a round it gets: what is slow by nature would take most of the time. 0 is all.
	share float64
	// last scenarios run last in their side: they need what another one has measured or written.
	last bool
	// paced scenarios are given their load.
	paced bool
	// part scenarios measure only a part of an order's life.
	part bool
	// undone says from when to when a latency goes that ends with everything undone.
	undone string
	basket shop.Basket
	// run does it and answers what was measured, and of how many.
	run func(ctx context.Context, t *turn) (load.Sample, int, error)
	// unit is what is counted; orders when empty.
	unit string
}

// scenarios are everything that is measured, in the order of the report.
var scenarios = []scenario{
	{name: report.Floor, title: "floor: an empty workflow", side: inside, run: floorBy((*rig.Inside).Floor)},
	{name: report.FloorDefaults, title: "floor, with the SDK's defaults", side: inside, run: floorBy((*rig.Inside).FloorDefaults)},
	{name: report.Naive, title: "naive: 11 activities", side: inside, share: 0.4, run: naiveBy(naive.NameSteps)},
	{name: report.Naive6, title: "naive: 6 activities", side: inside, share: 0.6, run: naiveBy(naive.NameCompact)},
	{name: "rest", title: "ordersaga, by REST", side: serve, run: placed((*shop.Shop).ByREST)},
	{name: "keyed", title: "by REST with an Idempotency-Key", side: serve, run: placed((*shop.Shop).ByRESTWithKey)},
	{name: "event", title: "by event", side: serve, run: placed((*shop.Shop).ByEvent)},
	{name: "apart-rest", title: "by REST, roles apart", side: apart, run: placed((*shop.Shop).ByREST)},
	{name: "apart-event", title: "by event, roles apart", side: apart, run: placed((*shop.Shop).ByEvent)},
	{name: "regular", title: "by REST, payments by regular activities", side: regular, run: placed((*shop.Shop).ByREST)},
	{name: "replicas-3", title: "by REST, three of the service", side: replicas, run: placed((*shop.Shop).ByREST)},
	{name: "replicas-3-hot", title: "three processes, one SKU for all orders", side: replicas, basket: shop.Basket{Hot: true}, run: placed((*shop.Shop).ByREST)},
	{name: "shipment", title: "shipment: packed, sent, delivered", side: serve, basket: shop.Basket{Shipment: true}, run: placed((*shop.Shop).ByShipment)},
	{name: "declined-1", title: "1 % declined", side: serve, basket: shop.Basket{Declined: 0.01}, run: placed((*shop.Shop).ByREST)},
	{name: "declined-10", title: "10 % declined", side: serve, basket: shop.Basket{Declined: 0.1}, run: placed((*shop.Shop).ByREST)},
	{
		name: "declined", title: "all declined", side: serve, basket: shop.Basket{Declined: 1}, run: placed((*shop.Shop).ByREST),
		undone: "from the order's request to its answer: declined, the stock released, the end in the log",
	},
	{
		name: "cancelled", title: "waiting shipments cancelled", side: serve, share: 0.5, part: true, basket: shop.Basket{Shipment: true}, run: cancelled,
		undone: "from the cancellation's request to the end on the bus: recalled, the payment voided, the stock released",
	},
	{name: "hot", title: "one SKU for all orders", side: serve, basket: shop.Basket{Hot: true}, run: placed((*shop.Shop).ByREST)},
	{name: "lines-20", title: "20 lines an order", side: serve, share: 0.25, basket: shop.Basket{Lines: 20}, run: placed((*shop.Shop).ByREST)},
	{name: "half", title: "at half of the maximum by REST", side: serve, last: true, paced: true, run: atHalf},
	{name: "append", title: "appended event by event through the log", side: inside, unit: "documents", run: appendAll},
	{name: report.Raw, title: "the same documents by raw InsertMany", side: inside, last: true, unit: "documents", run: insertRaw},
}

func scenarioNames() []string {
	names := make([]string, len(scenarios))
	for i, s := range scenarios {
		names[i] = s.name
	}
	return names
}

// turn is one scenario's turn in a round.
type turn struct {
	scenario scenario
	// id begins the names of what the turn makes; it is fit for order and workflow ids.
	id          string
	n, inFlight int
	seed        uint64
	// rate is that of scenario rest in this round, orders a second.
	rate float64

	inside  *rig.Inside
	appends *rig.Appends
	naive   map[string]string
	shop    *shop.Shop
	// service are the processes that the shop buys from; nil where the scenario runs in this process.
	service *service

	// began is called when the measured part begins; without a call it is the whole turn.
	began func()
	// workflow notes a workflow whose history may be looked at.
	workflow func(id string)
	progress func()
}

// step makes a piece of work count in the progress bar.
func (t *turn) step(do load.Work) load.Work {
	return func(ctx context.Context, i int) error {
		defer t.progress()
		return do(ctx, i)
	}
}

func (t *turn) orders() []shop.Order { return t.scenario.basket.Orders(t.n, t.seed, t.id) }

func floorBy(run func(*rig.Inside, context.Context, string) error) func(context.Context, *turn) (load.Sample, int, error) {
	return func(ctx context.Context, t *turn) (load.Sample, int, error) {
		sample, err := load.Closed(ctx, t.n, t.inFlight, t.step(func(ctx context.Context, i int) error {
			id := fmt.Sprintf("%s-%d", t.id, i)
			t.workflow(id)
			return run(t.inside, ctx, id)
		}))
		return sample, t.n, err
	}
}

func naiveBy(flow string) func(context.Context, *turn) (load.Sample, int, error) {
	return func(ctx context.Context, t *turn) (load.Sample, int, error) {
		orders := t.orders()
		for _, o := range orders {
			t.naive[o.ID] = o.End
		}
		sample, err := load.Closed(ctx, t.n, t.inFlight, t.step(func(ctx context.Context, i int) error {
			t.workflow(rig.NaiveWorkflowID(orders[i].ID))
			return t.inside.Naive(ctx, flow, valueOf(orders[i]))
		}))
		return sample, t.n, err
	}
}

// valueOf is an order as the naive saga takes it.
func valueOf(o shop.Order) order.Order {
	v := order.Order{ID: o.ID, CustomerID: o.CustomerID, Currency: o.Currency, Payment: order.PaymentMethod{Method: o.Payment.Method}}
	for _, l := range o.Lines {
		v.Lines = append(v.Lines, order.Line{SKU: l.SKU, Quantity: l.Quantity, UnitAmount: l.UnitAmount})
	}
	return v.Normalize()
}

// placed places orders in one of the shop's ways. The turn ends when the bus has delivered every terminal event.
func placed(way func(*shop.Shop, context.Context, shop.Order) (string, error)) func(context.Context, *turn) (load.Sample, int, error) {
	return func(ctx context.Context, t *turn) (load.Sample, int, error) {
		orders := t.orders()
		began := time.Now()
		sample, err := load.Closed(ctx, t.n, t.inFlight, t.place(way, orders))
		if err == nil {
			err = t.shop.Settled(ctx)
		}
		sample.Elapsed = time.Since(began)
		return sample, t.n, err
	}
}

func (t *turn) place(way func(*shop.Shop, context.Context, shop.Order) (string, error), orders []shop.Order) load.Work {
	return t.step(func(ctx context.Context, i int) error {
		id, err := way(t.shop, ctx, orders[i])
		t.workflow("order-" + id)
		return err
	})
}

// openInFlight bounds an open loop: a service that does not respond gets no more than this.
const openInFlight = 1024

// atHalf places orders by a timetable at half the rate of scenario rest.
func atHalf(ctx context.Context, t *turn) (load.Sample, int, error) {
	if t.rate <= 0 {
		return load.Sample{}, 0, fmt.Errorf("scenario rest has no rate")
	}
	began := time.Now()
	timetable := stats.Timetable(t.n, t.rate/2, t.seed)
	sample, err := load.Open(ctx, timetable, openInFlight, t.place((*shop.Shop).ByREST, t.orders()))
	if err == nil {
		err = t.shop.Settled(ctx)
	}
	sample.Elapsed = time.Since(began)
	return sample, t.n, err
}

// cancelled cancels orders that wait for the warehouse. Only the cancelling is measured, until everything is undone.
func cancelled(ctx context.Context, t *turn) (load.Sample, int, error) {
	orders, ids := t.orders(), make([]string, t.n)
	_, err := load.Closed(ctx, t.n, t.inFlight, func(ctx context.Context, i int) (err error) {
		ids[i], err = t.shop.Park(ctx, orders[i])
		t.workflow("order-" + ids[i])
		return err
	})
	if err != nil {
		return load.Sample{}, 0, err
	}
	t.began()
	sample, err := load.Closed(ctx, t.n, t.inFlight, t.step(func(ctx context.Context, i int) error { return t.shop.Cancel(ctx, ids[i]) }))
	return sample, t.n, err
}

// appendAll compares like with like: it has as many documents on their way as the raw inserts, which have filled their batches
// beforehand. That takes more streams than there may be orders.
func appendAll(ctx context.Context, t *turn) (load.Sample, int, error) {
	sample, n, err := t.appends.Append(ctx, max(t.n, 2*rig.AppendWriters), rig.AppendWriters)
	for range t.n {
		t.progress()
	}
	return sample, n, err
}

func insertRaw(ctx context.Context, t *turn) (load.Sample, int, error) {
	sample, n, err := t.appends.Raw(ctx)
	for range t.n {
		t.progress()
	}
	return sample, n, err
}
