package inventorytest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/inventory"
	"github.com/ordersaga/ordersaga/internal/stock"
)

// temporaryHolders are the orders that hold stock temporarily.
type temporaryHolders struct {
	mu     sync.Mutex
	orders map[string]bool
	asked  []string
	err    error
}

func (u *temporaryHolders) HoldsForNow(_ context.Context, orderID string) (bool, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.asked = append(u.asked, orderID)
	return u.orders[orderID], u.err
}

// testAcquire tests reservations of orders with several items.
func testAcquire(t *testing.T, s Subject) {
	ctx := context.Background()
	setup := func(t *testing.T) (*bench, *temporaryHolders) {
		orders := &temporaryHolders{orders: map[string]bool{}}
		return open(t, s, func(c *inventory.Config) { c.Orders = orders }), orders
	}
	done := stock.Reservation{Effect: stock.Done}
	short := stock.Reservation{Effect: stock.Short}
	acquire := func(t *testing.T, l *inventory.Ledger, r stock.ReserveRequest) []stock.Reservation {
		t.Helper()
		answers, err := l.Acquire(ctx, r)
		require.NoError(t, err)
		return answers
	}

	t.Run("items of one sku are reserved together", func(t *testing.T) {
		b, _ := setup(t)
		x, y := b.stocked(t, 5), b.stocked(t, 5)
		r := stock.ReserveRequest{OrderID: "o-1", Items: []stock.Item{{SKU: y, Quantity: 2}, {SKU: x, Quantity: 1}, {SKU: y, Quantity: 3}}}
		for _, ledger := range b.ledgers {
			require.Equal(t, []stock.Reservation{done, done, done}, acquire(t, ledger, r))
		}
		b.balance(t, x, 5, 1)
		b.balance(t, y, 5, 5)
		r.Items[0].Quantity = 1
		_, err := b.a().Acquire(ctx, r)
		require.ErrorIs(t, err, fault.Conflict)
	})

	t.Run("the items of one sku are refused together", func(t *testing.T) {
		b, _ := setup(t)
		x, y := b.stocked(t, 5), b.stocked(t, 5)
		refused := stock.Reservation{Effect: stock.Refused, Reason: stock.OutOfStock, Available: 5}
		r := stock.ReserveRequest{OrderID: "o/1 ü", Items: []stock.Item{{SKU: y, Quantity: 3}, {SKU: x, Quantity: 1}, {SKU: y, Quantity: 3}}}
		for _, ledger := range b.ledgers {
			require.Equal(t, []stock.Reservation{refused, {}, refused}, acquire(t, ledger, r))
		}
		b.balance(t, x, 5, 0)
		b.balance(t, y, 5, 0)
	})

	t.Run("an order without items takes nothing", func(t *testing.T) {
		b, _ := setup(t)
		require.Empty(t, acquire(t, b.a(), stock.ReserveRequest{OrderID: "o-1", Last: true}))
	})

	t.Run("unavailable items reserve nothing", func(t *testing.T) {
		b, _ := setup(t)
		x, y, z := b.stocked(t, 5), b.stocked(t, 1), newSKU()
		answers := acquire(t, b.b(), stock.ReserveRequest{OrderID: "o-1", Items: []stock.Item{
			{SKU: x, Quantity: 2}, {SKU: y, Quantity: 2}, {SKU: z, Quantity: 1},
		}})
		require.Equal(t, []stock.Reservation{
			{}, {Effect: stock.Refused, Reason: stock.OutOfStock, Available: 1}, {Effect: stock.Refused, Reason: stock.UnknownSKU},
		}, answers)
		b.balance(t, x, 5, 0)
		require.Empty(t, Audit(t, b.log, x).Held)
	})

	t.Run("temporarily held is short, earlier SKUs stay reserved", func(t *testing.T) {
		b, orders := setup(t)
		x, y, z := b.stocked(t, 5), b.stocked(t, 2), b.stocked(t, 5)
		r := stock.ReserveRequest{OrderID: "o-1", Items: []stock.Item{{SKU: z, Quantity: 1}, {SKU: y, Quantity: 1}, {SKU: x, Quantity: 1}}}
		for _, id := range []string{"keeps", "decides"} {
			_, err := b.b().Reserve(ctx, id, y, 1)
			require.NoError(t, err)
		}
		orders.orders["decides"] = true
		before := records(t, b, y)
		for i, ledger := range b.ledgers {
			finds := b.gates[i].Finds()
			require.Equal(t, []stock.Reservation{{}, short, done}, acquire(t, ledger, r))
			require.Equal(t, finds, b.gates[i].Finds(), "Find is not called: some servers would read the whole stream")
		}
		require.Equal(t, before, records(t, b, y), "waiting writes nothing")
		b.balance(t, x, 5, 1)
		b.balance(t, z, 5, 0)
		got, err := b.a().Lookup(ctx, "o-1", y)
		require.NoError(t, err)
		require.Equal(t, stock.Reservation{}, got)

		require.NoError(t, b.b().Release(ctx, "decides", y))
		r.From = y
		require.Equal(t, []stock.Reservation{done, done, done}, acquire(t, b.a(), r))
		b.balance(t, z, 5, 1)
	})

	t.Run("stock held by the order itself is done", func(t *testing.T) {
		b, orders := setup(t)
		sku := b.stocked(t, 2)
		orders.orders["o-1"] = true
		_, err := b.a().Reserve(ctx, "o-1", sku, 2)
		require.NoError(t, err)
		require.Equal(t, []stock.Reservation{done}, acquire(t, b.b(), stock.ReserveRequest{OrderID: "o-1", Items: []stock.Item{{SKU: sku, Quantity: 2}}}))
		restarted, err := inventory.New(inventory.Config{Log: b.log, Registry: b.registry, Orders: orders})
		require.NoError(t, err)
		t.Cleanup(restarted.Close)
		_, err = restarted.Acquire(ctx, stock.ReserveRequest{OrderID: "o-1", Items: []stock.Item{{SKU: sku, Quantity: 1}}})
		require.ErrorIs(t, err, fault.Conflict)
		b.balance(t, sku, 2, 2)
	})

	t.Run("stock held for good is refused", func(t *testing.T) {
		b, orders := setup(t)
		sku := b.stocked(t, 2)
		for _, id := range []string{"first", "second"} {
			_, err := b.b().Reserve(ctx, id, sku, 1)
			require.NoError(t, err)
		}
		refused := stock.Reservation{Effect: stock.Refused, Reason: stock.OutOfStock}
		r := stock.ReserveRequest{OrderID: "o-1", Items: []stock.Item{{SKU: sku, Quantity: 1}}}
		orders.err = fault.New(fault.Unavailable, "no orders")
		_, err := b.a().Acquire(ctx, r)
		require.ErrorIs(t, err, fault.Unavailable, "without a check nothing is refused")
		orders.err = nil
		require.Equal(t, []stock.Reservation{refused}, acquire(t, b.a(), r))
		require.ElementsMatch(t, []string{"first", "second"}, orders.asked[len(orders.asked)-2:])
		require.NoError(t, b.b().Release(ctx, "first", sku))
		require.Equal(t, []stock.Reservation{refused}, acquire(t, b.b(), r))
	})

	t.Run("the last attempt is refused despite temporary holders", func(t *testing.T) {
		b, orders := setup(t)
		sku := b.stocked(t, 1)
		_, err := b.b().Reserve(ctx, "decides", sku, 1)
		require.NoError(t, err)
		orders.orders["decides"] = true
		r := stock.ReserveRequest{OrderID: "o-1", Items: []stock.Item{{SKU: sku, Quantity: 1}}}
		require.Equal(t, []stock.Reservation{short}, acquire(t, b.a(), r))
		r.Last = true
		require.Equal(t, stock.Refused, acquire(t, b.a(), r)[0].Effect)
	})

	t.Run("holders are found after many records", func(t *testing.T) {
		b, orders := setup(t)
		sku := b.stocked(t, 2)
		_, err := b.a().Reserve(ctx, "old", sku, 1)
		require.NoError(t, err)
		each(400, func(n int) {
			id := fmt.Sprintf("o-%d", n)
			if err := b.a().Release(ctx, id, sku); err != nil {
				t.Error(err)
			}
		})
		for n := range 60 {
			id := fmt.Sprintf("p-%d", n)
			_, err := b.a().Reserve(ctx, id, sku, 1)
			require.NoError(t, err)
			require.NoError(t, b.a().Release(ctx, id, sku))
		}
		_, err = b.a().Reserve(ctx, "new", sku, 1)
		require.NoError(t, err)
		orders.orders["old"] = true
		for _, ledger := range b.ledgers {
			require.Equal(t, []stock.Reservation{short}, acquire(t, ledger, stock.ReserveRequest{OrderID: "o-x", Items: []stock.Item{{SKU: sku, Quantity: 1}}}))
		}
		shortfall, found, err := b.b().Shortfall(ctx, sku)
		require.NoError(t, err)
		require.Zero(t, shortfall)
		require.Empty(t, found)
		_, err = b.a().Count(ctx, sku, 1, "one is gone", inventory.Remark{})
		require.NoError(t, err)
		shortfall, found, err = b.b().Shortfall(ctx, sku)
		require.NoError(t, err)
		require.Equal(t, int64(1), shortfall)
		require.Equal(t, []string{"new", "old"}, []string{found[0].OrderID, found[1].OrderID}, "newest first")
		_, _, err = b.a().Shortfall(ctx, newSKU())
		require.ErrorIs(t, err, fault.NotFound)
	})
}

// records returns the number of records of a SKU's stream.
func records(t *testing.T, b *bench, sku string) int {
	t.Helper()
	all, err := b.log.Read(context.Background(), event.StockStream(sku), 0, 0)
	require.NoError(t, err)
	return len(all)
}
