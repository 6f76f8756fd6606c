package inventorytest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/inventory"
	"github.com/ordersaga/ordersaga/internal/stock"
)

// testCounts tests receipts, adjustments and counts.
func testCounts(t *testing.T, s Subject) {
	ctx := context.Background()
	testShortfall(t, s)

	t.Run("a receipt counts once per ID", func(t *testing.T) {
		b := open(t, s, nil)
		sku := newSKU()
		first, err := b.a().Receive(ctx, sku, 5, "urn:delivery/1")
		require.NoError(t, err)
		require.Equal(t, inventory.Balance{SKU: sku, OnHand: 5, Available: 5, Version: 1}, first)
		_, err = b.b().Receive(ctx, sku, 2, "urn:delivery/2")
		require.NoError(t, err)
		for _, ledger := range b.ledgers {
			again, err := ledger.Receive(ctx, sku, 5, "urn:delivery/1")
			require.NoError(t, err)
			require.Equal(t, first, again, "the result does not change")
			_, err = ledger.Receive(ctx, sku, 6, "urn:delivery/1")
			require.ErrorIs(t, err, fault.Conflict)
		}
		b.balance(t, sku, 7, 0)
		Audit(t, b.log, sku)
	})

	t.Run("an adjustment does not take reserved stock", func(t *testing.T) {
		b := open(t, s, nil)
		sku := b.stocked(t, 5)
		_, err := b.a().Reserve(ctx, "o-1", sku, 3)
		require.NoError(t, err)
		_, err = b.b().Adjust(ctx, sku, -3, "count", inventory.Remark{Note: "shelf 4"})
		require.ErrorIs(t, err, fault.StockInsufficient)
		got, err := b.a().Adjust(ctx, sku, -2, "count", inventory.Remark{Note: "shelf 4"})
		require.NoError(t, err, "a refused adjustment does not use its ID")
		require.Equal(t, int64(0), got.Available)
		for _, ledger := range b.ledgers {
			again, err := ledger.Adjust(ctx, sku, -2, "count", inventory.Remark{Note: "in other words"})
			require.NoError(t, err, "a repeated call succeeds although nothing is available any more")
			require.Equal(t, got, again)
			_, err = ledger.Adjust(ctx, sku, -1, "count", inventory.Remark{})
			require.ErrorIs(t, err, fault.Conflict)
			_, err = ledger.Adjust(ctx, sku, -1, "other", inventory.Remark{})
			require.ErrorIs(t, err, fault.StockInsufficient)
		}
		b.balance(t, sku, 3, 3)
		Audit(t, b.log, sku)
	})

	t.Run("a successful adjustment makes a SKU known", func(t *testing.T) {
		b := open(t, s, nil)
		sku := newSKU()
		_, err := b.a().Adjust(ctx, sku, -1, "count", inventory.Remark{})
		require.ErrorIs(t, err, fault.StockInsufficient)
		_, err = b.a().Balance(ctx, sku)
		require.ErrorIs(t, err, fault.NotFound)
		_, err = b.a().Adjust(ctx, sku, 2, "count", inventory.Remark{})
		require.NoError(t, err)
		b.balance(t, sku, 2, 0)
		Audit(t, b.log, sku)
	})

	t.Run("IDs of orders, receipts and adjustments are separate", func(t *testing.T) {
		b := open(t, s, nil)
		sku := newSKU()
		for _, id := range []string{"x", "x/reserve", "x/receipt", "receipt", "settle"} {
			_, err := b.a().Receive(ctx, sku, 2, id)
			require.NoError(t, err)
			_, err = b.b().Adjust(ctx, sku, -1, id, inventory.Remark{})
			require.NoError(t, err)
		}
		for _, id := range []string{"x", "receipt", "settle", "reserve"} {
			got, err := b.a().Reserve(ctx, id, sku, 1)
			require.NoError(t, err)
			require.Equal(t, stock.Done, got.Effect)
		}
		b.balance(t, sku, 5, 4)
		Audit(t, b.log, sku)
	})
}

// testLimits tests validation and bounds.
func testLimits(t *testing.T, s Subject) {
	ctx := context.Background()
	b := open(t, s, nil)
	l, sku := b.a(), newSKU()

	t.Run("invalid input", func(t *testing.T) {
		for _, quantity := range []int64{0, -1, inventory.MaxQuantity + 1} {
			_, err := l.Reserve(ctx, "o-1", sku, quantity)
			require.ErrorIs(t, err, fault.Invalid)
			_, err = l.Receive(ctx, sku, quantity, "id")
			require.ErrorIs(t, err, fault.Invalid)
		}
		for _, quantity := range []int64{0, -inventory.MaxQuantity - 1, inventory.MaxQuantity + 1} {
			_, err := l.Adjust(ctx, sku, quantity, "id", inventory.Remark{})
			require.ErrorIs(t, err, fault.Invalid)
		}
		for _, id := range []string{"", "a\nb", "\xff", strings.Repeat("x", 257)} {
			_, err := l.Receive(ctx, sku, 1, id)
			require.ErrorIs(t, err, fault.Invalid, "%q", id)
		}
		for _, note := range []string{"a\x00b", "\xff", strings.Repeat("x", 1025)} {
			_, err := l.Adjust(ctx, sku, 1, "id", inventory.Remark{Note: note})
			require.ErrorIs(t, err, fault.Invalid, "%q", note)
		}
		for _, bad := range []string{"", "a ", "..", strings.Repeat("x", 201)} {
			_, err := l.Reserve(ctx, bad, sku, 1)
			require.ErrorIs(t, err, fault.Invalid)
			require.ErrorIs(t, l.Release(ctx, "o-1", bad), fault.Invalid)
			require.ErrorIs(t, l.Commit(ctx, bad, sku), fault.Invalid)
			_, err = l.Balance(ctx, bad)
			require.ErrorIs(t, err, fault.Invalid)
		}
		records, err := b.log.Read(ctx, event.StockStream(sku), 0, 0)
		require.NoError(t, err)
		require.Empty(t, records, "invalid calls write nothing")
	})

	t.Run("on hand stays exact in JSON", func(t *testing.T) {
		sku := newSKU()
		full := event.New(event.StockStream(sku), "first/receipt", event.StockAdded, sku, time.Unix(1, 0), inventory.Movement{
			SKU: sku, ID: "first", Quantity: inventory.MaxOnHand - 1, OnHand: inventory.MaxOnHand - 1,
		})
		_, _, err := b.log.Append(ctx, event.StockStream(sku), event.Head{}, []event.Entry{full})
		require.NoError(t, err)
		_, err = l.Receive(ctx, sku, 2, "second")
		require.ErrorIs(t, err, fault.Invalid)
		_, err = l.Receive(ctx, sku, 1, "third")
		require.NoError(t, err)
		b.balance(t, sku, inventory.MaxOnHand, 0)
		Audit(t, b.log, sku)
	})
}

// testList tests the list of SKUs.
func testList(t *testing.T, s Subject) {
	ctx := context.Background()
	b := open(t, s, nil)
	want := []string{"B-1", "B-10", "B-2", "b-1", "b.1"}
	for i := len(want) - 1; i >= 0; i-- {
		_, err := b.ledgers[i%2].Receive(ctx, want[i], int64(i+1), "first")
		require.NoError(t, err)
		_, err = b.ledgers[(i+1)%2].Receive(ctx, want[i], 1, "second")
		require.NoError(t, err)
	}
	_, err := b.a().Reserve(ctx, "o-1", "B-unknown", 1)
	require.NoError(t, err)
	require.NoError(t, b.registry.Add(ctx, "B-9"), "like a process that ended between registry and log")

	var got []string
	after, pages := "", 0
	for {
		balances, next, err := b.b().List(ctx, after, 2)
		require.NoError(t, err)
		for _, balance := range balances {
			require.Positive(t, balance.OnHand)
			got = append(got, balance.SKU)
		}
		pages++
		if after = next; next == "" {
			break
		}
	}
	require.Equal(t, want, got)
	require.LessOrEqual(t, pages, 4)
	_, _, err = b.a().List(ctx, "", 501)
	require.ErrorIs(t, err, fault.Invalid)
	all, next, err := b.a().List(ctx, "", 0)
	require.NoError(t, err)
	require.Len(t, all, len(want))
	require.Empty(t, next)
}

// testShortfall tests counts below the reserved quantity.
func testShortfall(t *testing.T, s Subject) {
	ctx := context.Background()
	t.Run("a count below the reserved quantity", func(t *testing.T) {
		b := open(t, s, nil)
		sku := b.stocked(t, 5)
		for id, quantity := range map[string]int64{"o-1": 3, "o-2": 2} {
			got, err := b.a().Reserve(ctx, id, sku, quantity)
			require.NoError(t, err)
			require.Equal(t, stock.Done, got.Effect)
		}
		short := inventory.Balance{SKU: sku, OnHand: 3, Reserved: 5, Available: 0, Shortfall: 2, Version: 4}
		for _, ledger := range []*inventory.Ledger{b.b(), b.a(), b.b()} {
			got, err := ledger.Count(ctx, sku, 3, "count-1", inventory.Remark{})
			require.NoError(t, err)
			require.Equal(t, short, got)
			_, err = ledger.Count(ctx, sku, 4, "count-1", inventory.Remark{})
			require.ErrorIs(t, err, fault.Conflict)
			got, err = ledger.Balance(ctx, sku)
			require.NoError(t, err)
			require.Equal(t, short, got)
		}
		for _, ledger := range b.ledgers {
			answer, err := ledger.Reserve(ctx, "o-3", sku, 1)
			require.NoError(t, err)
			require.Equal(t, stock.Reservation{Effect: stock.Refused, Reason: stock.OutOfStock}, answer)
			_, err = ledger.Adjust(ctx, sku, -1, "lost", inventory.Remark{})
			require.ErrorIs(t, err, fault.StockInsufficient)
		}

		// The first commit succeeds; the other one waits for more stock.
		require.NoError(t, b.a().Commit(ctx, "o-1", sku))
		for _, ledger := range b.ledgers {
			require.ErrorIs(t, ledger.Commit(ctx, "o-2", sku), fault.StockInsufficient)
		}
		b.balance(t, sku, 0, 2)
		_, err := b.b().Receive(ctx, sku, 2, "found")
		require.NoError(t, err)
		require.NoError(t, b.a().Commit(ctx, "o-2", sku))
		b.balance(t, sku, 0, 0)
		Audit(t, b.log, sku)
	})

	t.Run("a release ends the shortfall", func(t *testing.T) {
		b := open(t, s, nil)
		sku := b.stocked(t, 2)
		for _, id := range []string{"o-1", "o-2"} {
			_, err := b.a().Reserve(ctx, id, sku, 1)
			require.NoError(t, err)
		}
		_, err := b.b().Count(ctx, sku, 1, "count-1", inventory.Remark{})
		require.NoError(t, err)
		require.NoError(t, b.a().Release(ctx, "o-2", sku))
		got, err := b.b().Balance(ctx, sku)
		require.NoError(t, err)
		require.Equal(t, inventory.Balance{SKU: sku, OnHand: 1, Reserved: 1, Version: 5}, got)
		require.NoError(t, b.b().Commit(ctx, "o-1", sku))
		Audit(t, b.log, sku)
	})

	t.Run("a count makes a SKU known and may match the balance", func(t *testing.T) {
		b := open(t, s, nil)
		sku := newSKU()
		for n, counted := range []int64{0, 7, 7} {
			got, err := b.a().Count(ctx, sku, counted, string(rune('a'+n)), inventory.Remark{})
			require.NoError(t, err)
			require.Equal(t, counted, got.OnHand)
		}
		for _, counted := range []int64{-1, inventory.MaxOnHand + 1} {
			_, err := b.a().Count(ctx, sku, counted, "x", inventory.Remark{})
			require.ErrorIs(t, err, fault.Invalid)
		}
		Audit(t, b.log, sku)
	})
}
