package refunds_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/mongo"
	"github.com/ordersaga/ordersaga/internal/mongo/mongotest"
	"github.com/ordersaga/ordersaga/internal/refunds"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

func release(t require.TestingT, log event.StreamAppender, key string) {
	require.NoError(t, refunds.Release(context.Background(), log, "42", key, now))
}

func TestReleasedAmountIsReservedAgain(t *testing.T) {
	log := memlog.New()
	_, err := refunds.Reserve(t.Context(), log, claim("a", 600), now)
	require.NoError(t, err)
	release(t, log, "a")
	release(t, log, "a")
	again, err := refunds.Reserve(t.Context(), log, claim("a", 600), now)
	require.NoError(t, err)
	require.True(t, again.Released, "a key never reserves twice")
	rest, err := refunds.Reserve(t.Context(), log, claim("b", 1000), now)
	require.NoError(t, err)
	require.Equal(t, int64(1000), rest.Amount)
	l := ledger(t, log)
	require.Equal(t, int64(1000), l.Reserved[refunds.Captured])
	require.Equal(t, []string{"a", "b"}, l.Keys)
}

func TestReleaseFencesLateReservation(t *testing.T) {
	log := memlog.New()
	release(t, log, "a")
	late, err := refunds.Reserve(t.Context(), log, claim("a", 600), now)
	require.NoError(t, err)
	require.True(t, late.Released)
	require.Zero(t, late.Amount)
	require.Zero(t, ledger(t, log).Reserved[refunds.Captured])
	require.Empty(t, ledger(t, log).Keys)
}

func TestRefundedAndReleasedExcludeEachOther(t *testing.T) {
	log := memlog.New()
	require.ErrorIs(t, refunds.Refunded(t.Context(), log, "42", "a", now), fault.EffectSettled, "nothing is reserved")
	for _, key := range []string{"a", "b"} {
		_, err := refunds.Reserve(t.Context(), log, claim(key, 300), now)
		require.NoError(t, err)
	}
	require.NoError(t, refunds.Refunded(t.Context(), log, "42", "a", now))
	require.NoError(t, refunds.Refunded(t.Context(), log, "42", "a", now))
	require.ErrorIs(t, refunds.Release(t.Context(), log, "42", "a", now), fault.EffectSettled)
	release(t, log, "b")
	require.ErrorIs(t, refunds.Refunded(t.Context(), log, "42", "b", now), fault.EffectSettled)
	l := ledger(t, log)
	require.True(t, l.ByKey["a"].Refunded)
	require.Equal(t, int64(300), l.Reserved[refunds.Captured], "what is refunded stays reserved")
}

// priced claims exactly an amount.
func priced(key string, amount int64) refunds.Claim {
	c := claim(key, 0)
	c.Price = func(l refunds.Ledger) (int64, []refunds.Line, error) {
		if left := l.Left(refunds.Captured, c.Limit); amount > left {
			return 0, nil, errExceeds
		}
		return amount, []refunds.Line{{Line: 1, Quantity: 1, Amount: amount}}, nil
	}
	return c
}

var errExceeds = errors.New("exceeds")

func TestPricedClaimIsReservedWhollyOrNotAtAll(t *testing.T) {
	log := memlog.New()
	first, err := refunds.Reserve(t.Context(), log, priced("a", 600), now)
	require.NoError(t, err)
	require.Equal(t, []refunds.Line{{Line: 1, Quantity: 1, Amount: 600}}, first.Lines)
	_, err = refunds.Reserve(t.Context(), log, priced("b", 401), now)
	require.ErrorIs(t, err, errExceeds)
	_, err = refunds.Reserve(t.Context(), log, priced("b", 400), now)
	require.NoError(t, err, "a refusal records nothing")
}

// In every interleaving of reservations, releases and refunds, through readers with stale data: no more is reserved than there is, no key reserves or
// is settled twice, and what is refunded is never released.
func TestReservationsStayBelowTheLimitInEveryInterleaving(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		log := memlog.New()
		stale := &staleLog{Log: log, missing: rapid.Int64Range(0, 3).Draw(t, "behind")}
		refunded := map[string]bool{}
		for range rapid.IntRange(1, 40).Draw(t, "moves") {
			key := fmt.Sprint("k-", rapid.IntRange(0, 5).Draw(t, "key"))
			var err error
			switch rapid.IntRange(0, 3).Draw(t, "move") {
			case 0:
				_, err = refunds.Reserve(t.Context(), stale, claim(key, rapid.Int64Range(1, 700).Draw(t, "amount")), now)
			case 1:
				_, err = refunds.Reserve(t.Context(), stale, priced(key, rapid.Int64Range(1, 700).Draw(t, "amount")), now)
			case 2:
				if err = refunds.Refunded(t.Context(), stale, "42", key, now); err == nil {
					refunded[key] = true
				}
			case 3:
				if err = refunds.Release(t.Context(), stale, "42", key, now); err == nil && refunded[key] {
					t.Fatalf("%s is refunded and released", key)
				}
			}
			if err != nil && !errors.Is(err, errExceeds) && !slices.Contains([]fault.Code{fault.EffectSettled, fault.Unavailable}, fault.CodeOf(err)) {
				t.Fatalf("%v", err)
			}
			checkLedger(t, log)
		}
	})
}

// checkLedger adds up the raw records.
func checkLedger(t interface {
	require.TestingT
	Fatalf(format string, args ...any)
}, log event.StreamReader,
) {
	records, err := log.Read(context.Background(), event.RefundsStream("42"), 0, 0)
	require.NoError(t, err)
	held, keys := map[string]int64{}, map[string]bool{}
	for _, r := range records {
		if keys[r.Key] {
			t.Fatalf("slot %s is taken twice", r.Key)
		}
		keys[r.Key] = true
		d, err := event.Decode[refunds.Reservation](r.Event)
		require.NoError(t, err)
		switch r.Type {
		case event.RefundsReserved:
			held[d.Key] = d.Amount
		case event.RefundsReleased:
			delete(held, d.Key)
		}
		sum := int64(0)
		for _, amount := range held {
			sum += amount
		}
		if sum > 1000 {
			t.Fatalf("%d of 1000 are reserved at version %d", sum, r.Version)
		}
	}
}

// Eight writers on a real log reserve and release: each has 300 of 1,000, so three succeed.
func TestConcurrentRefundsOnMongoDB(t *testing.T) {
	db, err := mongo.Open(t.Context(), mongotest.Database(t), nil)
	require.NoError(t, err)
	db.Timeout = testenv.Timeout
	log := mongo.NewLog(db, mongo.EventsCollection)
	require.NoError(t, mongo.Setup(t.Context(), log.Indexes()))
	var all sync.WaitGroup
	won := make([]bool, 8)
	for i := range won {
		all.Go(func() {
			key := fmt.Sprint("refund-", i)
			for {
				_, err := refunds.Reserve(t.Context(), log, priced(key, 300), now)
				if errors.Is(err, fault.Unavailable) || errors.Is(err, fault.OutcomeUnknown) {
					continue // repeat with the same key
				}
				won[i] = err == nil
				if err != nil && !errors.Is(err, errExceeds) {
					t.Errorf("reserve: %v", err)
				}
				return
			}
		})
	}
	all.Wait()
	checkLedger(t, log)
	count := 0
	for _, w := range won {
		if w {
			count++
		}
	}
	require.Equal(t, 3, count)
	first := slices.Index(won, true)
	require.NoError(t, refunds.Release(t.Context(), log, "42", fmt.Sprint("refund-", first), now))
	_, err = refunds.Reserve(t.Context(), log, priced("another", 300), now)
	require.NoError(t, err)
	checkLedger(t, log)
}
