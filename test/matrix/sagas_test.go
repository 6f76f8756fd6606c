package matrix

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// ordersAtOnce is the number of orders in a round: they share SKUs with too little stock, and processes that are killed.
const ordersAtOnce = 5

// rounds are how many rounds are run: 300 sagas, or 10,000 in long runs.
func rounds() int {
	if long() {
		return 10_000 / ordersAtOnce
	}
	return 300 / ordersAtOnce
}

// long reports whether this is a long run.
func long() bool { return os.Getenv("ORDERSAGA_LONG") != "" }

// whole reports whether every cell of the matrix is run.
func whole() bool { return long() || os.Getenv(wholeMatrix) != "" }

const wholeMatrix = "ORDERSAGA_WHOLE_MATRIX"

// seedVariable names the seed of random sagas; without it every run has new ones. sampleVariable is the seed of the sample of cells.
const (
	seedVariable   = "ORDERSAGA_SEED"
	sampleVariable = "ORDERSAGA_SAMPLE"
)

// seed returns the seed that a variable has, or a new one, and logs it.
func seed(t *testing.T, variable string) uint64 {
	t.Helper()
	number := uint64(time.Now().UnixNano())
	if given := os.Getenv(variable); given != "" {
		var err error
		number, err = strconv.ParseUint(given, 10, 64)
		require.NoError(t, err, variable)
	}
	t.Logf("%s=%d", variable, number)
	return number
}

// plan is a round: its orders, events and faults.
type plan struct {
	seed       uint64
	fast       bool
	mode       mode
	stock      map[string]int64
	orders     []order.Order
	injections []*injection
	// scripts are the events about each order while it is open, afterwards the events after its end.
	scripts [][]scriptEvent
	after   [][]string
	words   []string
}

// text prints the plan, so that a failure can be repeated.
func (p *plan) text() string { return strings.Join(p.words, "\n") }

func (p *plan) note(format string, args ...any) {
	p.words = append(p.words, fmt.Sprintf(format, args...))
}

// newPlan draws a plan. The prefix makes its names unique in an environment; it has no other effect.
func newPlan(seed uint64, prefix string) *plan {
	random := rand.New(rand.NewPCG(seed, 1))
	p := &plan{seed: seed, fast: random.IntN(3) > 0, stock: map[string]int64{}}
	p.mode = drawMode(random)
	p.note("seed %d, fast gateway %t, %s", seed, p.fast, p.mode)
	skus := []string{prefix + "-tea", prefix + "-cup", prefix + "/pot ü", prefix + " 50% tin"}
	for _, sku := range skus {
		p.stock[sku] = 2 + random.Int64N(14)
		p.note("  %d of %s", p.stock[sku], sku)
	}
	for n := range ordersAtOnce {
		id := fmt.Sprintf("%s-%d", prefix, n)
		if n%2 == 1 {
			id = fmt.Sprintf("gid://shopify/Order/%s/%d ü", prefix, n)
		}
		o := drawOrder(random, id, skus)
		p.orders = append(p.orders, o)
		p.note("  order %s: %s, %s, %v", o.ID, o.Fulfillment, o.Payment.Method, o.Lines)
		for range 1 + random.IntN(4) {
			t := drawInjection(random, o.ID)
			p.injections = append(p.injections, t)
			p.note("    %s: %s, after %t, %v", t.faultKind, t.what, t.after, t.wires)
		}
		p.scripts = append(p.scripts, p.drawScript(random, o))
		p.after = append(p.after, p.drawAfter(random))
	}
	return p
}

// drawMode draws how every step of a round succeeds: in one of four rounds as a regular activity.
func drawMode(random *rand.Rand) mode {
	if random.IntN(4) > 0 {
		return inline
	}
	return modes[1+random.IntN(len(modes)-1)]
}

// methods are drawn by weight: repeated values are more frequent.
var methods = []string{
	"tok_visa", "tok_visa", "tok_visa", "tok_visa", "tok_timeout", "tok_timeout", "tok_pending", "tok_pending",
	"tok_declined", "tok_capture_refused",
}

func drawOrder(random *rand.Rand, id string, skus []string) order.Order {
	o := order.Order{
		ID: id, CustomerID: "c-1", Currency: "EUR", Fulfillment: order.Immediate,
		Payment: order.PaymentMethod{Method: methods[random.IntN(len(methods))]},
	}
	if random.IntN(2) == 0 {
		o.Fulfillment = order.Shipment
	}
	for range 1 + random.IntN(4) {
		n := random.IntN(len(skus))
		// Some lines cost nothing, some take no stock, and one SKU may be on several lines.
		stocked := random.IntN(5) > 0
		o.Lines = append(o.Lines, order.Line{
			SKU: skus[n], Quantity: 1 + random.Int64N(2), UnitAmount: int64(100*(n+1)) * min(random.Int64N(5), 1), Stocked: &stocked,
		})
	}
	o = o.Normalize()
	if random.IntN(6) == 0 && o.TotalAmount > 0 {
		unstocked, amount := false, -o.TotalAmount
		if random.IntN(2) == 0 {
			amount = max(amount, -100)
		}
		o.Lines = append(o.Lines, order.Line{SKU: "a discount", Quantity: 1, UnitAmount: amount, Stocked: &unstocked})
		o = o.Normalize()
	}
	if o.TotalAmount == 0 {
		o.Payment = order.PaymentMethod{}
	}
	return o
}

// randomCalls are further calls for random faults, in addition to those of the matrix.
var randomCalls = []op{opReserve, opRelease, opCommit, opAuthorize, opCapture, opVoid, opLookup, opPublish, opProject}

func drawInjection(random *rand.Rand, orderID string) *injection {
	all := append([]faultKind(nil), faultKinds...)
	all = append(all, cancellingFaults...)
	// Faults that only lose an answer are drawn more often: they are cheap.
	all = append(all, faultError, faultError, faultTimeout, faultTimeout, faultCancel, faultSignal)
	t := &injection{orderID: orderID, faultKind: all[random.IntN(len(all))], after: random.IntN(2) == 0}
	if random.IntN(2) == 0 {
		t.what = randomCalls[random.IntN(len(randomCalls))]
	} else {
		stages := append(forward(goods(order.Shipment)), turn(order.SlotTurn, goods(order.Shipment))...)
		t.what = record(stages[random.IntN(len(stages))].slot)
	}
	if random.IntN(4) == 0 {
		t.after, t.wires = true, []op{[]op{wireTask, wireActivity}[random.IntN(2)]}
	}
	return t
}

// drawScript draws the events from outside. Each script leads the order to an end or to attention.
func (p *plan) drawScript(random *rand.Rand, o order.Order) []scriptEvent {
	var script []scriptEvent
	add := func(what string, s scriptEvent) {
		if random.IntN(4) == 0 {
			what, s = what+" twice", twice(s)
		}
		p.note("    %s", what)
		script = append(script, s)
	}
	opened := func(s order.State) bool { return s.Opened() }
	if random.IntN(5) == 0 {
		add("cancelled at once", scriptEvent{opened, cancelEvent})
	}
	if o.Payment.Method == "tok_pending" {
		switch random.IntN(4) {
		case 0:
			add("the payment fails", publishWhen(event.PaymentFailed, func(s order.State) bool { return s.Payment == order.PaymentPending }))
		case 1:
			add("paid early", publishWhen(event.PaymentSucceeded, opened))
			fallthrough
		default:
			add("paid", pay)
		}
	}
	if o.Fulfillment != order.Shipment {
		return script
	}
	switch random.IntN(5) {
	case 0:
		add("cancelled before the dispatch", recall)
	case 1:
		add("dispatched early", publishWhen(event.ShipmentDispatched, opened))
		fallthrough
	default:
		add("dispatched", dispatch)
	}
	if random.IntN(4) == 0 {
		add("delivered early", publishWhen(event.ShipmentDelivered, func(s order.State) bool { return !s.ShippedAt.IsZero() }))
	}
	add("delivered", deliver)
	return script
}

// drawAfter draws what is said when the order is over.
func (p *plan) drawAfter(random *rand.Rand) []string {
	var late []string
	for _, eventType := range []string{event.OrderCancellationRequested, event.ShipmentDispatched, event.PaymentSucceeded} {
		if random.IntN(6) == 0 {
			p.note("    late: %s", eventType)
			late = append(late, eventType)
		}
	}
	return late
}

func cancelEvent(ctx context.Context, l *environment, orderID string) { l.cancel(ctx, orderID) }

// twice publishes the event again, as a broker does without an acknowledgement.
func twice(s scriptEvent) scriptEvent {
	return scriptEvent{s.when, func(ctx context.Context, l *environment, orderID string) {
		s.do(ctx, l, orderID)
		l.redeliver(ctx, orderID)
	}}
}

// counts are the results of all rounds.
type counts struct {
	mu    sync.Mutex
	sagas int
	fired map[faultKind]int
	ends  map[order.Status]int
}

func TestRandomSagas(t *testing.T) {
	first, last := seed(t, seedVariable), uint64(rounds())
	if os.Getenv(seedVariable) != "" {
		last = 1
	}
	// Without a cache every workflow task replays its run from the beginning.
	environments := newPool(t, 14, 8, 0)
	began := time.Now()
	all := &counts{fired: map[faultKind]int{}, ends: map[order.Status]int{}}
	t.Run("seed", func(t *testing.T) {
		for n := range last {
			t.Run(strconv.FormatUint(first+n, 10), func(t *testing.T) {
				t.Parallel()
				fast := newPlan(first+n, "").fast
				l := <-environments.of(fast)
				defer func() { environments.of(fast) <- l }()
				newPlan(first+n, l.unique("r")).run(t, l, all)
			})
		}
	})
	t.Logf("%d sagas from seed %d in %s; faults: %v; ends: %v", all.sagas, first, time.Since(began).Round(time.Second), all.fired, all.ends)
}

// run runs the round.
func (p *plan) run(t *testing.T, l *environment, all *counts) {
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	for sku, quantity := range p.stock {
		l.receive(ctx, sku, quantity)
	}
	l.set(detour{mode: p.mode}, p.injections...)
	errs := make([]error, len(p.orders))
	var driven sync.WaitGroup
	for n, o := range p.orders {
		driven.Go(func() {
			if errs[n] = l.place(ctx, o); errs[n] == nil {
				errs[n] = l.drive(ctx, o.ID, p.scripts[n])
			}
		})
	}
	driven.Wait()
	l.resume()
	for n, o := range p.orders {
		if !l.state(o.ID).Ended {
			continue
		}
		for _, eventType := range p.after[n] {
			if eventType == event.OrderCancellationRequested {
				l.cancel(ctx, o.ID)
				continue
			}
			l.publish(ctx, eventType, l.unique("late"), o.ID)
		}
		// A run that was reset at its end is running again, and receives it.
		assert.NoError(t, l.closed(ctx, o.ID))
		assert.NoError(t, l.settled(ctx, o.ID))
	}
	for n, o := range p.orders {
		assert.NoError(t, errs[n], "order %s", o.ID)
	}
	for _, err := range l.takeErrors() {
		assert.ErrorIs(t, err, errTooLate, "an injection failed")
	}
	assert.Empty(t, l.violations(p.orders))
	if t.Failed() {
		t.Logf("run it again with %s=%d\n%s", seedVariable, p.seed, p.text())
		for _, o := range p.orders {
			t.Log(l.story(o))
		}
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	all.sagas += len(p.orders)
	for _, o := range p.orders {
		all.ends[l.state(o.ID).Status]++
	}
	for _, t := range p.injections {
		if t.fired {
			all.fired[t.faultKind]++
		}
	}
}
