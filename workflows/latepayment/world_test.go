package latepayment_test

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/event/eventtest"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// total is what the order comes to.
const total = 500

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// tb is what a test and a property have in common.
type tb interface {
	Helper()
	Errorf(format string, args ...any)
	FailNow()
	Fatalf(format string, args ...any)
}

// world is a late stream and the provider behind it, without a workflow.
type world struct {
	t     tb
	log   *memlog.Log
	state latepayment.State
	facts saga.Facts
	at    time.Time
	// arrived is the money that came, refunds what was given back, by the ID of the late payment.
	arrived int64
	refunds map[string]int64
	gateway *gateway
	// hand is what operators have handled.
	hand      int64
	events    int
	decisions int
}

func newWorld(t tb) *world {
	w := &world{t: t, log: memlog.New(), state: latepayment.State{OrderID: "42"}, at: start, refunds: map[string]int64{}}
	w.gateway = &gateway{world: w}
	return w
}

// gateway is the provider.
type gateway struct {
	payment.Gateway
	*world
}

func (g *gateway) Lookup(context.Context, payment.Payment) (payment.Result, error) {
	return payment.Result{State: payment.Captured, PaymentID: "p-1", Arrived: g.there()}, nil
}

func (g *gateway) Refund(_ context.Context, key string, _ payment.Payment, amount int64) (payment.Result, error) {
	if g.refunds[strings.TrimPrefix(key, "42/late/")] = amount; g.there() < 0 {
		g.t.Fatalf("more is given back than came")
	}
	return payment.Result{State: payment.Refunded}, nil
}

// came writes the verdict on a late event, as another process does: the run reads it.
func (w *world) came(eventType string, status order.Status) latepayment.LateRecord {
	w.t.Helper()
	w.events++
	id := "evt-" + strconv.Itoa(w.events)
	v := latepayment.LateRecord{ID: id, OrderID: "42", EventID: "cause-" + id, Type: eventType, Status: status}
	w.append(v.Entry("corr", w.at))
	return v
}

// paid has money arrive, and its event.
func (w *world) paid() {
	w.arrived += total
	w.came(event.PaymentSucceeded, order.StatusFailed)
}

func (w *world) append(e event.Entry) {
	w.t.Helper()
	w.at = w.at.Add(time.Second)
	_, tail, err := w.log.Append(context.Background(), event.LateStream("42"), w.state.Head, []event.Entry{e})
	if err != nil {
		w.t.Fatalf("append %s under %s: %v", e.Type, e.Key, err)
	}
	w.fold(tail)
}

func (w *world) fold(tail []event.Record) {
	w.t.Helper()
	next, err := w.state.Fold(tail)
	if err != nil {
		w.t.Fatalf("fold: %v", err)
	}
	w.state = next
}

func (w *world) next() saga.Action { return latepayment.Flow.Decide(w.state, w.facts, w.at, nil) }

// step does what a step does.
func (w *world) step(a saga.Action) {
	w.t.Helper()
	p := &latepayment.Participants{Gateway: w.gateway, Refunds: w.log, Payment: func(context.Context, string) (payment.Payment, error) {
		return payment.Payment{OrderID: "42", Amount: total, Currency: "EUR"}, nil
	}}
	in := saga.StepInput[latepayment.State]{State: w.state, Item: a.Item}
	o, err := latepayment.Flow.Operation(&w.state, a.Step, a.Kind).Run(p, context.Background(), saga.Call[latepayment.State]{
		ID: "42", Item: a.Item, State: w.state, Now: func() time.Time { return w.at },
	})
	if err == nil {
		err = latepayment.Flow.CheckOutcome(in, a.Step, a.Kind, o)
	}
	if err != nil {
		w.t.Fatalf("%s: %v", a, err)
	}
	entries, err := latepayment.Flow.Entries(in, a.Step, o, w.at)
	if err != nil {
		w.t.Fatalf("%s: %v", a, err)
	}
	w.append(entries[0])
}

// there is what the provider has.
func (w *world) there() int64 {
	left := w.arrived
	for _, amount := range w.refunds {
		left -= amount
	}
	return left
}

// do does what is to be done; fails makes the provider not answer. It reports false when nothing is left for a run.
func (w *world) do(fails bool) bool {
	w.t.Helper()
	a := w.next()
	if fails && a.Kind == order.Do {
		w.facts.Stuck = &order.Stuck{Step: a.Step, Error: "no answer", Attempts: 1, NextTry: w.at.Add(time.Minute)}
		return true
	}
	switch a.Kind {
	case order.Record:
		w.facts.Stuck = nil
		w.append(a.Entry)
	case order.Do:
		w.facts.Stuck = nil
		w.step(a)
	default:
		return false
	}
	return true
}

// settle does everything that a run can do.
func (w *world) settle() {
	w.t.Helper()
	for n := 0; w.do(false); n++ {
		if n == 100 {
			w.t.Fatalf("it never comes to rest: %+v", w.state)
		}
	}
}

// stuck tries once and needs attention.
func (w *world) stuck() {
	w.t.Helper()
	w.do(true)
	w.do(true)
}

// decide makes a decision a fact; it is about what is open.
func (w *world) decide(d order.Resolution) order.Resolution {
	w.decisions++
	d.ID = "d-" + strconv.Itoa(w.decisions)
	if d.Attention == 0 {
		d.Attention = w.state.Attention.Count
	}
	w.facts.Resolutions = append(w.facts.Resolutions, d)
	return d
}

// types lists the types of the stream's events.
func (w *world) types() []string {
	w.t.Helper()
	records, err := w.log.Read(context.Background(), event.LateStream("42"), 0, 0)
	if err != nil {
		w.t.Fatalf("read: %v", err)
	}
	eventtest.CheckRecords(w.t, records...)
	types := make([]string, len(records))
	for i, r := range records {
		types[i] = r.Type
	}
	return types
}
