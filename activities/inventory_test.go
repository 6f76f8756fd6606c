package activities_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// stock is a ledger that answers as it is told, by SKU; what it is not told of is done.
type stock struct {
	mu      sync.Mutex
	answers map[string]order.Reservation
	errs    map[string]error
	calls   []string
	// requests are what was to be reserved.
	requests []order.ReserveRequest
}

func (s *stock) call(what, orderID, sku string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, fmt.Sprintf("%s %s of %s", what, sku, orderID))
	return s.errs[sku]
}

func (s *stock) Acquire(_ context.Context, r order.ReserveRequest) ([]order.Reservation, error) {
	var answers []order.Reservation
	s.requests = append(s.requests, r)
	for _, item := range r.Items {
		if err := s.call(fmt.Sprintf("reserve %d", item.Quantity), r.OrderID, item.SKU); err != nil {
			return nil, err
		}
		answer, found := s.answers[item.SKU]
		if !found {
			answer.Effect = order.Done
		}
		answers = append(answers, answer)
	}
	return answers, nil
}

func (s *stock) Lookup(_ context.Context, orderID, sku string) (order.Reservation, error) {
	return s.answers[sku], s.call("look up", orderID, sku)
}

func (s *stock) Release(_ context.Context, orderID, sku string) error {
	return s.call("release", orderID, sku)
}

func (s *stock) Commit(_ context.Context, orderID, sku string) error {
	return s.call("commit", orderID, sku)
}

// inventory is a world's, with a ledger that answers as it is told.
func (w *world) inventory(l order.Ledger) *orders {
	return w.orders(order.Participants{Stock: order.PerSKU(l)})
}

func TestReserveCallsStockForEveryLine(t *testing.T) {
	w := newWorld(t)
	s := w.accepted()
	ledger := &stock{}
	result, err := w.inventory(ledger).Reserve(t.Context(), in(s))
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"reserve 2 tea of 42", "reserve 1 cup of 42"}, ledger.calls)
	require.Equal(t, []string{event.InventoryReserved}, types(result.Tail))
	items, err := event.Decode[order.Items](result.Tail[0].Event)
	require.NoError(t, err)
	require.Equal(t, order.Items{
		OrderID: "42", Lines: []order.Item{{SKU: "tea", Quantity: 2}, {SKU: "cup", Quantity: 1}},
	}, items)
}

func TestReserveWithRefusedLine(t *testing.T) {
	out := order.Reservation{Effect: order.Refused, Reason: order.ReasonOutOfStock, Available: 1}
	unknown := order.Reservation{Effect: order.Refused, Reason: order.ReasonUnknownSKU}
	for name, test := range map[string]struct {
		answers map[string]order.Reservation
		want    order.Rejection
		follows string
	}{
		"the other one holds stock": {
			map[string]order.Reservation{"cup": out},
			order.Rejection{OrderID: "42", Reason: order.ReasonOutOfStock, Held: true, Lines: []order.LineOutcome{
				{SKU: "tea", Quantity: 2, Reserved: true},
				{SKU: "cup", Quantity: 1, Reason: order.ReasonOutOfStock, Available: 1},
			}},
			event.OrderCompensating,
		},
		"and the other one, too": {
			map[string]order.Reservation{"tea": unknown, "cup": out},
			order.Rejection{OrderID: "42", Reason: order.ReasonUnknownSKU, Lines: []order.LineOutcome{
				{SKU: "tea", Quantity: 2, Reason: order.ReasonUnknownSKU},
				{SKU: "cup", Quantity: 1, Reason: order.ReasonOutOfStock, Available: 1},
			}},
			event.OrderRejected,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			result, err := w.inventory(&stock{answers: test.answers}).Reserve(t.Context(), inline(w.accepted()))
			require.NoError(t, err, "a refusal is an outcome")
			require.Equal(t, []string{event.InventoryRejected, test.follows}, types(result.Tail))
			rejection, err := event.Decode[order.Rejection](result.Tail[0].Event)
			require.NoError(t, err)
			require.Equal(t, test.want, rejection)
		})
	}
}

// Nothing is recorded while a line is short: the same step is tried again from there, and refuses at last.
func TestShortReservationRecordsNothing(t *testing.T) {
	w := newWorld(t)
	s := w.accepted()
	ledger := &stock{answers: map[string]order.Reservation{"cup": {Effect: order.Short}}}
	input := inline(s)
	input.Unpublished = w.recordsAfter(order.State{})
	result, err := w.inventory(ledger).Reserve(t.Context(), input)
	require.NoError(t, err)
	require.Equal(t, "cup", result.Later.Hint)
	require.NotEmpty(t, result.Later.For, "people read what is waited for")
	result.Later = nil
	require.Equal(t, stepResult{Published: 1}, result)
	require.Empty(t, w.recordsAfter(s))

	input.Hint, input.Last = "cup", true
	ledger.answers["cup"] = order.Reservation{Effect: order.Refused, Reason: order.ReasonOutOfStock}
	result, err = w.inventory(ledger).Reserve(t.Context(), input)
	require.NoError(t, err)
	require.Equal(t, []string{event.InventoryRejected, event.OrderCompensating}, types(result.Tail))
	require.Equal(t, []order.ReserveRequest{
		{OrderID: "42", Items: s.Order.Items()}, {OrderID: "42", Items: s.Order.Items(), From: "cup", Last: true},
	}, ledger.requests)
}

// A line that was not asked for may hold stock in the end: an attempt of before is perhaps still under way.
func TestUnorderedLineIsReleased(t *testing.T) {
	w := newWorld(t)
	ledger := &stock{answers: map[string]order.Reservation{
		"tea": {}, "cup": {Effect: order.Refused, Reason: order.ReasonOutOfStock, Available: 1},
	}}
	result, err := w.inventory(ledger).Reserve(t.Context(), inline(w.accepted()))
	require.NoError(t, err)
	require.Equal(t, []string{event.InventoryRejected, event.OrderCompensating}, types(result.Tail))
	rejection, err := event.Decode[order.Rejection](result.Tail[0].Event)
	require.NoError(t, err)
	require.Equal(t, order.Rejection{OrderID: "42", Reason: order.ReasonOutOfStock, Held: true, Lines: []order.LineOutcome{
		{SKU: "tea", Quantity: 2}, {SKU: "cup", Quantity: 1, Reason: order.ReasonOutOfStock, Available: 1},
	}}, rejection)
}

func TestReserveAfterUndoAdoptsTheLog(t *testing.T) {
	undone := &stock{answers: map[string]order.Reservation{"cup": {Effect: order.Undone}}}
	w := newWorld(t)
	s := w.accepted()

	_, err := w.inventory(undone).Reserve(t.Context(), in(s))
	requireFault(t, fault.Concurrency, err)
	require.True(t, fault.Lookup(fault.Concurrency).Retryable, "who undoes it writes it down soon")
	require.Empty(t, w.recordsAfter(s))

	later := w.cancel(s)
	w.write(later, later.Undone(order.StepReserve, now))
	result, err := w.inventory(undone).Reserve(t.Context(), in(s))
	require.NoError(t, err)
	require.Equal(t, []string{event.OrderCompensating, event.InventoryReleased}, types(result.Tail))
	require.Len(t, w.recordsAfter(s), 2, "nothing is written")

	w.log.readErr = fault.New(fault.Unavailable, "no log")
	_, err = w.inventory(undone).Reserve(t.Context(), in(s))
	requireFault(t, fault.Unavailable, err)
}

// What turns out to have happened is adopted; one line without an outcome, and nothing is.
func TestFindAdoptsRecordedResult(t *testing.T) {
	done, out := order.Reservation{Effect: order.Done}, order.Reservation{Effect: order.Refused, Reason: order.ReasonOutOfStock}
	for name, test := range map[string]struct {
		tea, cup order.Reservation
		want     []string
	}{
		"every line holds stock": {done, done, []string{event.InventoryReserved}},
		"one was refused":        {done, out, []string{event.InventoryRejected}},
		"one was never asked":    {done, order.Reservation{}, nil},
		"and the other refused":  {order.Reservation{}, out, []string{event.InventoryRejected}},
		"one is undone":          {done, order.Reservation{Effect: order.Undone}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := w.accepted()
			ledger := &stock{answers: map[string]order.Reservation{"tea": test.tea, "cup": test.cup}}
			result, err := w.inventory(ledger).Find(t.Context(), in(s))
			require.NoError(t, err)
			require.ElementsMatch(t, []string{"look up tea of 42", "look up cup of 42"}, ledger.calls)
			require.Equal(t, test.want, types(result.Tail))
			require.Len(t, w.recordsAfter(s), len(test.want))
		})
	}
}

func TestReleaseAndCommitTouchEveryLine(t *testing.T) {
	ledger := &stock{}
	w := newWorld(t)
	result, err := w.inventory(ledger).Release(t.Context(), in(w.cancel(w.accepted())))
	require.NoError(t, err)
	require.Equal(t, []string{event.InventoryReleased, event.OrderCancelled}, types(result.Tail))
	require.ElementsMatch(t, []string{"release tea of 42", "release cup of 42"}, ledger.calls)

	ledger = &stock{}
	w = newWorld(t)
	result, err = w.inventory(ledger).Commit(t.Context(), in(w.captured()))
	require.NoError(t, err)
	require.Equal(t, []string{event.InventoryCommitted, event.OrderCompleted}, types(result.Tail))
	require.ElementsMatch(t, []string{"commit tea of 42", "commit cup of 42"}, ledger.calls)
}

func TestFailedLedgerRecordsNothing(t *testing.T) {
	type step = func(*orders, context.Context, stepInput) (stepResult, error)
	for name, test := range map[string]struct {
		state func(w *world) order.State
		step  step
	}{
		"reserve": {(*world).accepted, (*orders).Reserve},
		"release": {(*world).compensating, (*orders).Release},
		"commit":  {(*world).captured, (*orders).Commit},
	} {
		for _, code := range []fault.Code{fault.Unavailable, fault.OutcomeUnknown, fault.EffectSettled, fault.Corrupt} {
			t.Run(name+" with "+string(code), func(t *testing.T) {
				w := newWorld(t)
				s := test.state(w)
				ledger := &stock{errs: map[string]error{"cup": fault.New(code, "injected")}}
				_, err := test.step(w.inventory(ledger), t.Context(), in(s))
				requireFault(t, code, err)
				require.Empty(t, w.recordsAfter(s))
			})
		}
	}
}

// counter counts how many lines are worked on at once.
type counter struct {
	order.Ledger
	mu        sync.Mutex
	now, most int
}

func (c *counter) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now += n
	c.most = max(c.most, c.now)
}

func (c *counter) Release(context.Context, string, string) error {
	c.add(1)
	defer c.add(-1)
	<-time.After(time.Second)
	return nil
}

func TestLinesAreHandledConcurrentlyWithALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		o := tea()
		o.Lines = nil
		for i := range 33 {
			o.Lines = append(o.Lines, order.Line{SKU: fmt.Sprintf("sku-%d", i), Quantity: 1, UnitAmount: 1})
		}
		s := w.cancel(w.write(order.State{}, order.Accept(o.Normalize(), "corr", "cause", now)))
		ledger, began := &counter{}, time.Now()
		result, err := w.inventory(ledger).Release(t.Context(), in(s))
		require.NoError(t, err)
		require.Equal(t, []string{event.InventoryReleased, event.OrderCancelled}, types(result.Tail))
		require.Equal(t, 16, ledger.most)
		require.Equal(t, 3*time.Second, time.Since(began))
	})
}
