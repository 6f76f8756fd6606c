package matrix

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/simulator"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// The size of the matrix. Another step or fault changes it: change it here then.
const (
	wantCells      = 5503
	wantImpossible = 1137
)

func TestEveryStepHasCells(t *testing.T) {
	possible, impossible := cells()
	t.Logf("%d cells, and %d impossible ones", len(possible), len(impossible))
	assert.Equal(t, [2]int{wantCells, wantImpossible}, [2]int{len(possible), len(impossible)})
	names, hit := map[string]bool{}, map[string]bool{}
	for _, c := range possible {
		assert.False(t, names[c.name()], "two cells have the name %q", c.name())
		names[c.name()] = true
		hit[c.stage.slot] = true
	}
	for _, f := range []order.Fulfillment{order.Immediate, order.Shipment} {
		for _, step := range sequence(goods(f)) {
			for _, activity := range step.activities() {
				require.Contains(t, effects, activity, "step %s has no cells", step.name)
			}
			for _, s := range slices.Concat(doing(step), undoing(step)) {
				assert.True(t, hit[s.slot], "no fault is injected at slot %s of step %s", s.slot, step.name)
			}
		}
	}
}

func TestSampleLeavesOutNoFault(t *testing.T) {
	possible, _ := cells()
	ever, most := map[string]bool{}, 0
	for seed := range uint64(50) {
		meetings, spots := map[string]bool{}, map[string]bool{}
		sampled := sample(possible, seed)
		for _, c := range sampled {
			meetings[c.meeting()], spots[c.spot()], ever[c.name()] = true, true, true
		}
		for _, c := range possible {
			require.True(t, meetings[c.meeting()], "the sample of seed %d has nothing for %s", seed, c.meeting())
			require.True(t, spots[c.spot()], "the sample of seed %d has nothing for %s", seed, c.spot())
		}
		most = max(most, len(sampled))
	}
	t.Logf("at most %d of %d cells", most, len(possible))
	assert.Less(t, most, len(possible)/3)
	require.Len(t, ever, len(possible), "some cells are in no sample")
}

func TestMatrix(t *testing.T) {
	all, _ := cells()
	possible := all
	if !whole() {
		possible = sample(all, seed(t, sampleVariable))
	}
	environments := newPool(t, fastEnvironments, slowEnvironments, 1000)
	began := time.Now()
	var mu sync.Mutex
	fired, slots := map[faultKind]int{}, map[string]bool{}
	// The group returns after all its parallel cells.
	t.Run("cell", func(t *testing.T) {
		for _, c := range possible {
			t.Run(c.name(), func(t *testing.T) {
				t.Parallel()
				l := <-environments.of(c.fast)
				defer func() { environments.of(c.fast) <- l }()
				seen := c.run(t, l)
				mu.Lock()
				defer mu.Unlock()
				fired[c.faultKind]++
				for _, slot := range seen {
					slots[slot] = true
				}
			})
		}
	})
	t.Logf("%d of %d cells in %s: %v", len(possible), len(all), time.Since(began).Round(time.Second), fired)
	hit := map[string]bool{}
	for _, c := range possible {
		hit[c.stage.slot] = true
	}
	for slot := range slots {
		if !strings.HasPrefix(slot, "cancel/") && !strings.HasPrefix(slot, "attention/") {
			assert.True(t, hit[slot], "the sagas write slot %s, and no fault is injected there", slot)
		}
	}
}

// ordersPerCell limits the number of orders that a cell runs until its fault is injected.
const ordersPerCell = 10

// run runs the cell and returns the slots that its order wrote.
func (c cell) run(t *testing.T, l *environment) []string {
	for n := 1; ; n++ {
		if slots, hit := c.runOrder(t, l, n == ordersPerCell); hit || t.Failed() {
			return slots
		}
	}
}

// runOrder runs the cell with an order, and reports whether the fault was injected. It must be in the last order, and in every other one
// unless a busy machine has lost a workflow task. The task is repeated from the log: if a local activity has recorded everything by then,
// no regular activity follows, and the order may have ended before the fault.
func (c cell) runOrder(t *testing.T, l *environment, last bool) (slots []string, hit bool) {
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	id := l.unique("o")
	if c.journey.fulfillment == order.Shipment {
		id = "gid://shopify/Order/" + id + " ü"
	}
	o := order.Order{
		ID: id, CustomerID: "c-1", Currency: "EUR", Fulfillment: c.journey.fulfillment,
		Payment: order.PaymentMethod{Method: c.journey.method}, Lines: []order.Line{{SKU: "tea-" + id, Quantity: 2, UnitAmount: 450}},
	}
	if len(c.journey.lines) > 0 {
		o.Lines = slices.Clone(c.journey.lines)
		o.Lines[0].SKU = "tea-" + id
	}
	l.receive(ctx, "tea-"+id, 5)
	if c.journey.scarce {
		o.Lines = append(o.Lines, order.Line{SKU: "gold-" + id, Quantity: 2, UnitAmount: 100})
		l.receive(ctx, "gold-"+id, 1)
	}
	o = o.Normalize()
	injected := c.injection(id)
	l.set(c.detour(), injected)
	require.NoError(t, l.place(ctx, o))
	driven := l.drive(ctx, id, c.journey.script)
	l.resume()
	settled := l.settled(ctx, id)
	lost := l.takeErrors()

	hit = injected.fired && !slices.ContainsFunc(lost, func(err error) bool { return errors.Is(err, errTooLate) })
	assert.NoError(t, driven)
	assert.NoError(t, settled)
	if hit || last || c.mode != again && !l.lostTask(ctx, t, id) {
		assert.Empty(t, lost, "the injection failed")
		assert.True(t, injected.fired, "the fault was not injected at its point")
	}
	assert.Empty(t, l.violations([]order.Order{o}))
	if hit {
		assert.Contains(t, c.ends(injected.decided), l.state(id).Status)
		assert.Equal(t, c.regular(), injected.token != "", "the fault was injected into the wrong kind of activity")
	}
	if t.Failed() {
		t.Log(l.story(o))
	}
	for _, r := range l.records(event.OrderStream(id)) {
		slots = append(slots, r.Key)
	}
	return slots, hit
}

// lostTask reports whether a workflow task of an order's current run was lost.
func (l *environment) lostTask(ctx context.Context, t *testing.T, orderID string) bool {
	t.Helper()
	history := l.history(ctx, t, orderID)
	return count(history, enumspb.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT)+count(history, enumspb.EVENT_TYPE_WORKFLOW_TASK_FAILED) > 0
}

// ends are the statuses that the order may end with, given the decision at the time of the fault.
func (c cell) ends(decided order.Decision) []order.Status {
	cancelling := c.faultKind == faultCancel || slices.Contains(cancellingFaults, c.faultKind)
	switch {
	case c.faultKind == faultSignal && strings.HasPrefix(c.journey.name, "recalled"):
		// The goods are dispatched at the same time.
		return []order.Status{order.StatusCancelled, order.StatusCompleted, order.StatusNeedsAttention}
	case !cancelling || decided == order.Forward:
		return []order.Status{c.journey.end}
	case decided == order.Back:
		return []order.Status{c.journey.end}
	case c.stage.open && !c.continuesBeforeCancel() && (c.faultKind == faultKillCancel || c.faultKind == faultPauseCancel) && (c.point == before || c.point == done):
		// Nothing has been recorded, and the next run sees the cancellation first.
		return []order.Status{order.StatusCancelled}
	}
	ends := []order.Status{c.journey.end, order.StatusCancelled}
	if c.journey.fulfillment == order.Shipment {
		// The goods may be dispatched before the cancellation is seen, or after.
		ends = append(ends, order.StatusNeedsAttention)
	}
	return ends
}

// continuesBeforeCancel reports whether the order may continue before the saga sees a cancellation: a local activity has recorded the
// outcome, or a regular one is retried and records without interruption, or is refused.
func (c cell) continuesBeforeCancel() bool {
	return c.mode == again || c.regular() && (c.stage.effect == "" || c.journey.scarce)
}

// set sets the detour and the injections of the next orders.
func (l *environment) set(d detour, injections ...*injection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.detour, l.injections = d, injections
}

func (l *environment) detours() detour {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.detour
}

// takeErrors returns and clears the errors of the environment itself.
func (l *environment) takeErrors() []error {
	l.mu.Lock()
	defer l.mu.Unlock()
	broken := l.broken
	l.broken = nil
	return broken
}

// capture captures the payment of an order at the gateway, without the saga.
func (l *environment) capture(ctx context.Context, orderID string) {
	l.mu.Lock()
	o := l.placed[orderID]
	l.mu.Unlock()
	gateway, err := simulator.New(simulator.Config{Log: l.log})
	if err == nil {
		p := payment.Payment{OrderID: o.ID, Amount: o.TotalAmount, Currency: o.Currency, Method: o.Payment.Method}
		_, err = gateway.Capture(ctx, p.Key("capture"), p)
	}
	if err != nil {
		l.fail(fmt.Errorf("capture: %w", err))
	}
}

// receive stocks a SKU.
func (l *environment) receive(ctx context.Context, sku string, quantity int64) {
	if _, err := l.stock.Receive(ctx, sku, quantity, "r-1"); err != nil {
		l.fail(fmt.Errorf("receive: %w", err))
	}
}
