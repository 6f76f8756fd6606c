package activities_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/inventory"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/shortage"
)

// asked are the sagas of orders that were notified about lost stock.
type asked struct {
	runs  map[string]*run
	order []string
	err   error
}

func (a *asked) StockLost(_ context.Context, orderID, sku string) error {
	if a.err != nil {
		return a.err
	}
	a.order = append(a.order, orderID)
	r, ok := a.runs[orderID]
	if !ok {
		return fault.New(fault.OrderUnknown, "order %s is not known", orderID)
	}
	ending := order.StockLost{SKU: sku}.Ending()
	r.facts.TurnBack = &ending
	return nil
}

// shortage returns the activities of the shortage saga for the orders of a shop.
func (s *shop) shortage(runs []*run) (*shortage.Activities, *asked) {
	a := &asked{runs: map[string]*run{}}
	for _, r := range runs {
		a.runs[r.order.ID] = r
	}
	return &shortage.Activities{Log: s.log, Stock: s.processes[0].ledger, Orders: a}, a
}

// end runs the order until it ends, waits, or cannot continue now.
func (r *run) end() {
	for {
		a, err := r.act(r.processes[0], true)
		if err != nil || a.Kind == order.Close || a.Kind == order.Wait {
			return
		}
	}
}

// dispatched sends the dispatch of the goods to the run.
func (r *run) dispatched() {
	r.facts.AddFact(order.ShipmentSignal{Kind: order.ShipmentDispatched, ShipmentFact: order.ShipmentFact{ID: "e1"}}.Fact(r.order.ID))
}

// confirmed are orders for one of tea each that wait for their dispatch, the oldest first.
func confirmed(s *shop, n int) (runs []*run) {
	for i := range n {
		r := s.ordered(fmt.Sprintf("o-%d", i), order.Done, order.Item{SKU: "tea", Quantity: 1})
		r.order.Fulfillment = order.Shipment
		r.end()
		runs = append(runs, r)
	}
	return runs
}

func TestNewestHoldersReleaseUntilNothingIsMissing(t *testing.T) {
	s := newShop(t, func() time.Time { return now }, memlog.New())
	defer s.close()
	s.stock("tea", 6)
	runs := confirmed(s, 6)
	activity, orders := s.shortage(runs)
	// The newest order has been shipped, and another one is being cancelled, which releases its stock.
	runs[5].dispatched()
	for runs[5].state.Decision == "" {
		_, err := runs[5].act(s.processes[0], true)
		require.NoError(t, err)
	}
	runs[4].facts.Cancellations = []order.Cancellation{{ID: "c"}}
	_, err := runs[4].act(s.processes[0], true)
	require.NoError(t, err)
	require.Equal(t, order.Back, runs[4].state.Decision)

	ask := func() shortage.AskResult {
		t.Helper()
		result, err := activity.Ask(t.Context(), shortage.AskInput{SKU: "tea"})
		require.NoError(t, err)
		return result
	}
	require.Equal(t, shortage.AskResult{}, ask(), "nothing is missing")
	_, err = s.processes[0].ledger.Count(t.Context(), "tea", 3, "count", inventory.Remark{})
	require.NoError(t, err)
	first := ask()
	require.Equal(t, int64(3), first.Shortfall)
	require.Equal(t, 3, first.Undecided)
	require.Equal(t, []string{"o-3", "o-2"}, orders.order)
	require.Equal(t, first, ask(), "it may be asked again")
	for _, r := range runs[2:5] {
		r.end()
	}
	require.Equal(t, shortage.AskResult{}, ask())
	for _, r := range runs[2:4] {
		require.Equal(t, order.StatusRejected, r.state.Status)
		require.Equal(t, order.ReasonStockLost, r.state.Reason)
	}
	require.Equal(t, order.StatusCancelled, runs[4].state.Status)
	require.Empty(t, runs[0].state.Decision, "the older ones keep what they hold")

	orders.err = fault.New(fault.Unavailable, "no Temporal")
	_, err = s.processes[0].ledger.Count(t.Context(), "tea", 0, "nothing", inventory.Remark{})
	require.NoError(t, err)
	_, err = activity.Ask(t.Context(), shortage.AskInput{SKU: "tea"})
	requireFault(t, fault.Unavailable, err)
	_, err = activity.Ask(t.Context(), shortage.AskInput{SKU: "coffee"})
	requireFault(t, fault.NotFound, err)
}

// Orders past their pivot, and unknown orders, keep their reservations: then no order is left to notify.
func TestOrdersAfterThePivotKeepTheirStock(t *testing.T) {
	s := newShop(t, func() time.Time { return now }, memlog.New())
	defer s.close()
	s.stock("tea", 2)
	r := s.ordered("o-1", order.Done, order.Item{SKU: "tea", Quantity: 1})
	for r.state.Decision == "" {
		_, err := r.act(s.processes[0], true)
		require.NoError(t, err)
	}
	_, err := s.processes[0].ledger.Reserve(t.Context(), "ghost", "tea", 1)
	require.NoError(t, err)
	_, err = s.processes[0].ledger.Count(t.Context(), "tea", 0, "count", inventory.Remark{})
	require.NoError(t, err)
	activity, orders := s.shortage([]*run{r})
	result, err := activity.Ask(t.Context(), shortage.AskInput{SKU: "tea"})
	require.NoError(t, err)
	require.Equal(t, shortage.AskResult{Shortfall: 2}, result)
	require.Empty(t, orders.order)

	// What cannot leave is an error, until it is there.
	_, err = s.processes[0].orders.Commit(t.Context(), stepInput{State: r.state, Settings: s.timing.Settings(false)})
	requireFault(t, fault.StockInsufficient, err)
	_, err = s.processes[0].ledger.Receive(t.Context(), "tea", 1, "second")
	require.NoError(t, err)
	r.end()
	require.Equal(t, order.StatusCompleted, r.state.Status)
}

// TestShortageModel counts stock at any time while orders run: no more is committed than exists, and when every order before its pivot is rejected,
// either nothing is missing, or every order that holds goods goes forward.
func TestShortageModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		at := now
		s := newShop(rt, func() time.Time { return at }, memlog.New())
		defer s.close()
		s.stock("tea", rapid.Int64Range(1, 8).Draw(rt, "on hand"))
		var runs []*run
		for n := range rapid.IntRange(1, 6).Draw(rt, "orders") {
			payment := rapid.SampledFrom([]order.Effect{order.Done, order.Done, order.Refused, ""}).Draw(rt, "payment")
			r := s.ordered(fmt.Sprintf("o-%d", n), payment, order.Item{SKU: "tea", Quantity: rapid.Int64Range(1, 3).Draw(rt, "quantity")})
			if rapid.Bool().Draw(rt, "shipment") {
				r.order.Fulfillment = order.Shipment
			}
			runs = append(runs, r)
		}
		activity, _ := s.shortage(runs)
		ask := func() shortage.AskResult {
			result, err := activity.Ask(context.Background(), shortage.AskInput{SKU: "tea"})
			require.NoError(rt, err)
			return result
		}
		counts := 0
		act := func(n int) {
			a, _ := runs[n].act(s.processes[0], true)
			if a.Kind == order.Wait && a.Step == order.StepReserve {
				at = a.Until
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"act": func(rt *rapid.T) { act(rapid.IntRange(0, len(runs)-1).Draw(rt, "order")) },
			"ship": func(rt *rapid.T) {
				r := runs[rapid.IntRange(0, len(runs)-1).Draw(rt, "order")]
				if r.state.ConfirmedAt.IsZero() {
					rt.Skip("not confirmed")
				}
				r.dispatched()
			},
			"count": func(rt *rapid.T) {
				counts++
				_, err := s.processes[0].ledger.Count(context.Background(), "tea", rapid.Int64Range(0, 8).Draw(rt, "counted"), fmt.Sprint(counts), inventory.Remark{})
				require.NoError(rt, err)
			},
			"ask": func(*rapid.T) { ask() },
		})
		for range 100 {
			ask()
			for n := range runs {
				act(n)
			}
		}
		result := ask()
		require.Zero(rt, result.Undecided)
		if result.Shortfall > 0 {
			require.True(rt, slices.ContainsFunc(runs, func(r *run) bool { return !r.state.Ended && r.state.Decision == order.Forward }))
		}
		records, err := s.log.Read(context.Background(), event.StockStream("tea"), 0, 0)
		require.NoError(rt, err)
		require.LessOrEqual(rt, len(records), 1+counts+2*len(runs))
	})
}
