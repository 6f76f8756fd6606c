package activities_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

func TestFlowHasActivitiesOfItsTable(t *testing.T) {
	w := newWorld(t)
	var names []string
	for row := range order.Flow.Operated() {
		for _, kind := range []saga.ActionKind{saga.Do, saga.Lookup, saga.Undo} {
			if row.Operation(kind) != nil {
				names = append(names, order.Flow.ActivityOf(row, kind))
			}
		}
	}
	for _, what := range []string{"Open", "Record", "Publish", "List", "Late", "Recover"} {
		names = append(names, order.Flow.Activity(what))
	}
	slices.Sort(names)
	require.Equal(t, slices.Compact(names), slices.Sorted(maps.Keys(w.outcomes.Activities())))
}

// A flow without a list, whose runs do not read the signals of previous runs.
func TestOptionalPartsOfFlow(t *testing.T) {
	w := newWorld(t)
	o := w.orders(order.Participants{Stock: order.PerSKU(&stock{})})
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

// What comes after the end of a saga of a flow that does not say what follows is kept, each event once.
func TestFlowRecordsLateEvents(t *testing.T) {
	w := newWorld(t)
	o := w.orders(order.Participants{Stock: order.PerSKU(&stock{})})
	o.Flow.Late = nil
	require.NotContains(t, fmt.Sprint(o.Check()), "ate events", "it is not mandatory")
	in := late
	in.Events = append(slices.Clone(late.Events), late.Events...)
	for range 2 {
		result, err := o.Late(t.Context(), in)
		require.NoError(t, err)
		require.False(t, result.Consequential)
	}
	records, err := w.log.Read(t.Context(), "order.late-42", 0, 0)
	require.NoError(t, err)
	require.Len(t, records, len(late.Events))
	for i, r := range records {
		require.Equal(t, "order.event_late", r.Type)
		require.Equal(t, late.Events[i].EventID, r.CausationID)
		require.Equal(t, late.CorrelationID, r.CorrelationID)
	}

	// Two processes keep the same events at once.
	var wg sync.WaitGroup
	answers := make([]error, 8)
	in.ID = "43"
	for i := range answers {
		wg.Go(func() { answers[i] = activities.KeepLate(t.Context(), w.log, &order.Flow, in, now) })
	}
	wg.Wait()
	require.NoError(t, errors.Join(answers...))
	records, err = w.log.Read(t.Context(), "order.late-43", 0, 0)
	require.NoError(t, err)
	require.Len(t, records, len(late.Events))
}

func TestUnknownStepOfOrder(t *testing.T) {
	w := newWorld(t)
	s := w.settling()
	for step, kind := range map[string]saga.ActionKind{order.StepShip: saga.Do, order.StepCommit: saga.Undo, "sleep": saga.Do} {
		_, err := w.outcomes.Step(step, kind)(t.Context(), in(s))
		requireFault(t, fault.Internal, err)
		require.ErrorContains(t, err, "flow order has no operation "+string(kind)+" for step "+step)
	}
	require.Empty(t, w.recordsAfter(s))
}
