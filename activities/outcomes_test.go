package activities_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// open is the input of a run's first activity.
var open = opening(tea())

func opening(o order.Order) saga.OpenInput {
	in := opens(o)
	in.CorrelationID, in.CausationID = "corr", "evt-1"
	return in
}

func TestOpenAcceptsTheOrder(t *testing.T) {
	w := newWorld(t)
	result, err := w.outcomes.Open(t.Context(), open)
	require.NoError(t, err)
	require.Equal(t, []string{event.OrderAccepted}, types(result.Tail))
	require.Equal(t, order.Accept(tea(), "corr", "evt-1", now), result.Tail[0].Entry)
	require.Equal(t, "corr", result.Tail[0].CorrelationID)
	require.Equal(t, "evt-1", result.Tail[0].CausationID)
	require.Equal(t, order.DefaultTiming().Settings(true), result.Settings, "a run keeps the settings that it began with")
	require.Equal(t, order.StatusAccepted, w.list.states[0].Status)
	state, err := order.Fold(result.Tail)
	require.NoError(t, err)
	require.Equal(t, tea(), state.Order)
}

func TestOpenOfOpenOrderReturnsItsStream(t *testing.T) {
	w := newWorld(t)
	w.pending()
	result, err := w.outcomes.Open(t.Context(), open)
	require.NoError(t, err)
	require.Equal(t, []string{event.OrderAccepted, event.InventoryReserved, event.PaymentPending}, types(result.Tail))
	require.Equal(t, "cause", result.Tail[0].CausationID, "the first writer wins")
}

func TestOpenWithOtherContentReturnsTheStoredOrder(t *testing.T) {
	w := newWorld(t)
	s := w.reserved()
	other := tea()
	other.CustomerID = "c-8"
	result, err := w.outcomes.Open(t.Context(), opening(other))
	require.NoError(t, err)
	require.Equal(t, w.recordsAfter(order.State{}), result.Tail)
	state, err := order.Fold(result.Tail)
	require.NoError(t, err)
	require.Equal(t, s, state)
}

func TestOpenDoesNotWaitForTheList(t *testing.T) {
	w := newWorld(t)
	w.list.err = fault.New(fault.Unavailable, "no list")
	result, err := w.outcomes.Open(t.Context(), open)
	require.NoError(t, err)
	require.False(t, result.Unlisted)

	w = newWorld(t)
	w.list.err = fault.New(fault.Unavailable, "no list")
	s := w.captured()
	s = w.write(s, s.CommittedStock(now))
	w.decide(s, order.Facts{})
	result, err = w.outcomes.Open(t.Context(), open)
	require.NoError(t, err)
	require.True(t, result.Unlisted, "the order has ended and is not listed so")
}

func TestOpenNeedsTheLog(t *testing.T) {
	w := newWorld(t)
	w.log.appendErr = fault.New(fault.Unavailable, "no log")
	_, err := w.outcomes.Open(t.Context(), open)
	requireFault(t, fault.Unavailable, err)
	require.Empty(t, w.list.states)
}

func TestListWritesTheState(t *testing.T) {
	w := newWorld(t)
	s := w.pending()
	_, err := w.outcomes.List(t.Context(), saga.ListInput[order.State]{State: s})
	require.NoError(t, err)
	require.Equal(t, []order.State{s}, w.list.states)
}

// Every activity leaves through one door; this one lets every code through.
func TestTemporalErrorKeepsCodeAndRetryability(t *testing.T) {
	for _, code := range fault.Codes() {
		w := newWorld(t)
		w.list.err = fault.New(code, "injected")
		_, err := w.outcomes.List(t.Context(), saga.ListInput[order.State]{State: w.accepted()})
		requireFault(t, code, err)
	}
}

func TestErrorWithoutCodeIsInternalAndRetried(t *testing.T) {
	w := newWorld(t)
	w.list.err = errors.New("out of luck")
	_, err := w.outcomes.List(t.Context(), saga.ListInput[order.State]{State: w.accepted()})
	requireFault(t, fault.Internal, err)
	require.ErrorContains(t, err, "list order 42 as accepted: out of luck")
}

// early keeps a cancellation for order 42, as the consumer does.
func (w *world) early(c order.Cancellation) {
	w.t.Helper()
	kept, added, err := activities.KeepEarly(w.t.Context(), w.log, &order.Flow, "42", c, "corr", now)
	require.NoError(w.t, err)
	require.True(w.t, kept && added)
}

func TestOpenReturnsEarlyCancellations(t *testing.T) {
	c := order.Cancellation{ID: "c-1", Cause: "evt-0", Reason: "ordered twice"}
	byCaller := open
	byCaller.CallerID = true

	w := newWorld(t)
	w.early(c)
	for range 2 {
		result, err := w.outcomes.Open(t.Context(), byCaller)
		require.NoError(t, err)
		require.Equal(t, []order.Cancellation{c}, result.Early, "as long as the order has not decided")
	}
	result, err := w.outcomes.Open(t.Context(), open)
	require.NoError(t, err)
	require.Empty(t, result.Early, "no client knew an ID that was made for the request")

	state, err := order.Fold(result.Tail)
	require.NoError(t, err)
	w.cancel(state)
	result, err = w.outcomes.Open(t.Context(), byCaller)
	require.NoError(t, err)
	require.Empty(t, result.Early, "what is decided stays decided")

	w = newWorld(t)
	result, err = w.outcomes.Open(t.Context(), byCaller)
	require.NoError(t, err)
	require.Empty(t, result.Early)
}
