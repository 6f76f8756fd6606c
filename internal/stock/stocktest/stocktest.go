// Package stocktest is the contract suite of the order flow's stock, to be run with every adapter.
//
// It imports workflows/order, internal/{fault,stock} and test libraries. Only tests may import it.
package stocktest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/stock"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// Subject is a stock under test.
type Subject struct {
	// Open returns a stock with so much on hand of each SKU.
	Open func(t *testing.T, onHand map[string]int64) Warehouse
	// CommitAbsent is the code of a commit of what was never reserved.
	CommitAbsent fault.Code
	// AllOrNothing means that a refused order holds nothing.
	AllOrNothing bool
}

// Warehouse is a stock, with functions that look at it and disturb it.
type Warehouse struct {
	Stock order.Stock
	// Balance is what is on hand of a SKU, and how much of that is reserved.
	Balance func(sku string) (onHand, reserved int64)
	// LoseRequest and LoseAnswer make the next change fail before or after it happens. Optional.
	LoseRequest, LoseAnswer func()
}

const (
	tea, cup = "tea/ü 50%", "cup"
	there    = 10
)

func onHand() map[string]int64 { return map[string]int64{tea: there, cup: there} }

// Run runs the suite.
func Run(t *testing.T, s Subject) {
	t.Run("Algebra", func(t *testing.T) { testAlgebra(t, s) })
	t.Run("Refusal", func(t *testing.T) { testRefusal(t, s) })
	t.Run("Conflict", func(t *testing.T) { testConflict(t, s) })
	t.Run("Race", func(t *testing.T) { testRace(t, s) })
	t.Run("Lost", func(t *testing.T) { testLost(t, s) })
}

// serial makes orders unique.
var serial atomic.Int64

func newOrder() string { return fmt.Sprintf("gid://shop/Order/%d ü", serial.Add(1)) }

func request(orderID string, items []stock.Item) stock.ReserveRequest {
	return stock.ReserveRequest{OrderID: orderID, Items: items, Last: true}
}

// spec is the specification of one reservation.
type spec struct {
	// refuses is the reason for which it is refused.
	refuses string
	// do is empty, done, refused or undone; settled is empty, committed or released.
	do      stock.Effect
	settled string
}

func (s *spec) reserve() stock.Effect {
	if s.do == "" {
		s.do = stock.Done
		if s.refuses != "" {
			s.do = stock.Refused
		}
	}
	return s.lookup()
}

func (s *spec) commit(absent fault.Code) fault.Code {
	switch {
	case s.do == "":
		return absent
	case s.do != stock.Done, s.settled == "released":
		return fault.EffectSettled
	}
	s.settled = "committed"
	return ""
}

func (s *spec) release() fault.Code {
	switch {
	case s.settled == "committed":
		return fault.EffectSettled
	case s.do == "":
		s.do = stock.Undone
	case s.do == stock.Done:
		s.settled = "released"
	}
	return ""
}

func (s *spec) lookup() stock.Effect {
	if s.settled == "released" {
		return stock.Undone
	}
	return s.do
}

// testAlgebra makes every sequence of calls for an order up to a length, and compares each result with the specification.
func testAlgebra(t *testing.T, s Subject) {
	for name, test := range map[string]struct {
		items   []stock.Item
		refuses string
	}{
		"one SKU":     {[]stock.Item{{SKU: tea, Quantity: 2}}, ""},
		"two SKUs":    {[]stock.Item{{SKU: tea, Quantity: 2}, {SKU: cup, Quantity: 1}}, ""},
		"not enough":  {[]stock.Item{{SKU: tea, Quantity: there + 1}}, stock.OutOfStock},
		"unknown SKU": {[]stock.Item{{SKU: "pot", Quantity: 1}}, stock.UnknownSKU},
	} {
		t.Run(name, func(t *testing.T) {
			for _, calls := range sequences([]string{"reserve", "commit", "release"}, 4) {
				w, id, model := s.Open(t, onHand()), newOrder(), &spec{refuses: test.refuses}
				for i, call := range calls {
					step(t, s, w, model, id, test.items, call, strings.Join(calls[:i+1], ", "))
				}
			}
		})
	}
}

func step(t *testing.T, s Subject, w Warehouse, model *spec, id string, items []stock.Item, call, where string) {
	t.Helper()
	ctx := t.Context()
	switch call {
	case "reserve":
		want := model.reserve()
		got, err := w.Stock.Acquire(ctx, request(id, items))
		require.NoError(t, err, where)
		if want != stock.Undone || s.AllOrNothing {
			all(t, want, model.refuses, items, got, where)
		} // a ledger may report a SKU as it was before the release, and not request the others
	case "commit":
		want := model.commit(s.CommitAbsent)
		require.Equal(t, want, fault.CodeOf(w.Stock.Commit(ctx, id, items)), where)
	case "release":
		want := model.release()
		require.Equal(t, want, fault.CodeOf(w.Stock.Release(ctx, id, items)), where)
	}
	found, err := w.Stock.Lookup(ctx, id, items)
	require.NoError(t, err, where)
	all(t, model.lookup(), model.refuses, items, found, where)
	for _, item := range items {
		wantOnHand, wantReserved := onHand()[item.SKU], int64(0)
		switch {
		case model.settled == "committed":
			wantOnHand -= item.Quantity
		case model.lookup() == stock.Done:
			wantReserved = item.Quantity
		}
		have, reserved := w.Balance(item.SKU)
		require.Equal(t, wantOnHand, have, where)
		require.Equal(t, wantReserved, reserved, where)
	}
}

// all requires one answer for every item.
func all(t *testing.T, want stock.Effect, reason string, items []stock.Item, got []stock.Reservation, where string) {
	t.Helper()
	require.Len(t, got, len(items), where)
	for _, answer := range got {
		require.Equal(t, want, answer.Effect, where)
		if want == stock.Refused {
			require.Equal(t, reason, answer.Reason, where)
		}
	}
}

// sequences returns every sequence of words with 1 to n elements.
func sequences(words []string, n int) (found [][]string) {
	last := [][]string{{}}
	for range n {
		var longer [][]string
		for _, prefix := range last {
			for _, word := range words {
				longer = append(longer, append(slices.Clone(prefix), word))
			}
		}
		found, last = append(found, longer...), longer
	}
	return found
}

// testRefusal tests that a refusal is recorded, and that an order with a refused SKU gets no other one for good.
func testRefusal(t *testing.T, s Subject) {
	ctx := t.Context()
	w, holder, id := s.Open(t, onHand()), newOrder(), newOrder()
	held := []stock.Item{{SKU: tea, Quantity: there}}
	got, err := w.Stock.Acquire(ctx, request(holder, held))
	require.NoError(t, err)
	require.Equal(t, stock.Done, got[0].Effect)
	items := []stock.Item{{SKU: tea, Quantity: 3}, {SKU: cup, Quantity: 1}}
	refused, err := w.Stock.Acquire(ctx, request(id, items))
	require.NoError(t, err)
	require.Equal(t, stock.Reservation{Effect: stock.Refused, Reason: stock.OutOfStock}, refused[0])
	if s.AllOrNothing {
		require.Empty(t, refused[1].Effect, "no SKU of the order is reserved")
		_, reserved := w.Balance(cup)
		require.Zero(t, reserved)
	}
	require.NoError(t, w.Stock.Release(ctx, holder, held))
	again, err := w.Stock.Acquire(ctx, request(id, items))
	require.NoError(t, err)
	require.Equal(t, refused[0], again[0], "there is stock now, and the refusal stays")
	found, err := w.Stock.Lookup(ctx, id, items)
	require.NoError(t, err)
	require.Equal(t, refused[0], found[0])
	require.NoError(t, w.Stock.Release(ctx, id, items))
	for _, sku := range []string{tea, cup} {
		have, reserved := w.Balance(sku)
		require.EqualValues(t, there, have)
		require.Zero(t, reserved)
	}
}

// testConflict tests different content for one order.
func testConflict(t *testing.T, s Subject) {
	ctx := t.Context()
	w, id := s.Open(t, onHand()), newOrder()
	_, err := w.Stock.Acquire(ctx, request(id, []stock.Item{{SKU: tea, Quantity: 2}}))
	require.NoError(t, err)
	_, err = w.Stock.Acquire(ctx, request(id, []stock.Item{{SKU: tea, Quantity: 3}}))
	require.ErrorIs(t, err, fault.Conflict)
	_, reserved := w.Balance(tea)
	require.EqualValues(t, 2, reserved)
}

// testRace makes equal and opposite calls at the same time.
func testRace(t *testing.T, s Subject) {
	ctx := t.Context()
	one := []stock.Item{{SKU: tea, Quantity: 1}}
	t.Run("no more than there is", func(t *testing.T) {
		w := s.Open(t, onHand())
		var done atomic.Int64
		ids := make([]string, 2*there)
		for i := range ids {
			ids[i] = newOrder()
		}
		each(2*len(ids), func(i int) {
			got, err := w.Stock.Acquire(ctx, request(ids[i/2], one))
			switch {
			case err != nil:
				t.Error(err)
			case got[0].Effect == stock.Done:
				done.Add(1)
			case got[0].Effect != stock.Refused:
				t.Errorf("%v", got)
			}
		})
		require.EqualValues(t, 2*there, done.Load(), "each order asks twice")
		_, reserved := w.Balance(tea)
		require.EqualValues(t, there, reserved)
	})
	t.Run("a release wins over its reservation", func(t *testing.T) {
		w, id := s.Open(t, onHand()), newOrder()
		each(2*there, func(i int) {
			if i%2 == 0 {
				if got, err := w.Stock.Acquire(ctx, request(id, one)); err != nil || got[0].Effect != stock.Done && got[0].Effect != stock.Undone {
					t.Errorf("%v %v", got, err)
				}
			} else if err := w.Stock.Release(ctx, id, one); err != nil {
				t.Error(err)
			}
		})
		found, err := w.Stock.Lookup(ctx, id, one)
		require.NoError(t, err)
		require.Equal(t, stock.Undone, found[0].Effect)
		_, reserved := w.Balance(tea)
		require.Zero(t, reserved)
	})
	t.Run("commit and release exclude each other", func(t *testing.T) {
		w, id := s.Open(t, onHand()), newOrder()
		_, err := w.Stock.Acquire(ctx, request(id, one))
		require.NoError(t, err)
		var committed, released atomic.Int64
		each(2*there, func(i int) {
			change, wins := w.Stock.Commit, &committed
			if i%2 == 1 {
				change, wins = w.Stock.Release, &released
			}
			switch err := change(ctx, id, one); fault.CodeOf(err) {
			case "":
				wins.Add(1)
			case fault.EffectSettled:
			default:
				t.Error(err)
			}
		})
		require.EqualValues(t, there, committed.Load()+released.Load())
		require.Zero(t, committed.Load()*released.Load())
	})
}

// testLost tests changes with an unknown outcome.
func testLost(t *testing.T, s Subject) {
	ctx, items := t.Context(), []stock.Item{{SKU: tea, Quantity: 1}, {SKU: cup, Quantity: 2}}
	w, id := s.Open(t, onHand()), newOrder()
	if w.LoseAnswer == nil || w.LoseRequest == nil {
		t.Skip("nothing gets lost")
	}
	find := func(want stock.Effect) {
		t.Helper()
		found, err := w.Stock.Lookup(ctx, id, items)
		require.NoError(t, err)
		all(t, want, "", items, found, "")
	}
	w.LoseRequest()
	_, err := w.Stock.Acquire(ctx, request(id, items))
	require.ErrorIs(t, err, fault.OutcomeUnknown)
	find("")
	w.LoseAnswer()
	_, err = w.Stock.Acquire(ctx, request(id, items))
	require.ErrorIs(t, err, fault.OutcomeUnknown)
	find(stock.Done)
	w.LoseAnswer()
	require.ErrorIs(t, w.Stock.Commit(ctx, id, items), fault.OutcomeUnknown)
	require.ErrorIs(t, w.Stock.Release(ctx, id, items), fault.EffectSettled)
	require.NoError(t, w.Stock.Commit(ctx, id, items))
	have, _ := w.Balance(cup)
	require.EqualValues(t, there-2, have)

	id = newOrder()
	w.LoseAnswer()
	require.ErrorIs(t, w.Stock.Release(ctx, id, items), fault.OutcomeUnknown)
	find(stock.Undone)
	got, err := w.Stock.Acquire(ctx, request(id, items))
	require.NoError(t, err)
	all(t, stock.Undone, "", items, got, "")
}

// each calls f n times at the same time, and waits.
func each(n int, f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	wg.Wait()
}
