package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/test/harness"
)

// race places orders for these SKUs all at once, waits for their ends, and counts them.
func (s *stack) race(orders [][]string) map[string]int {
	s.t.Helper()
	ids := make([]string, len(orders))
	var all sync.WaitGroup
	for i, skus := range orders {
		all.Go(func() {
			o := harness.NewOrder(skus[0], 1, "tok_visa")
			o.Lines = nil
			for _, sku := range skus {
				o.Lines = append(o.Lines, harness.Line{SKU: sku, Quantity: 1, UnitAmount: 100})
			}
			ids[i] = s.insist(o, uuid.NewString())
		})
	}
	all.Wait()
	require.False(s.t, s.t.Failed())
	ends := map[string]int{}
	for _, id := range ids {
		end, err := s.client.AwaitEnd(s.ctx, id)
		require.NoError(s.t, err)
		ends[end.Status+" "+end.Reason]++
	}
	return ends
}

// TestOrdersOfManyLinesSellEverything: twenty orders have the same goods, half of them with the lines reversed.
func TestOrdersOfManyLinesSellEverything(t *testing.T) {
	for _, lines := range []int{2, 20} {
		t.Run(fmt.Sprintf("%d lines", lines), func(t *testing.T) {
			s := newStack(t)
			// No order is to be rejected because the machine is slow.
			s.start("RESERVE_DEADLINE=1h")
			skus := make([]string, lines)
			for i := range skus {
				skus[i] = s.sku(10)
			}
			var orders [][]string
			for range 20 {
				orders = append(orders, slices.Clone(skus))
				slices.Reverse(skus)
			}
			ends := s.race(orders)
			require.Equal(t, map[string]int{"completed ": 10, "rejected out_of_stock": 10}, ends)
			report := s.audit()
			for _, sku := range skus {
				require.Equal(t, int64(10), report.Committed[sku])
			}
		})
	}
}

// TestOrdersForSoldOutGoodsTakeNothingFromOthers: an order that is refused because of one SKU leaves the other SKUs to other orders.
func TestOrdersForSoldOutGoodsTakeNothingFromOthers(t *testing.T) {
	s := newStack(t)
	s.start("RESERVE_DEADLINE=1h")
	hot, soldOut := s.sku(20), s.sku(1)
	require.Equal(t, "completed", s.place(harness.NewOrder(soldOut, 1, "tok_visa")).Status)
	var orders [][]string
	for range 20 {
		orders = append(orders, []string{hot, soldOut}, []string{hot})
	}
	ends := s.race(orders)
	require.Equal(t, map[string]int{"completed ": 20, "rejected out_of_stock": 20}, ends)
	require.Equal(t, int64(20), s.audit().Committed[hot])
}

// TestCountBelowReservedRejectsTheNewestOrders: missing units are not sold, and the oldest orders keep their reservations.
func TestCountBelowReservedRejectsTheNewestOrders(t *testing.T) {
	s := newStack(t)
	s.start()
	sku := s.sku(3)
	ids := make([]string, 3)
	for i := range ids {
		o := harness.NewOrder(sku, 1, "tok_visa")
		o.Fulfillment = "shipment"
		ids[i] = s.insist(o, uuid.NewString())
		_, err := s.client.AwaitStatus(s.ctx, ids[i], "awaiting_shipment")
		require.NoError(t, err)
	}
	count := func(counted int) {
		t.Helper()
		r, err := s.client.Do(s.ctx, http.MethodPost, "/v1/stock/"+sku+"/counts", map[string]int{"counted": counted}, "Idempotency-Key", uuid.NewString())
		require.NoError(t, err)
		require.Contains(t, []int{http.StatusCreated, http.StatusOK}, r.Status, "%s", r.Body)
		require.Contains(t, string(r.Body), `"shortfall"`, "a repeated request gets the answer of the first one")
	}
	lost := func(id string) {
		t.Helper()
		end, err := s.client.AwaitEnd(s.ctx, id)
		require.NoError(t, err)
		require.Equal(t, "rejected stock_lost", end.Status+" "+end.Reason)
	}
	count(1)
	lost(ids[1])
	lost(ids[2])
	kept, err := s.client.Order(s.ctx, ids[0])
	require.NoError(t, err)
	require.Equal(t, "awaiting_shipment", kept.Status)
	count(0)
	lost(ids[0])
	report := s.audit()
	require.Zero(t, report.OnHand[sku])
	require.Zero(t, report.Reserved[sku])
}
