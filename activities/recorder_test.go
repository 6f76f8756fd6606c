package activities_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/order"
)

func TestDecisionsAreRecordedInlineOrAfterThePivotOnly(t *testing.T) {
	authorized := func(s order.State) event.Entry { return s.Authorized("p-1", now) }
	committed := func(s order.State) event.Entry { return s.CommittedStock(now) }
	released := func(s order.State) event.Entry { return s.Undone(order.StepReserve, now) }
	rejected := func(s order.State) event.Entry {
		return s.Reserved([]order.LineOutcome{{SKU: "tea", Reason: order.ReasonUnknownSKU}}, now)
	}
	for name, test := range map[string]struct {
		state   func(w *world) order.State
		outcome func(order.State) event.Entry
		in      func(order.State, ...event.Entry) stepInput
		tail    []string
	}{
		"inline before the pivot": {
			(*world).reserved, authorized, inline, []string{event.PaymentAuthorized, event.OrderSettling},
		},
		"a refusal inline": {
			(*world).accepted, rejected, inline, []string{event.InventoryRejected, event.OrderRejected},
		},
		"before the pivot, where signals may be waiting": {
			(*world).reserved, authorized, in, []string{event.PaymentAuthorized},
		},
		"a refusal, where signals may be waiting": {
			(*world).accepted, rejected, in, []string{event.InventoryRejected},
		},
		"after the pivot, inline": {
			(*world).captured, committed, inline, []string{event.InventoryCommitted, event.OrderCompleted},
		},
		"after the pivot": {
			(*world).captured, committed, in, []string{event.InventoryCommitted, event.OrderCompleted},
		},
		"on the way back, with more to undo": {
			(*world).compensating, released, in, []string{event.InventoryReleased},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := test.state(w)
			result, err := w.outcomes.Record(t.Context(), test.in(s, test.outcome(s)))
			require.NoError(t, err)
			require.Equal(t, test.tail, types(result.Tail))
			require.Equal(t, w.recordsAfter(s), result.Tail, "it returns the stored records")
		})
	}
}

func TestDecisionIsRecordedOnce(t *testing.T) {
	w := newWorld(t)
	s := w.accepted()
	s = w.write(s, s.Reserved([]order.LineOutcome{{SKU: "tea", Reason: order.ReasonOutOfStock}}, now))
	decided := order.Decisions(s, order.Facts{}, now, order.DefaultTiming())
	result, err := w.outcomes.Record(t.Context(), in(s, decided...))
	require.NoError(t, err)
	require.Equal(t, []string{event.OrderRejected}, types(result.Tail), "nothing follows from the end")
}

func TestRepeatedStepReturnsTheSameAnswer(t *testing.T) {
	w := newWorld(t)
	s := w.reserved()
	input := inline(s, s.Authorized("p-1", now))
	first, err := w.outcomes.Record(t.Context(), input)
	require.NoError(t, err)
	again, err := w.outcomes.Record(t.Context(), input)
	require.NoError(t, err)
	require.Equal(t, first, again)
	require.Len(t, w.recordsAfter(s), 2)

	later, err := s.Fold(first.Tail)
	require.NoError(t, err)
	w.write(later, later.Captured("p-1", now))
	again, err = w.outcomes.Record(t.Context(), input)
	require.NoError(t, err)
	require.Equal(t, []string{event.PaymentAuthorized, event.OrderSettling, event.PaymentCaptured}, types(again.Tail))
}

func TestLostRaceReturnsStoredRecords(t *testing.T) {
	t.Run("the slot holds another outcome", func(t *testing.T) {
		w := newWorld(t)
		s := w.accepted()
		refused := s.Reserved([]order.LineOutcome{{SKU: "tea", Reason: order.ReasonOutOfStock}}, now)
		w.write(s, s.Reserved(held("tea", "cup"), now))
		result, err := w.outcomes.Record(t.Context(), inline(s, refused))
		require.NoError(t, err)
		require.Equal(t, []string{event.InventoryReserved}, types(result.Tail))
		require.Equal(t, w.recordsAfter(s), result.Tail)
	})
	t.Run("an operator decided meanwhile", func(t *testing.T) {
		w := newWorld(t)
		s := w.accepted()
		w.cancel(s)
		result, err := w.outcomes.Record(t.Context(), inline(s, s.Reserved(held("tea", "cup"), now)))
		require.NoError(t, err)
		require.Equal(t, []string{event.OrderCompensating}, types(result.Tail))
		require.Len(t, w.recordsAfter(s), 1, "the outcome is decided upon again")
	})
}

func TestRecordRefusesEmptyInput(t *testing.T) {
	w := newWorld(t)
	s := w.accepted()
	_, err := w.outcomes.Record(t.Context(), in(s))
	requireFault(t, fault.Invalid, err)
}

func TestSlotBeforeTheHeadIsABug(t *testing.T) {
	w := newWorld(t)
	s := w.reserved()
	_, err := w.outcomes.Record(t.Context(), in(s, s.Reserved([]order.LineOutcome{{Reason: order.ReasonOutOfStock}}, now)))
	requireFault(t, fault.Internal, err)
	require.ErrorContains(t, err, "reserve")
	require.Empty(t, w.recordsAfter(s))
}

func TestUnfoldableDataIsNotWritten(t *testing.T) {
	w := newWorld(t)
	s := w.reserved()
	e := s.Authorized("p-1", now)
	e.Data = json.RawMessage(`{"paymentId":1}`)
	_, err := w.outcomes.Record(t.Context(), in(s, e))
	requireFault(t, fault.Malformed, err)
	require.Empty(t, w.recordsAfter(s))
}

func TestAppendErrorsKeepTheirCode(t *testing.T) {
	for _, code := range []fault.Code{fault.Unavailable, fault.Corrupt, fault.Invalid, fault.TooLarge} {
		w := newWorld(t)
		s := w.reserved()
		w.log.appendErr = fault.New(code, "injected")
		_, err := w.outcomes.Record(t.Context(), in(s, s.Authorized("p-1", now)))
		requireFault(t, code, err)
		require.Empty(t, w.list.states)
	}
}

func TestListShowsLongStatuses(t *testing.T) {
	w := newWorld(t)
	s := w.accepted()
	result, err := w.outcomes.Record(t.Context(), in(s, s.Reserved(held("tea", "cup"), now)))
	require.NoError(t, err)
	require.Empty(t, w.list.states, "a status that lasts milliseconds is not listed")

	s, err = s.Fold(result.Tail)
	require.NoError(t, err)
	_, err = w.outcomes.Record(t.Context(), in(s, s.PaymentPending("p-1", now, now.Add(order.DefaultTiming().PaymentPending))))
	require.NoError(t, err)
	require.Len(t, w.list.states, 1)
	require.Equal(t, order.StatusAwaitingPayment, w.list.states[0].Status)
	require.EqualValues(t, 3, w.list.states[0].Head.Version)
}

func TestFailedListStopsNoStep(t *testing.T) {
	t.Run("on the way", func(t *testing.T) {
		w := newWorld(t)
		s := w.reserved()
		w.list.err = fault.New(fault.Unavailable, "no list")
		result, err := w.outcomes.Record(t.Context(), in(s, s.PaymentPending("p-1", now, now.Add(order.DefaultTiming().PaymentPending))))
		require.NoError(t, err)
		require.Len(t, w.list.states, 1)
		require.False(t, result.Unlisted, "the next status is written as well")
	})
	t.Run("at the end", func(t *testing.T) {
		w := newWorld(t)
		s := w.captured()
		input := in(s, s.CommittedStock(now))
		w.list.err = fault.New(fault.Corrupt, "no list")
		result, err := w.outcomes.Record(t.Context(), input)
		require.NoError(t, err)
		require.Equal(t, []string{event.InventoryCommitted, event.OrderCompleted}, types(result.Tail))
		require.True(t, result.Unlisted, "nothing comes after the end")

		w.list.err = nil
		result, err = w.outcomes.Record(t.Context(), input)
		require.NoError(t, err)
		require.False(t, result.Unlisted)
		require.Equal(t, order.StatusCompleted, w.list.states[1].Status)
	})
}

// Ended sagas are not in the attention list.
func TestResolvedAttentionIsListed(t *testing.T) {
	w := newWorld(t)
	s := w.decide(w.settling(), order.Facts{Stuck: &order.Stuck{Step: order.StepCapture, Error: "no answer"}})
	require.Equal(t, order.StatusNeedsAttention, s.Status)
	skip := order.Facts{Resolutions: []order.Resolution{{ID: "d-1", Action: order.Skip, Note: "paid in cash"}}}
	_, err := w.outcomes.Record(t.Context(), in(s, order.Decisions(s, skip, now, order.DefaultTiming())...))
	require.NoError(t, err)
	require.Len(t, w.list.states, 1)
	require.Equal(t, order.StatusSettling, w.list.states[0].Status)
}
