package activities_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

func TestAFlowHasTheActivitiesOfItsTable(t *testing.T) {
	w := newWorld(t)
	var names []string
	for row := range slices.Values(order.Flow.Steps) {
		for _, kind := range []saga.ActionKind{saga.Do, saga.Lookup, saga.Undo} {
			if row.Operation(kind) != nil {
				names = append(names, order.Flow.ActivityOf(&row, kind))
			}
		}
	}
	for _, what := range []string{"Open", "Record", "Publish", "List", "Late", "Recover"} {
		names = append(names, order.Flow.Activity(what))
	}
	slices.Sort(names)
	require.Equal(t, slices.Compact(names), slices.Sorted(maps.Keys(w.outcomes.Activities())))
}

// A flow without a list, and of which no run takes over from another one.
func TestWhatAFlowNeedNotHave(t *testing.T) {
	w := newWorld(t)
	o := w.orders(order.Participants{Stock: &stock{}})
	o.Flow.List = nil
	opened, err := o.Open(t.Context(), open)
	require.NoError(t, err)
	require.False(t, opened.Unlisted)
	s, err := order.Fold(opened.Tail)
	require.NoError(t, err)
	result, err := o.Reserve(t.Context(), in(s))
	require.NoError(t, err)
	require.Equal(t, []string{event.InventoryReserved}, types(result.Tail))
	_, err = o.List(t.Context(), saga.ListInput[order.State]{State: s})
	require.NoError(t, err)
	require.Equal(t, []string{stream}, w.log.Names())
	_, err = o.Recover(t.Context(), saga.RecoverInput{ID: "42"})
	requireFault(t, fault.Unavailable, err)
}

// What comes after the end of a saga is recorded, or the worker does not start.
func TestAFlowRecordsLateEvents(t *testing.T) {
	w := newWorld(t)
	o := w.orders(order.Participants{Stock: &stock{}})
	o.Flow.Late = nil
	require.ErrorContains(t, o.Check(), "would be lost")
	_, err := o.Late(t.Context(), late)
	requireFault(t, fault.Internal, err)
	require.ErrorContains(t, err, "the 2 late events of 42")
}

func TestAStepThatAnOrderDoesNotHave(t *testing.T) {
	w := newWorld(t)
	s := w.settling()
	for step, kind := range map[string]saga.ActionKind{order.StepShip: saga.Do, order.StepCommit: saga.Undo, "sleep": saga.Do} {
		_, err := w.outcomes.Step(step, kind)(t.Context(), in(s))
		requireFault(t, fault.Internal, err)
		require.ErrorContains(t, err, "flow order has no way to "+string(kind)+" "+step)
	}
	require.Empty(t, w.behind(s))
}
