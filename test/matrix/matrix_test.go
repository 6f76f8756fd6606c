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
	t.Logf("%d cells, and %d that cannot be", len(possible), len(impossible))
	assert.Equal(t, [2]int{wantCells, wantImpossible}, [2]int{len(possible), len(impossible)})
	names, struck := map[string]bool{}, map[string]bool{}
	for _, c := range possible {
		assert.False(t, names[c.name()], "two cells have the name %q", c.name())
		names[c.name()] = true
		struck[c.stage.slot] = true
	}
	for _, f := range []order.Fulfillment{order.Immediate, order.Shipment} {
		for _, step := range sequence(goods(f)) {
			for _, activity := range step.activities() {
				require.Contains(t, effects, activity, "step %s has no cells", step.name)
			}
			for _, s := range slices.Concat(doing(step), undoing(step)) {
				assert.True(t, struck[s.slot], "nothing strikes slot %s of step %s", s.slot, step.name)
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
	lanes := newPool(t, fastLanes, slowLanes, 1000)
	began := time.Now()
	var mu sync.Mutex
	fired, slots := map[harm]int{}, map[string]bool{}
	// The group returns when all its parallel cells have.
	t.Run("cell", func(t *testing.T) {
		for _, c := range possible {
			t.Run(c.name(), func(t *testing.T) {
				t.Parallel()
				l := <-lanes.of(c.fast)
				defer func() { lanes.of(c.fast) <- l }()
				seen := c.run(t, l)
				mu.Lock()
				defer mu.Unlock()
				fired[c.harm]++
				for _, slot := range seen {
					slots[slot] = true
				}
			})
		}
	})
	t.Logf("%d of %d cells in %s: %v", len(possible), len(all), time.Since(began).Round(time.Second), fired)
	struck := map[string]bool{}
	for _, c := range possible {
		struck[c.stage.slot] = true
	}
	for slot := range slots {
		if !strings.HasPrefix(slot, "cancel/") && !strings.HasPrefix(slot, "attention/") {
			assert.True(t, struck[slot], "the sagas write slot %s, and nothing strikes there", slot)
		}
	}
}

// ordersACell bounds how many orders a cell takes until its fault has struck.
const ordersACell = 10

// run runs the cell and returns the slots that its order wrote.
func (c cell) run(t *testing.T, l *lane) []string {
	for n := 1; ; n++ {
		if slots, struck := c.runOrder(t, l, n == ordersACell); struck || t.Failed() {
			return slots
		}
	}
}

// runOrder runs the cell with an order, and reports whether the fault struck. It must in the last one, and in every other one unless a
// busy machine has lost a workflow task. That starts over from the log: when a local activity has recorded everything by then, no regular
// one follows, and the order may have ended when the fault is to be done.
func (c cell) runOrder(t *testing.T, l *lane, last bool) (slots []string, struck bool) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
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
	planted := c.trap(id)
	l.set(c.detour(), planted)
	require.NoError(t, l.place(ctx, o))
	driven := l.drive(ctx, id, c.journey.script)
	l.thaw()
	settled := l.settled(ctx, id)
	lost := l.take()

	struck = planted.fired && !slices.ContainsFunc(lost, func(err error) bool { return errors.Is(err, errTooLate) })
	assert.NoError(t, driven)
	assert.NoError(t, settled)
	if struck || last || c.mode != again && !l.lostTask(ctx, t, id) {
		assert.Empty(t, lost, "the fault could not be planted")
		assert.True(t, planted.fired, "the fault did not strike at its point")
	}
	assert.Empty(t, l.examine([]order.Order{o}))
	if struck {
		assert.Contains(t, c.ends(planted.decided), l.state(id).Status)
		assert.Equal(t, c.regular(), planted.token != "", "a regular activity is struck, or a local one")
	}
	if t.Failed() {
		t.Log(l.story(o))
	}
	for _, r := range l.records(event.OrderStream(id)) {
		slots = append(slots, r.Key)
	}
	return slots, struck
}

// lostTask reports whether a workflow task of an order's current run was lost.
func (l *lane) lostTask(ctx context.Context, t *testing.T, orderID string) bool {
	t.Helper()
	history := l.history(ctx, t, orderID)
	return count(history, enumspb.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT)+count(history, enumspb.EVENT_TYPE_WORKFLOW_TASK_FAILED) > 0
}

// ends are the statuses that the order may end with, given what had been decided when the fault struck.
func (c cell) ends(decided order.Decision) []order.Status {
	cancelling := c.harm == harmCancel || slices.Contains(overtaking, c.harm)
	switch {
	case c.harm == harmSignal && strings.HasPrefix(c.journey.name, "recalled"):
		// The goods are dispatched meanwhile.
		return []order.Status{order.StatusCancelled, order.StatusCompleted, order.StatusNeedsAttention}
	case !cancelling || decided == order.Forward:
		return []order.Status{c.journey.end}
	case decided == order.Back:
		return []order.Status{c.journey.end}
	case c.stage.open && !c.goesOn() && (c.harm == harmKillCancel || c.harm == harmPauseCancel) && (c.point == before || c.point == done):
		// Nothing has been recorded, and whoever goes on sees the cancellation first.
		return []order.Status{order.StatusCancelled}
	}
	ends := []order.Status{c.journey.end, order.StatusCancelled}
	if c.journey.fulfillment == order.Shipment {
		// The goods may be dispatched before the cancellation is seen, or after.
		ends = append(ends, order.StatusNeedsAttention)
	}
	return ends
}

// goesOn reports whether the order may continue before the saga sees a cancellation: a local activity has recorded the
// outcome, or a regular one is tried again and records without being interrupted, or is refused.
func (c cell) goesOn() bool {
	return c.mode == again || c.regular() && (c.stage.effect == "" || c.journey.scarce)
}

// set says what of the next orders comes through inside workflow tasks, and plants their traps.
func (l *lane) set(d detour, traps ...*trap) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.detour, l.traps = d, traps
}

func (l *lane) detours() detour {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.detour
}

// take returns what went wrong with the lane itself, and forgets it.
func (l *lane) take() []error {
	l.mu.Lock()
	defer l.mu.Unlock()
	broken := l.broken
	l.broken = nil
	return broken
}

// capture captures the payment of an order at the gateway, without the saga.
func (l *lane) capture(ctx context.Context, orderID string) {
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
func (l *lane) receive(ctx context.Context, sku string, quantity int64) {
	if _, err := l.stock.Receive(ctx, sku, quantity, "r-1"); err != nil {
		l.fail(fmt.Errorf("receive: %w", err))
	}
}
