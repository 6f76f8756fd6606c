package activities_test

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/inventory"
	"github.com/ordersaga/ordersaga/internal/inventory/inventorytest"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// shop is many orders over one log, handled by several processes with ledgers of their own.
type shop struct {
	t         require.TestingT
	log       eventlog.Log
	clock     func() time.Time
	timing    order.Timing
	processes []*process
	skus      []string
}

// process is one process of the service.
type process struct {
	ledger *inventory.Ledger
	orders *orders
}

// newShop returns a shop with as many processes as logs: each reaches the same log in its own way.
func newShop(t require.TestingT, clock func() time.Time, logs ...eventlog.Log) *shop {
	s := &shop{t: t, log: logs[0], clock: clock, timing: order.DefaultTiming()}
	// No order is to be rejected because the machine is slow.
	s.timing.Reserve = 1000 * time.Hour
	for _, log := range logs {
		s.processes = append(s.processes, s.process(log))
	}
	return s
}

func (s *shop) process(log eventlog.Log) *process {
	ledger, err := inventory.New(inventory.Config{Log: log, Registry: new(inventory.MemoryRegistry), Temporary: order.Temporary, Clock: s.clock})
	require.NoError(s.t, err)
	recorder := &activities.Recorder{
		Log: log, Publisher: &bus{}, Clock: s.clock, Logger: slog.New(slog.DiscardHandler),
	}
	return &process{
		ledger: ledger, orders: newOrders(recorder, noList{}, order.Participants{Stock: order.PerSKU(ledger)}, s.timing.Settings(false)),
	}
}

func (s *shop) close() {
	for _, p := range s.processes {
		p.ledger.Close()
	}
}

// noList ignores the list of orders.
type noList struct{}

func (noList) Project(context.Context, order.State) error { return nil }

// stock adds a SKU.
func (s *shop) stock(sku string, quantity int64) {
	s.skus = append(s.skus, sku)
	_, err := s.processes[0].ledger.Receive(context.Background(), sku, quantity, "first")
	require.NoError(s.t, err)
}

// run is a run of an order's saga. Its state in memory is lost with it.
type run struct {
	*shop
	order order.Order
	// payment is what the gateway answers: Done, Refused, or empty for a payment that waits for its payer and is paid then.
	payment order.Effect
	state   order.State
	facts   order.Facts
}

// ordered returns the first run of an order for one of each SKU.
func (s *shop) ordered(id string, payment order.Effect, items ...order.Item) *run {
	o := order.Order{ID: id, CustomerID: "c-7", Currency: "EUR", Payment: order.PaymentMethod{Method: "tok_visa"}}
	for _, item := range items {
		o.Lines = append(o.Lines, order.Line{SKU: item.SKU, Quantity: item.Quantity, UnitAmount: 100})
	}
	return &run{shop: s, order: o.Normalize(), payment: payment}
}

// crash returns the next run.
func (r *run) crash() *run { return &run{shop: r.shop, order: r.order, payment: r.payment} }

// act performs the action of order.Next at a process, like the driver. An error means an unknown outcome.
func (r *run) act(p *process, inline bool) (order.Action, error) {
	ctx := context.Background()
	if !r.state.Opened() {
		opened, err := p.orders.Open(ctx, opens(r.order))
		return order.Action{Kind: order.Record}, r.fold(opened.StepResult, err)
	}
	in := stepInput{State: r.state, Settings: r.timing.Settings(false), Inline: inline}
	a := order.Next(r.state, r.facts, r.clock(), r.timing)
	switch {
	case a.Kind == order.Wait && a.Step == order.StepAuthorize:
		// The payer pays at last.
		return order.Action{Kind: order.Record}, r.record(p, in, r.state.Authorized("p-1", r.clock()))
	case a.Kind == order.Wait, a.Kind == order.Close:
		return a, nil
	case a.Kind == order.Record:
		return a, r.record(p, in, order.Decisions(r.state, r.facts, r.clock(), r.timing)...)
	case a.Kind == order.Do && a.Step == order.StepReserve:
		if w := r.facts.Later; w != nil {
			in.Hint, in.Last = w.Hint, w.Over(r.clock(), r.timing.Reserve)
		}
		result, err := p.orders.Reserve(ctx, in)
		if err == nil {
			r.later(a.Step, result.Later)
		}
		return a, r.fold(result, err)
	case a.Kind == order.Do && a.Step == order.StepAuthorize:
		return a, r.record(p, in, r.authorized())
	case a.Kind == order.Do && a.Step == order.StepCapture:
		return a, r.record(p, in, r.state.Captured("p-1", r.clock()))
	case a.Kind == order.Do:
		result, err := p.orders.Commit(ctx, in)
		return a, r.fold(result, err)
	case a.Kind == order.Undo && a.Step == order.StepReserve:
		result, err := p.orders.Release(ctx, in)
		return a, r.fold(result, err)
	}
	return a, r.record(p, in, r.state.Undone(a.Step, r.clock()))
}

// later stores whether a step must be retried, like a run.
func (r *run) later(step order.Step, w *saga.Later) {
	before := r.facts.Later
	r.facts.Later = nil
	if w != nil {
		w.Step = step
		r.facts.Later = w.After(before, r.order.ID, r.clock(), r.timing.Reserve)
	}
}

// until acts at the first process until a condition holds after an action.
func (r *run) until(holds func(order.Action) bool) {
	for {
		a, err := r.act(r.processes[0], false)
		require.NoError(r.t, err)
		if holds(a) {
			return
		}
	}
}

func (r *run) authorized() event.Entry {
	switch r.payment {
	case order.Done:
		return r.state.Authorized("p-1", r.clock())
	case order.Refused:
		return r.state.Declined("p-1", "no", false, r.clock())
	}
	return r.state.PaymentPending("p-1", r.clock(), r.clock().Add(30*time.Minute))
}

func (r *run) record(p *process, in stepInput, entries ...event.Entry) error {
	in.Entries = entries
	result, err := p.orders.Record(context.Background(), in)
	return r.fold(result, err)
}

func (r *run) fold(result stepResult, err error) error {
	if err == nil {
		r.state, err = r.state.Fold(result.Tail)
	}
	return err
}

// check checks the invariants after every order has ended: no stock is reserved, no order was rejected while stock is left, and
// waiting has written nothing.
func (s *shop) check(runs []*run) {
	left := map[string]int64{}
	for _, sku := range s.skus {
		totals := inventorytest.Audit(s.t, s.log, sku)
		require.Empty(s.t, totals.Held, "ended orders hold %s", sku)
		left[sku] = totals.OnHand
		records, err := s.log.Read(context.Background(), event.StockStream(sku), 0, 0)
		require.NoError(s.t, err)
		require.LessOrEqual(s.t, len(records), 1+2*len(runs), "waiting writes nothing")
	}
	for _, r := range runs {
		require.True(s.t, r.state.Ended)
		if r.state.Reason != order.ReasonOutOfStock {
			continue
		}
		missing := false
		for _, item := range r.order.Items() {
			missing = missing || left[item.SKU] < item.Quantity
		}
		require.True(s.t, missing, "order %s was rejected, and %v are left", r.order.ID, left)
	}
}

// ends counts how the orders ended.
func ends(runs []*run) map[string]int {
	counts := map[string]int{}
	for _, r := range runs {
		counts[fmt.Sprintf("%s %s", r.state.Status, r.state.Reason)]++
	}
	return counts
}
