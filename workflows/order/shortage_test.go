package order_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

func TestShortagePausesGrowUntilDeadline(t *testing.T) {
	now, deadline := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), order.DefaultTiming().Reserve
	short := saga.Later{Step: order.StepReserve, Hint: "tea"}
	var w *saga.Later
	require.False(t, w.Over(now, deadline))
	began := now
	for tries := 1; !w.Over(now, deadline); tries++ {
		w = short.After(w, "42", now, deadline)
		require.Equal(t, tries, w.Tries)
		require.Equal(t, began, w.Since)
		pause := w.At.Sub(now)
		require.LessOrEqual(t, pause, 5*time.Second)
		if !w.Over(w.At, deadline) {
			require.GreaterOrEqual(t, pause, 100*time.Millisecond)
		}
		now = w.At
	}
	require.Equal(t, began.Add(deadline), now, "the last attempt is made at the deadline")
	require.Less(t, w.Tries, 60)

	pauses := map[time.Duration]bool{}
	for n := range 20 {
		pauses[short.After(nil, fmt.Sprintf("o-%d", n), now, deadline).At.Sub(now)] = true
	}
	require.Greater(t, len(pauses), 10, "orders that wait together do not try together")
}

// Next waits for nothing but the pause: a cancellation comes first.
func TestShortOrderWaits(t *testing.T) {
	w := newWorld(t, order.Immediate)
	s := w.state()
	w.facts.Later = saga.Later{Step: order.StepReserve, Hint: "tea"}.After(nil, "42", w.now, w.timing.Reserve)
	a := order.Next(s, w.facts, w.now, w.timing)
	require.Equal(t, order.Wait, a.Kind)
	require.Equal(t, w.facts.Later.At, a.Until)
	require.Equal(t, order.Do, order.Next(s, w.facts, a.Until, w.timing).Kind)
	w.facts.Cancellations = []order.Cancellation{{ID: "c-1"}}
	require.Equal(t, order.Record, order.Next(s, w.facts, w.now, w.timing).Kind)
}

func TestTemporaryHolds(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, test := range map[string]struct {
		state order.State
		want  bool
	}{
		"in reserve":                 {order.State{}, true},
		"rejected, lines held":       {order.State{Inventory: order.InventoryRejected, Held: true}, true},
		"in authorize":               {order.State{Inventory: order.InventoryReserved}, true},
		"waiting for its payer":      {order.State{Inventory: order.InventoryReserved, Payment: order.PaymentPending}, false},
		"declined":                   {order.State{Inventory: order.InventoryReserved, Payment: order.PaymentDeclined}, true},
		"authorized, undecided":      {order.State{Inventory: order.InventoryReserved, Payment: order.PaymentAuthorized}, true},
		"waiting for its dispatch":   {order.State{Payment: order.PaymentAuthorized, ConfirmedAt: now}, false},
		"settling":                   {order.State{Saga: saga.Saga{Decision: order.Forward}}, false},
		"capture refused":            {order.State{Saga: saga.Saga{Decision: order.Forward}, Capture: order.CaptureRefused}, true},
		"capture refused after that": {order.State{Saga: saga.Saga{Decision: order.Forward}, Capture: order.CaptureRefused, ShippedAt: now}, false},
		"compensating":               {order.State{Saga: saga.Saga{Decision: order.Back}, ConfirmedAt: now}, true},
		"release skipped": {order.State{Saga: saga.Saga{
			Decision: order.Back, ByHand: []saga.ByHand{{Step: order.StepReserve, Undo: true, Action: order.Skip}},
		}}, false},
		"ended": {order.State{Saga: saga.Saga{Decision: order.Back, Ended: true}}, false},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, test.want, test.state.HoldsForNow()) })
	}
}
