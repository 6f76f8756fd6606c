package inventorytest

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/stock"
)

// testWriters tests delayed writers and writes with unknown results.
func testWriters(t *testing.T, s Subject) {
	ctx := context.Background()

	t.Run("a reservation delayed after the release finds the fence", func(t *testing.T) {
		b := open(t, s, nil)
		sku := b.stocked(t, 5)
		held := b.gates[0].Hold()
		leaving, leave := context.WithCancel(ctx)
		left := make(chan error, 1)
		go func() {
			_, err := b.a().Reserve(leaving, "o-1", sku, 5)
			left <- err
		}()
		<-held.Arrived()
		leave()
		require.ErrorIs(t, <-left, fault.OutcomeUnknown)
		require.NoError(t, b.b().Release(ctx, "o-1", sku))
		held.Release()
		for _, ledger := range b.ledgers {
			got, err := ledger.Reserve(ctx, "o-1", sku, 5)
			require.NoError(t, err)
			require.Equal(t, stock.Undone, got.Effect)
		}
		b.balance(t, sku, 5, 0)
		Audit(t, b.log, sku)
	})

	t.Run("a reservation delayed until the stock is taken is refused", func(t *testing.T) {
		b := open(t, s, nil)
		sku := b.stocked(t, 5)
		held := b.gates[0].Hold()
		slept := make(chan stock.Reservation, 1)
		go func() {
			got, err := b.a().Reserve(ctx, "o-1", sku, 3)
			if err != nil {
				t.Error(err)
			}
			slept <- got
		}()
		<-held.Arrived()
		got, err := b.b().Reserve(ctx, "o-2", sku, 4)
		require.NoError(t, err)
		require.Equal(t, stock.Done, got.Effect)
		held.Release()
		require.Equal(t, stock.Reservation{Effect: stock.Refused, Reason: stock.OutOfStock, Available: 1}, <-slept)
		b.balance(t, sku, 5, 4)
		Audit(t, b.log, sku)
	})

	t.Run("a release delayed after the commit changes nothing", func(t *testing.T) {
		b := open(t, s, nil)
		sku := b.stocked(t, 5)
		_, err := b.a().Reserve(ctx, "o-1", sku, 3)
		require.NoError(t, err)
		held := b.gates[0].Hold()
		slept := make(chan error, 1)
		go func() { slept <- b.a().Release(ctx, "o-1", sku) }()
		<-held.Arrived()
		require.NoError(t, b.b().Commit(ctx, "o-1", sku))
		held.Release()
		require.ErrorIs(t, <-slept, fault.EffectSettled)
		b.balance(t, sku, 2, 0)
		Audit(t, b.log, sku)
	})
	testLostWrites(t, s)
}

// testLostWrites tests appends with unknown results.
func testLostWrites(t *testing.T, s Subject) {
	ctx := context.Background()

	t.Run("an abandoned append that is written later counts once", func(t *testing.T) {
		b := open(t, s, nil)
		sku := b.stocked(t, 5)
		held := b.gates[0].Hold()
		done := make(chan stock.Reservation, 1)
		go func() {
			got, err := b.a().Reserve(ctx, "o-1", sku, 3)
			if err != nil {
				t.Error(err)
			}
			done <- got
		}()
		<-held.Arrived()
		held.Abandon()
		require.Equal(t, stock.Done, (<-done).Effect)
		held.Release()
		require.NoError(t, b.b().Commit(ctx, "o-1", sku))
		b.balance(t, sku, 2, 0)
		Audit(t, b.log, sku)
	})

	t.Run("an append with a lost answer, request or half counts once", func(t *testing.T) {
		b := open(t, s, nil)
		for _, disturb := range []func(){b.gates[0].LoseAnswer, b.gates[0].LoseRequest, b.gates[0].WriteHalf} {
			sku := b.stocked(t, 100)
			held := b.gates[0].Hold()
			results := make(chan error, 41)
			reserve := func(i int) {
				_, err := b.a().Reserve(ctx, fmt.Sprintf("o-%d", i), sku, 1)
				results <- err
			}
			go reserve(0)
			<-held.Arrived()
			disturb()
			for i := range 40 {
				go reserve(i + 1)
			}
			held.Release()
			for range 41 {
				require.NoError(t, <-results)
			}
			b.gates[0].Open()
			b.balance(t, sku, 100, 41)
			Audit(t, b.log, sku)
		}
	})

	t.Run("an outage is reported, and a later retry succeeds", func(t *testing.T) {
		b := open(t, s, nil)
		sku := b.stocked(t, 5)
		b.gates[0].LoseAnswer()
		_, err := b.a().Receive(ctx, sku, 1, "second")
		require.NoError(t, err)
		for range 10 {
			b.gates[0].LoseRequest()
		}
		_, err = b.a().Reserve(ctx, "o-1", sku, 1)
		require.ErrorIs(t, err, fault.OutcomeUnknown)
		b.gates[0].Open()
		got, err := b.a().Reserve(ctx, "o-1", sku, 1)
		require.NoError(t, err)
		require.Equal(t, stock.Done, got.Effect)
		b.balance(t, sku, 6, 1)
		records, err := b.log.Read(ctx, event.StockStream(sku), 0, 0)
		require.NoError(t, err)
		require.Len(t, records, 3)
		Audit(t, b.log, sku)
	})
}
