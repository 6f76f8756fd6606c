package activities_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/inventory/inventorytest/gatelog"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// remote is a log that takes a random time for each call, so that orders meet in every way.
type remote struct{ eventlog.Log }

func (remote) travel() { time.Sleep(rand.N(4 * time.Millisecond)) }

func (l remote) Append(ctx context.Context, stream string, head event.Head, entries []event.Entry) (event.Head, []event.Record, error) {
	l.travel()
	defer l.travel()
	return l.Log.Append(ctx, stream, head, entries)
}

func (l remote) Read(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error) {
	l.travel()
	defer l.travel()
	return l.Log.Read(ctx, stream, after, limit)
}

func (l remote) Head(ctx context.Context, stream string) (event.Record, bool, error) {
	l.travel()
	defer l.travel()
	return l.Log.Head(ctx, stream)
}

// race runs orders at two processes at once until all have ended. Prepare adds the stock and the orders.
func race(t *testing.T, prepare func(s *shop) []*run, check func(t *testing.T, s *shop, runs []*run)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		log := memlog.New()
		s := newShop(t, time.Now, remote{log}, remote{log})
		defer s.close()
		runs := prepare(s)
		var all sync.WaitGroup
		for n, r := range runs {
			all.Go(func() {
				for {
					a, err := r.act(s.processes[n%2], n%3 > 0)
					switch {
					case err != nil:
						t.Error(err)
						return
					case a.Kind == order.Close:
						return
					case a.Kind == order.Wait:
						time.Sleep(time.Until(a.Until))
					}
				}
			})
		}
		all.Wait()
		require.False(t, t.Failed())
		check(t, s, runs)
		s.check(runs)
	})
}

// Orders for the same SKUs, in opposite orders, do not block stock that neither of them can get.
func TestMultiLineOrdersDoNotStarveEachOther(t *testing.T) {
	for _, lines := range []int{2, 20, 50, 100} {
		t.Run(fmt.Sprintf("%d lines", lines), func(t *testing.T) {
			race(t, func(s *shop) (runs []*run) {
				var items []order.Item
				for n := range lines {
					items = append(items, order.Item{SKU: fmt.Sprintf("sku-%03d", n), Quantity: 1})
					s.stock(items[n].SKU, 10)
				}
				for n := range 20 {
					runs = append(runs, s.ordered(fmt.Sprintf("o-%d", n), order.Done, items...))
					slices.Reverse(items)
				}
				return runs
			}, func(t *testing.T, _ *shop, runs []*run) {
				require.Equal(t, map[string]int{"completed ": 10, "rejected out_of_stock": 10}, ends(runs))
			})
		})
	}
}

// Refused orders do not take stock of others: the hot SKU has one unit for each order that has no other line. The other SKU is sold out, or
// reserved by an order that waits for its payer.
func TestSoldOutOrdersHoldNoOtherStock(t *testing.T) {
	for name, sku := range map[string]string{"after": "sold-out", "before": "a-sold-out"} {
		for how, pending := range map[string]bool{"gone": false, "held": true} {
			t.Run(name+", "+how, func(t *testing.T) {
				var first *run
				race(t, func(s *shop) (runs []*run) {
					s.stock("hot", 20)
					s.stock(sku, 1)
					first = s.ordered("first", "", order.Item{SKU: sku, Quantity: 1})
					first.until(func(a order.Action) bool {
						return a.Kind == order.Close || pending && first.state.Payment == order.PaymentPending
					})
					for n := range 20 {
						runs = append(runs,
							s.ordered(fmt.Sprintf("both-%d", n), order.Done, order.Item{SKU: "hot", Quantity: 1}, order.Item{SKU: sku, Quantity: 1}),
							s.ordered(fmt.Sprintf("hot-%d", n), order.Done, order.Item{SKU: "hot", Quantity: 1}))
					}
					return runs
				}, func(t *testing.T, _ *shop, runs []*run) {
					first.until(func(a order.Action) bool { return a.Kind == order.Close })
					require.Equal(t, map[string]int{"completed ": 20, "rejected out_of_stock": 20}, ends(runs))
				})
			})
		}
	}
}

// The stock of declined orders goes to waiting orders.
func TestDeclinedOrdersReleaseStockForWaitingOrders(t *testing.T) {
	race(t, func(s *shop) (runs []*run) {
		s.stock("hot", 5)
		for n := range 20 {
			payment := order.Refused
			if n%4 == 0 {
				payment = order.Done
			}
			runs = append(runs, s.ordered(fmt.Sprintf("o-%d", n), payment, order.Item{SKU: "hot", Quantity: 1}))
		}
		return runs
	}, func(t *testing.T, _ *shop, runs []*run) {
		require.Equal(t, 5, ends(runs)["completed "], "%v", ends(runs))
	})
}

// TestReservationModel runs orders, step by step and in any order, at processes that crash, over a log that loses requests and
// answers; runs are broken off while they wait, too. In the end everything that could be sold is sold.
func TestReservationModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		at := now
		log := memlog.New()
		gates := []*gatelog.Log{gatelog.Wrap(log), gatelog.Wrap(log)}
		s := newShop(rt, func() time.Time { return at }, gates[0], gates[1])
		defer func() { s.close() }()
		skus := []string{"a", "b", "c"}
		for _, sku := range skus {
			s.stock(sku, rapid.Int64Range(1, 4).Draw(rt, "on hand"))
		}
		var runs []*run
		for n := range rapid.IntRange(2, 6).Draw(rt, "orders") {
			var items []order.Item
			for _, sku := range rapid.Permutation(skus).Draw(rt, "lines")[:rapid.IntRange(1, 3).Draw(rt, "count")] {
				items = append(items, order.Item{SKU: sku, Quantity: rapid.Int64Range(1, 2).Draw(rt, "quantity")})
			}
			payment := rapid.SampledFrom([]order.Effect{order.Done, order.Done, order.Refused, ""}).Draw(rt, "payment")
			runs = append(runs, s.ordered(fmt.Sprintf("o-%d", n), payment, items...))
		}
		act := func(n, process int, inline bool) bool {
			a, err := runs[n].act(s.processes[process], inline)
			if err == nil && a.Kind == order.Wait {
				at = a.Until
			}
			return err == nil && a.Kind == order.Close
		}
		rt.Repeat(map[string]func(*rapid.T){
			"act": func(rt *rapid.T) {
				n := rapid.IntRange(0, len(runs)-1).Draw(rt, "order")
				act(n, rapid.IntRange(0, 1).Draw(rt, "process"), rapid.Bool().Draw(rt, "inline"))
			},
			"cancel": func(rt *rapid.T) {
				n := rapid.IntRange(0, 4*len(runs)).Draw(rt, "order")
				if n >= len(runs) {
					rt.Skip("few are cancelled")
				}
				if runs[n].payment == "" {
					rt.Skip("an order that waits for its payer keeps its goods from the others")
				}
				runs[n].facts.Cancellations = []order.Cancellation{{ID: "c-1"}}
			},
			"crash": func(rt *rapid.T) {
				n := rapid.IntRange(0, len(runs)-1).Draw(rt, "order")
				runs[n] = runs[n].crash()
			},
			"restart": func(rt *rapid.T) {
				n := rapid.IntRange(0, 1).Draw(rt, "process")
				s.processes[n].ledger.Close()
				s.processes[n] = s.process(gates[n])
			},
			"disturb": func(rt *rapid.T) {
				gate := gates[rapid.IntRange(0, 1).Draw(rt, "process")]
				gate.Open()
				rapid.SampledFrom([]func(){gate.LoseAnswer, gate.LoseRequest, gate.WriteHalf}).Draw(rt, "how")()
			},
		})
		for _, gate := range gates {
			gate.Open()
		}
		const enough = 1000
		open := true
		for round := 0; open; round++ {
			require.Less(rt, round, enough, "orders wait for each other")
			open = false
			for n := range runs {
				open = !act(n, n%2, true) || open
			}
		}
		s.check(runs)
	})
}
