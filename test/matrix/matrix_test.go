package matrix

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/internal/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// The size of the matrix. A step more, or a fault, changes it: change it here then, and in docs/architecture.md.
const (
	wantCells      = 1603
	wantImpossible = 149
)

func TestEveryStepHasCells(t *testing.T) {
	possible, impossible := cells()
	t.Logf("%d cells, and %d that cannot be", len(possible), len(impossible))
	assert.Equal(t, [2]int{wantCells, wantImpossible}, [2]int{len(possible), len(impossible)})
	names := map[string]bool{}
	struck := map[string]bool{}
	for _, c := range possible {
		assert.False(t, names[c.name()], "two cells have the name %q", c.name())
		names[c.name()] = true
		struck[c.stage.slot] = true
	}
	for _, f := range []order.Fulfillment{order.Immediate, order.Shipment} {
		for _, step := range sequence(f) {
			for _, call := range []*saga.Call[activities.StepInput, activities.StepResult]{step.Do, step.Undo} {
				if call != nil {
					require.Contains(t, effects, call.Activity(), "step %s has no cells", step.Name)
				}
			}
			for _, s := range slices.Concat(doing(step), undoing(step)) {
				assert.True(t, struck[s.slot], "nothing strikes slot %s of step %s", s.slot, step.Name)
			}
		}
	}
}

func TestMatrix(t *testing.T) {
	possible, _ := cells()
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
	t.Logf("%d cells in %s: %v", len(possible), time.Since(began).Round(time.Second), fired)
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

// run runs the cell and returns the slots that its order wrote.
func (c cell) run(t *testing.T, l *lane) []string {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	id := l.unique("o")
	o := order.Order{
		ID: id, CustomerID: "c-1", Currency: "EUR", Fulfillment: c.journey.fulfillment,
		Payment: order.PaymentMethod{Method: c.journey.method}, Lines: []order.Line{{SKU: "tea-" + id, Quantity: 2, UnitAmount: 450}},
	}
	l.receive(ctx, "tea-"+id, 5)
	if c.journey.scarce {
		o.Lines = append(o.Lines, order.Line{SKU: "gold-" + id, Quantity: 2, UnitAmount: 100})
		l.receive(ctx, "gold-"+id, 1)
	}
	o = o.Normalize()
	planted := c.trap(id)
	l.set(planted)
	require.NoError(t, l.place(ctx, o))
	driven := l.drive(ctx, id, c.journey.script)
	l.thaw()
	settled := l.settled(ctx, id)
	lost := l.take()

	assert.NoError(t, driven)
	assert.NoError(t, settled)
	assert.Empty(t, lost, "the fault could not be planted")
	assert.True(t, planted.fired, "the fault did not strike at its point")
	assert.Empty(t, l.examine([]order.Order{o}))
	if planted.fired {
		assert.Contains(t, c.ends(planted.decided), l.state(id).Status)
	}
	if t.Failed() {
		t.Log(l.story(o))
	}
	var slots []string
	for _, r := range l.records("order-" + id) {
		slots = append(slots, r.Key)
	}
	return slots
}

// ends are the statuses that the order may end with, given what had been decided when the fault struck.
func (c cell) ends(decided order.Decision) []order.Status {
	cancelling := c.harm == harmCancel || slices.Contains(overtaking, c.harm)
	switch {
	case c.harm == harmSignal && c.journey.name == "recalled":
		// The goods are dispatched meanwhile.
		return []order.Status{order.StatusCancelled, order.StatusCompleted, order.StatusNeedsAttention}
	case !cancelling || decided == order.Forward:
		return []order.Status{c.journey.end}
	case decided == order.Back:
		return []order.Status{c.journey.end}
	case c.stage.open && (c.harm == harmKillCancel || c.harm == harmPauseCancel) && c.point != completed && c.point != recorded:
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

// set plants the traps of the next orders.
func (l *lane) set(traps ...*trap) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.traps = traps
}

// take returns what went wrong with the lane itself, and forgets it.
func (l *lane) take() []error {
	l.mu.Lock()
	defer l.mu.Unlock()
	broken := l.broken
	l.broken = nil
	return broken
}

// receive stocks a SKU.
func (l *lane) receive(ctx context.Context, sku string, quantity int64) {
	if _, err := l.stock.Receive(ctx, sku, quantity, "r-1"); err != nil {
		l.fail(fmt.Errorf("receive: %w", err))
	}
}
