package service

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/mongo"
	"github.com/ordersaga/ordersaga/internal/mongo/mongotest"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// What needs attention has two parts: the orders, and after them the other sagas. Whatever the size of its
// pages, each is on exactly one.
func TestAttentionIsPagedThroughBothParts(t *testing.T) {
	db, err := mongo.Open(t.Context(), mongotest.Database(t), nil)
	require.NoError(t, err)
	db.Timeout = testenv.Timeout
	orders, sagas := mongo.NewOrders(db), mongo.NewSagas(db)
	desk := listing{orders, sagas}
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var want []string
	put := func(store *mongo.List, id string, n int) {
		o := readmodel.Order{
			Order: order.Order{ID: id}, Status: order.StatusNeedsAttention, Version: 2,
			CreatedAt: start.Add(-time.Duration(n) * time.Minute), UpdatedAt: start,
			Attention: &readmodel.Attention{AttentionState: order.AttentionState{Open: true, Step: order.StepDispatch, Count: 1, Since: start}},
		}
		require.NoError(t, store.Put(t.Context(), o))
		want = append(want, id)
	}
	for n := range 4 {
		put(orders, fmt.Sprintf("open-%d", n), n)
	}
	for n := range 5 {
		put(sagas, fmt.Sprintf("topup-%d", n), n)
	}
	for limit := 1; limit <= 10; limit++ {
		var got []string
		for cursor, pages := "", 0; ; pages++ {
			items, next, err := desk.NeedsAttention(t.Context(), cursor, limit)
			require.NoError(t, err)
			require.LessOrEqual(t, len(items), limit)
			require.Less(t, pages, 20)
			for _, item := range items {
				got = append(got, item.ID)
			}
			if cursor = next; cursor == "" {
				break
			}
		}
		require.Equal(t, want, got, "pages of %d", limit)
	}
	_, _, err = desk.NeedsAttention(t.Context(), "saga.nonsense", 5)
	require.Error(t, err)
	_, _, err = desk.NeedsAttention(t.Context(), "nonsense", 5)
	require.Error(t, err)
}
