package inventorytest

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/inventory"
	"github.com/ordersaga/ordersaga/internal/stock"
)

// testAlgebra runs every sequence of calls for one order up to a length, with enough, too little and no stock, and compares each result with the
// table. The calls alternate between two ledgers, so that each ledger sees records that it did not write; it repeats this with minimal
// caches.
func testAlgebra(t *testing.T, s Subject) {
	length, caches, firsts := 4, []int{0, 1}, []int{0, 1}
	if s.Slow {
		length, caches, firsts = 3, []int{1}, []int{0}
	}
	situations := map[string]int64{"enough": 5, "short": 2, "unknown": 0}
	for _, cache := range caches {
		b := open(t, s, func(c *inventory.Config) { c.SlotCache, c.HeadCache = cache, cache })
		for name, stock := range situations {
			for _, calls := range sequences([]string{"reserve", "release", "commit"}, length) {
				for _, first := range firsts {
					runSequence(t, b, name, stock, calls, first)
				}
			}
		}
	}
}

func runSequence(t *testing.T, b *bench, situation string, stock int64, calls []string, first int) {
	ctx := context.Background()
	const quantity = 3
	name, spec := newSKU(), newSpec()
	if stock > 0 {
		_, err := b.ledgers[first].Receive(ctx, name, stock, "first")
		require.NoError(t, err)
		require.Empty(t, spec.count("first", stock))
	}
	for i, call := range calls {
		ledger := b.ledgers[(first+i)%len(b.ledgers)]
		where := situation + ": " + strings.Join(calls[:i+1], ", ")
		switch call {
		case "reserve":
			want, code := spec.reserve("o-1", quantity)
			got, err := ledger.Reserve(ctx, "o-1", name, quantity)
			require.Equal(t, code, fault.CodeOf(err), where)
			require.Equal(t, want, got, where)
		case "release":
			require.Equal(t, spec.release("o-1"), fault.CodeOf(ledger.Release(ctx, "o-1", name)), where)
		case "commit":
			require.Equal(t, spec.commit("o-1"), fault.CodeOf(ledger.Commit(ctx, "o-1", name)), where)
		}
		for _, ledger := range b.ledgers {
			found, err := ledger.Lookup(ctx, "o-1", name)
			require.NoError(t, err, where)
			require.Equal(t, spec.lookup("o-1"), found, where)
		}
	}
	sums := Audit(t, b.log, name)
	require.Equal(t, spec.onHand, sums.OnHand)
	require.Equal(t, spec.reserved, sums.Reserved())
	records, err := b.log.Read(ctx, event.StockStream(name), 0, 0)
	require.NoError(t, err)
	require.LessOrEqual(t, len(records), 3, "%s: a repeated call writes nothing", strings.Join(calls, ", "))
}

// sequences returns every sequence of words with 1 to n elements.
func sequences(words []string, n int) [][]string {
	var all, last [][]string
	last = [][]string{{}}
	for range n {
		var longer [][]string
		for _, prefix := range last {
			for _, word := range words {
				longer = append(longer, append(slices.Clone(prefix), word))
			}
		}
		all, last = append(all, longer...), longer
	}
	return all
}

// testAnswers tests results that the sequences do not cover.
func testAnswers(t *testing.T, s Subject) {
	ctx := context.Background()

	t.Run("a refusal stays after stock is added", func(t *testing.T) {
		b := open(t, s, nil)
		sku := b.stocked(t, 2)
		refused := stock.Reservation{Effect: stock.Refused, Reason: stock.OutOfStock, Available: 2}
		got, err := b.a().Reserve(ctx, "o-1", sku, 3)
		require.NoError(t, err)
		require.Equal(t, refused, got)
		_, err = b.b().Receive(ctx, sku, 10, "second")
		require.NoError(t, err)
		for _, ledger := range b.ledgers {
			got, err = ledger.Reserve(ctx, "o-1", sku, 3)
			require.NoError(t, err)
			require.Equal(t, refused, got)
		}
		b.balance(t, sku, 12, 0)
		Audit(t, b.log, sku)
	})

	t.Run("an unknown SKU stays unknown until stock is added", func(t *testing.T) {
		b := open(t, s, nil)
		sku := newSKU()
		got, err := b.a().Reserve(ctx, "o-1", sku, 1)
		require.NoError(t, err)
		require.Equal(t, stock.Reservation{Effect: stock.Refused, Reason: stock.UnknownSKU}, got)
		require.NoError(t, b.b().Release(ctx, "o-2", sku))
		for _, ledger := range b.ledgers {
			_, err = ledger.Balance(ctx, sku)
			require.ErrorIs(t, err, fault.NotFound)
			got, err = ledger.Reserve(ctx, "o-3", sku, 1)
			require.NoError(t, err)
			require.Equal(t, stock.UnknownSKU, got.Reason)
		}
		_, err = b.b().Receive(ctx, sku, 4, "first")
		require.NoError(t, err)
		got, err = b.a().Reserve(ctx, "o-4", sku, 1)
		require.NoError(t, err)
		require.Equal(t, stock.Done, got.Effect)
		b.balance(t, sku, 4, 1)
		Audit(t, b.log, sku)
	})

	t.Run("a different quantity for the same order is a conflict", func(t *testing.T) {
		b := open(t, s, nil)
		sku := b.stocked(t, 5)
		for orderID, quantity := range map[string]int64{"held": 2, "refused": 9} {
			_, err := b.a().Reserve(ctx, orderID, sku, quantity)
			require.NoError(t, err)
			for _, ledger := range b.ledgers {
				_, err = ledger.Reserve(ctx, orderID, sku, 3)
				require.ErrorIs(t, err, fault.Conflict)
			}
		}
		b.balance(t, sku, 5, 2)
		Audit(t, b.log, sku)
	})

	t.Run("a cached result is not used after another ledger released it", func(t *testing.T) {
		b := open(t, s, nil)
		sku := b.stocked(t, 5)
		got, err := b.a().Reserve(ctx, "o-1", sku, 5)
		require.NoError(t, err)
		require.Equal(t, stock.Done, got.Effect)
		require.NoError(t, b.b().Release(ctx, "o-1", sku))
		got, err = b.a().Reserve(ctx, "o-1", sku, 5)
		require.NoError(t, err)
		require.Equal(t, stock.Undone, got.Effect)
		require.ErrorIs(t, b.a().Commit(ctx, "o-1", sku), fault.EffectSettled)
		b.balance(t, sku, 5, 0)
		Audit(t, b.log, sku)
	})
	testStaleHead(t, s)
}

// testStaleHead repeats, on a ledger with an old cached head, what another ledger did and undid since.
func testStaleHead(t *testing.T, s Subject) {
	t.Run("a cached head does not hide later records", func(t *testing.T) {
		ctx := context.Background()
		b := open(t, s, nil)
		sku := b.stocked(t, 5)
		_, err := b.b().Reserve(ctx, "o-1", sku, 5)
		require.NoError(t, err)
		require.NoError(t, b.b().Release(ctx, "o-1", sku))
		got, err := b.a().Reserve(ctx, "o-1", sku, 5)
		require.NoError(t, err)
		require.Equal(t, stock.Undone, got.Effect)

		_, err = b.b().Adjust(ctx, sku, -5, "lost", inventory.Remark{})
		require.NoError(t, err)
		got, err = b.a().Reserve(ctx, "o-2", sku, 5)
		require.NoError(t, err)
		require.Equal(t, stock.Reservation{Effect: stock.Refused, Reason: stock.OutOfStock}, got)

		_, err = b.b().Receive(ctx, sku, 3, "second")
		require.NoError(t, err)
		_, err = b.a().Adjust(ctx, sku, -3, "lost again", inventory.Remark{})
		require.NoError(t, err, "a refusal is based on a balance that was read, not cached")
		b.balance(t, sku, 0, 0)
		Audit(t, b.log, sku)
	})
}
