package inventory_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/inventory"
	"github.com/ordersaga/ordersaga/internal/inventory/inventorytest"
	"github.com/ordersaga/ordersaga/internal/inventory/inventorytest/gatelog"
	"github.com/ordersaga/ordersaga/internal/stock"
)

// open returns a ledger over a gate over a log in memory, with 1000 of A-1 in it.
func open(t *testing.T) (*inventory.Ledger, *gatelog.Log) {
	t.Helper()
	gate := gatelog.Wrap(memlog.New())
	ledger, err := inventory.New(inventory.Config{Log: gate, Registry: new(inventory.MemoryRegistry)})
	require.NoError(t, err)
	t.Cleanup(ledger.Close)
	_, err = ledger.Receive(t.Context(), "A-1", 1000, "first")
	require.NoError(t, err)
	return ledger, gate
}

func TestWaitingChangesShareAnInsert(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ledger, gate := open(t)
		before, held := gate.Appends(), gate.Hold()
		results := make(chan error, 251)
		for i := range 251 {
			go func() {
				got, err := ledger.Reserve(t.Context(), fmt.Sprintf("o-%d", i), "A-1", 1)
				if err == nil && got.Effect != stock.Done {
					err = fmt.Errorf("%v", got)
				}
				results <- err
			}()
		}
		synctest.Wait()
		held.Release()
		for range 251 {
			require.NoError(t, <-results)
		}
		// The first one went alone or with those that had arrived; what is left fits in three batches of a hundred.
		require.LessOrEqual(t, gate.Appends()-before, 4)
		require.Equal(t, int64(251), inventorytest.Audit(t, gate, "A-1").Reserved())
	})
}

func TestOtherSKUsDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ledger, gate := open(t)
		held := gate.Hold()
		stuck := make(chan error, 1)
		go func() {
			_, err := ledger.Reserve(t.Context(), "o-1", "A-1", 1)
			stuck <- err
		}()
		<-held.Arrived()
		_, err := ledger.Receive(t.Context(), "A-2", 1, "first")
		require.NoError(t, err)
		held.Release()
		require.NoError(t, <-stuck)
	})
}

func TestIdleSKUIsWrittenWithOneAppend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ledger, gate := open(t)
		appends, finds, start := gate.Appends(), gate.Finds(), time.Now()
		_, err := ledger.Reserve(t.Context(), "o-1", "A-1", 1)
		require.NoError(t, err)
		require.NoError(t, ledger.Commit(t.Context(), "o-1", "A-1"))
		require.Equal(t, 2, gate.Appends()-appends)
		require.Equal(t, finds, gate.Finds())
		require.Zero(t, time.Since(start), "no delay when idle")
	})
}

func TestHangingAppendIsAbandonedAndReconciled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ledger, gate := open(t)
		held := gate.Hold()
		got, err := ledger.Reserve(t.Context(), "o-1", "A-1", 7)
		require.NoError(t, err, "after the time limit another append writes the change")
		require.Equal(t, stock.Done, got.Effect)
		held.Release()
		require.Equal(t, int64(7), inventorytest.Audit(t, gate, "A-1").Reserved())
	})
}

func TestCancelledCallerDoesNotStopOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ledger, gate := open(t)
		held := gate.Hold()
		results := make(chan error, 2)
		brief, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() {
			_, err := ledger.Reserve(brief, "o-1", "A-1", 1)
			results <- err
		}()
		<-held.Arrived()
		go func() {
			_, err := ledger.Reserve(t.Context(), "o-2", "A-1", 1)
			results <- err
		}()
		err := <-results
		require.ErrorIs(t, err, fault.OutcomeUnknown)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		held.Release()
		require.NoError(t, <-results)
		require.Len(t, inventorytest.Audit(t, gate, "A-1").Held, 2, "it was on its way already")
	})
}

func TestChangeOfCancelledCallerIsNotWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ledger, gate := open(t)
		held := gate.Hold()
		first := make(chan error, 1)
		go func() {
			_, err := ledger.Reserve(t.Context(), "o-1", "A-1", 1)
			first <- err
		}()
		<-held.Arrived()
		brief, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := ledger.Reserve(brief, "o-2", "A-1", 1)
		require.ErrorIs(t, err, fault.OutcomeUnknown)
		held.Release()
		require.NoError(t, <-first)
		require.Len(t, inventorytest.Audit(t, gate, "A-1").Held, 1)
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ledger, gate := open(t)
		held := gate.Hold()
		result := make(chan error, 1)
		go func() {
			_, err := ledger.Reserve(t.Context(), "o-1", "A-1", 1)
			result <- err
		}()
		<-held.Arrived()
		ledger.Close()
		require.ErrorIs(t, <-result, fault.OutcomeUnknown)
		ledger.Close()
		_, err := ledger.Receive(t.Context(), "A-1", 1, "second")
		require.ErrorIs(t, err, fault.Unavailable)
		held.Release()
		inventorytest.Audit(t, gate, "A-1")
	})
}

// brokenRegistry fails as long as it is told to.
type brokenRegistry struct {
	inventory.MemoryRegistry
	broken bool
}

func (r *brokenRegistry) Add(ctx context.Context, sku string) error {
	if r.broken {
		return fault.New(fault.Unavailable, "broken")
	}
	return r.MemoryRegistry.Add(ctx, sku)
}

func TestUnregisteredSKUStaysUnknown(t *testing.T) {
	log, registry := memlog.New(), &brokenRegistry{broken: true}
	ledger, err := inventory.New(inventory.Config{Log: log, Registry: registry})
	require.NoError(t, err)
	defer ledger.Close()
	_, err = ledger.Receive(t.Context(), "A-1", 1, "first")
	require.ErrorIs(t, err, fault.Unavailable)
	_, ok, err := log.Head(t.Context(), event.StockStream("A-1"))
	require.NoError(t, err)
	require.False(t, ok)
	registry.broken = false
	_, err = ledger.Receive(t.Context(), "A-1", 1, "first")
	require.NoError(t, err)
	all, _, err := ledger.List(t.Context(), "", 0)
	require.NoError(t, err)
	require.Len(t, all, 1)
}

func TestInvalidRecordIsReported(t *testing.T) {
	log := memlog.New()
	ledger, err := inventory.New(inventory.Config{Log: log, Registry: new(inventory.MemoryRegistry)})
	require.NoError(t, err)
	defer ledger.Close()
	stream := event.StockStream("A-1")
	reserved := event.New(stream, inventory.ReserveKey("o-1"), event.StockReserved, "A-1", time.Now(),
		inventory.Movement{SKU: "A-1", OrderID: "o-1", Quantity: 5, OnHand: 3, Reserved: 1})
	_, _, err = log.Append(t.Context(), stream, event.Head{}, []event.Entry{reserved})
	require.NoError(t, err)
	require.ErrorIs(t, ledger.Commit(t.Context(), "o-1", "A-1"), fault.Corrupt, "it would take stock below zero")
}

func TestConfigReportsMissingFields(t *testing.T) {
	_, err := inventory.New(inventory.Config{AppendTimeout: -1})
	require.ErrorIs(t, err, fault.Invalid)
	require.Len(t, fault.FieldsOf(err), 3)
}

// reads counts what is read of a log.
type reads struct {
	eventlog.Log
	heads, others atomic.Int64
}

func (r *reads) Head(ctx context.Context, stream string) (event.Record, bool, error) {
	r.heads.Add(1)
	return r.Log.Head(ctx, stream)
}

func (r *reads) Read(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error) {
	r.others.Add(1)
	return r.Log.Read(ctx, stream, after, limit)
}

func (r *reads) Find(ctx context.Context, stream, key string) (event.Record, bool, error) {
	r.others.Add(1)
	return r.Log.Find(ctx, stream, key)
}

func TestReservationIsOneAppendPerSKU(t *testing.T) {
	gate := gatelog.Wrap(memlog.New())
	log := &reads{Log: gate}
	at := time.Now()
	open := func() *inventory.Ledger {
		ledger, err := inventory.New(inventory.Config{
			Log: log, Registry: new(inventory.MemoryRegistry), Clock: func() time.Time { return at },
		})
		require.NoError(t, err)
		t.Cleanup(ledger.Close)
		return ledger
	}
	items := []stock.Item{{SKU: "A-1", Quantity: 1}, {SKU: "A-2", Quantity: 1}, {SKU: "A-3", Quantity: 1}}
	warm := open()
	for _, item := range items {
		_, err := warm.Receive(t.Context(), item.SKU, 10, "first")
		require.NoError(t, err)
	}
	// A process that has just started reads the head of each SKU, once; one that knows it reads nothing.
	for _, test := range []struct {
		name   string
		ledger *inventory.Ledger
		heads  int64
	}{{"known", warm, 0}, {"unknown", open(), 3}} {
		t.Run(test.name, func(t *testing.T) {
			log.heads.Store(0)
			log.others.Store(0)
			appends := gate.Appends()
			answers, err := test.ledger.Acquire(t.Context(), stock.ReserveRequest{OrderID: test.name, Items: items})
			require.NoError(t, err)
			for _, answer := range answers {
				require.Equal(t, stock.Done, answer.Effect)
			}
			require.Equal(t, 3, gate.Appends()-appends)
			require.Equal(t, test.heads, log.heads.Load())
			require.Zero(t, log.others.Load())
		})
	}
}
