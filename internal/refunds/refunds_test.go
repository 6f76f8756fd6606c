package refunds_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/event/eventtest"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/refunds"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func claim(key string, amount int64) refunds.Claim {
	return refunds.Claim{Reference: "42", Key: key, Source: refunds.Captured, Amount: amount, Limit: 1000, Currency: "EUR"}
}

// ledger folds the ledger's stream, whose records must be as documented.
func ledger(t *testing.T, log *memlog.Log) refunds.Ledger {
	t.Helper()
	records, err := log.Read(context.WithoutCancel(t.Context()), event.RefundsStream("42"), 0, 0)
	require.NoError(t, err)
	eventtest.CheckRecords(t, records...)
	l, err := refunds.Fold(records)
	require.NoError(t, err)
	return l
}

func TestKeyReservesOnce(t *testing.T) {
	log := memlog.New()
	first, err := refunds.Reserve(t.Context(), log, claim("undo/authorize", 600), now)
	require.NoError(t, err)
	require.Equal(t, refunds.Reservation{
		OrderID: "42", Key: "undo/authorize", Source: refunds.Captured, Amount: 600, Limit: 1000, Currency: "EUR",
	}, first)
	again, err := refunds.Reserve(t.Context(), log, claim("undo/authorize", 900), now.Add(-time.Hour))
	require.NoError(t, err)
	require.Equal(t, first, again, "the amount is the one that was reserved")
	require.Equal(t, int64(600), ledger(t, log).Reserved[refunds.Captured])

	other := claim("undo/authorize", 600)
	other.Source = refunds.Arrived
	_, err = refunds.Reserve(t.Context(), log, other, now)
	require.ErrorIs(t, err, fault.Conflict)
}

func TestReservedAmountIsNotReservedAgain(t *testing.T) {
	log := memlog.New()
	_, err := refunds.Reserve(t.Context(), log, claim("a", 600), now)
	require.NoError(t, err)
	rest, err := refunds.Reserve(t.Context(), log, claim("b", 600), now.Add(-time.Hour))
	require.NoError(t, err)
	require.Equal(t, int64(400), rest.Amount, "what is left")
	_, err = refunds.Reserve(t.Context(), log, claim("c", 1), now)
	require.ErrorIs(t, err, fault.EffectSettled)

	arrived := claim("late/evt-1", 300)
	arrived.Source, arrived.Limit = refunds.Arrived, 300
	late, err := refunds.Reserve(t.Context(), log, arrived, now)
	require.NoError(t, err)
	require.Equal(t, int64(300), late.Amount, "what arrived late is capped apart from what was captured")
}

// Readers with stale data, and writers that lose races, never reserve more than there is.
func TestConcurrentReservationsStayBelowTheLimit(t *testing.T) {
	for round := range 50 {
		log := memlog.New()
		stale := &staleLog{Log: log, missing: int64(round % 4)}
		var all sync.WaitGroup
		got := make([]int64, 12)
		for i := range got {
			all.Go(func() {
				// Each key twice.
				r, err := refunds.Reserve(t.Context(), stale, claim(fmt.Sprint("refund-", i/2), 300), now)
				switch fault.CodeOf(err) {
				case "":
					got[i] = r.Amount
				case fault.EffectSettled, fault.Unavailable:
				default:
					t.Errorf("reserve: %v", err)
				}
			})
		}
		all.Wait()
		l := ledger(t, log)
		sum := int64(0)
		for _, r := range l.ByKey {
			sum += r.Amount
		}
		require.LessOrEqual(t, sum, int64(1000))
		for i, amount := range got {
			if amount > 0 {
				require.Equal(t, l.ByKey[fmt.Sprint("refund-", i/2)].Amount, amount, "both are told the same")
			}
		}
	}
}

// staleLog answers some reads without the newest records, as a lagging server does.
type staleLog struct {
	*memlog.Log
	missing int64
	mu      sync.Mutex
	reads   int
}

func (l *staleLog) Read(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error) {
	records, err := l.Log.Read(ctx, stream, after, limit)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reads++; l.reads%2 == 1 {
		records = records[:max(0, len(records)-int(l.missing))]
	}
	return records, err
}

func TestUnavailableLedger(t *testing.T) {
	for _, code := range []fault.Code{fault.Unavailable, fault.OutcomeUnknown, fault.Corrupt} {
		_, err := refunds.Reserve(t.Context(), &brokenLog{read: fault.New(code, "injected")}, claim("a", 1), now)
		require.ErrorIs(t, err, code)
		_, err = refunds.Reserve(t.Context(), &brokenLog{append: fault.New(code, "injected")}, claim("a", 1), now)
		require.ErrorIs(t, err, code)
	}
	_, err := refunds.Reserve(t.Context(), &brokenLog{append: fault.New(fault.Concurrency, "for ever")}, claim("a", 1), now)
	require.ErrorIs(t, err, fault.Unavailable)
}

type brokenLog struct{ read, append error }

func (l *brokenLog) Read(context.Context, string, int64, int) ([]event.Record, error) {
	return nil, l.read
}

func (l *brokenLog) Append(context.Context, string, event.Head, []event.Entry) (event.Head, []event.Record, error) {
	return event.Head{}, nil, l.append
}
