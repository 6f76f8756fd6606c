package inventorytest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/stock"
)

// testRace runs concurrent orders for the same stock, with two ledgers.
func testRace(t *testing.T, s Subject) {
	ctx := context.Background()
	const orders, items = 200, 50
	b := open(t, s, nil)
	sku := b.stocked(t, items)

	var done, refused atomic.Int64
	held := make([]bool, orders)
	each(orders, func(i int) {
		got, err := b.ledgers[i%2].Reserve(ctx, fmt.Sprintf("o-%d", i), sku, 1)
		if err != nil {
			t.Error(err)
			return
		}
		switch got.Effect {
		case stock.Done:
			done.Add(1)
			held[i] = true
		case stock.Refused:
			refused.Add(1)
		}
	})
	require.Equal(t, int64(items), done.Load())
	require.Equal(t, int64(orders-items), refused.Load())
	b.balance(t, sku, items, items)
	Audit(t, b.log, sku)

	// Every order continues on both ledgers concurrently: half of them commit, the others release, each of them twice.
	each(2*orders, func(n int) {
		i := n / 2
		ledger, orderID := b.ledgers[n%2], fmt.Sprintf("o-%d", i)
		if i%4 < 2 && held[i] {
			if err := ledger.Commit(ctx, orderID, sku); err != nil {
				t.Error(err)
			}
			return
		}
		if err := ledger.Release(ctx, orderID, sku); err != nil {
			t.Error(err)
		}
	})
	var committed int64
	for i, h := range held {
		if h && i%4 < 2 {
			committed++
		}
	}
	sums := Audit(t, b.log, sku)
	require.Equal(t, committed, sums.Committed)
	require.Empty(t, sums.Held)
	b.balance(t, sku, items-committed, 0)

	// Concurrent calls for the same order reserve once; commit and release exclude each other.
	duel := b.stocked(t, 10)
	each(20, func(i int) {
		if got, err := b.ledgers[i%2].Reserve(ctx, "o-1", duel, 4); err != nil || got.Effect != stock.Done {
			t.Errorf("%v %v", got, err)
		}
	})
	b.balance(t, duel, 10, 4)
	var commits, releases atomic.Int64
	each(20, func(i int) {
		if i%4 < 2 {
			if b.ledgers[i%2].Commit(ctx, "o-1", duel) == nil {
				commits.Add(1)
			}
		} else if b.ledgers[i%2].Release(ctx, "o-1", duel) == nil {
			releases.Add(1)
		}
	})
	require.Equal(t, int64(10), commits.Load()+releases.Load())
	require.Zero(t, commits.Load()*releases.Load(), "both commit and release succeeded")
	Audit(t, b.log, duel)
}

// each calls f concurrently with 0 … n-1, and waits.
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
