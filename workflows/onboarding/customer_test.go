package onboarding_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/sealed"
	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/workflows/onboarding"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

func TestMain(m *testing.M) { testenv.Main(m) }

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// said is the n-th registration, sealed so that it differs each time.
func said(id string, minute, times int) onboarding.Registration {
	return onboarding.Registration{
		ID: id, CustomerID: "c-1", OccurredAt: start.Add(time.Duration(minute) * time.Minute), CorrelationID: "corr", CausationID: "cause-" + id,
		Profile: sealed.Sealed{KeyID: "k", Text: fmt.Sprintf("%s sealed for the %d. time", id, times)},
	}
}

func fold(t require.TestingT, log *memlog.Log) (onboarding.State, []event.Record) {
	records, err := log.Read(context.Background(), event.CustomerStream("c-1"), 0, 0)
	require.NoError(t, err)
	s, err := onboarding.State{CustomerID: "c-1"}.Fold(records)
	require.NoError(t, err)
	return s, records
}

// TestNewestProfileIsUsed in whichever order events come, and however often.
func TestNewestProfileIsUsed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		log := memlog.New()
		var newest onboarding.Registration
		seen := map[string]bool{}
		for n := range rapid.IntRange(1, 12).Draw(t, "events") {
			who := rapid.IntRange(0, 5).Draw(t, "id")
			r := said("e"+strconv.Itoa(who), who/2, n)
			_, _, err := onboarding.Register(context.Background(), log, r, start.Add(time.Duration(n)*time.Second))
			require.NoError(t, err)
			if !seen[r.ID] && (newest.ID == "" || r.OccurredAt.After(newest.OccurredAt) || r.OccurredAt.Equal(newest.OccurredAt) && r.ID > newest.ID) {
				newest = r
			}
			seen[r.ID] = true
		}
		s, records := fold(t, log)
		require.Equal(t, newest.Profile, s.Profile)
		require.Equal(t, newest.ID, s.ProfileID)
		require.Len(t, records, len(seen), "an event is written down once")
		for i, r := range records {
			require.Equal(t, i == 0, r.Type == event.CustomerRegistered)
			d, err := event.Decode[onboarding.ProfileData](r.Event)
			require.NoError(t, err)
			require.Equal(t, r.Type == event.CustomerProfileOutdated, d.Sealed == "", "nothing is kept of what changes nothing")
		}
	})
}

// TestEqualityIgnoresSealedText: the same registration is sealed to another text each time.
func TestEqualityIgnoresSealedText(t *testing.T) {
	one, two := onboarding.State{}.Registered(said("e", 1, 1), start), onboarding.State{}.Registered(said("e", 1, 2), start.Add(time.Second))
	require.NotEqual(t, one.Data, two.Data)
	require.True(t, event.Same(one, two))
	require.False(t, event.Same(one, onboarding.State{}.Registered(said("e", 2, 1), start)))
}

// TestEveryRunReachesTheSameEnd: the first one welcomes, the others find that it is done.
func TestEveryRunReachesTheSameEnd(t *testing.T) {
	for _, welcomed := range []bool{true, false} {
		log := memlog.New()
		_, _, err := onboarding.Register(t.Context(), log, said("e1", 1, 1), start)
		require.NoError(t, err)
		for run := range 3 {
			s, _ := fold(t, log)
			a := onboarding.Flow.Decide(s, saga.Facts{}, start, saga.Settings{}.Of)
			if run > 0 {
				require.Equal(t, saga.Close, a.Kind)
				continue
			}
			require.Equal(t, saga.Action{Kind: saga.Do, Step: onboarding.StepWelcome}, a)
			p := &onboarding.Participants{}
			var who []string
			if welcomed {
				p.Welcome = func(_ context.Context, customerID string) error { who = append(who, customerID); return nil }
			}
			o, err := onboarding.Flow.Operation(&s, a.Step, a.Kind).Run(p, t.Context(), saga.Call[onboarding.State]{ID: s.ID, State: s})
			require.NoError(t, err)
			require.Equal(t, welcomed, slices.Equal([]string{"c-1"}, who))
			entries, err := onboarding.Flow.Entries(saga.StepInput[onboarding.State]{State: s}, a.Step, o, start)
			require.NoError(t, err)
			require.JSONEq(t, fmt.Sprintf(`{"customerId":"c-1","welcome":%v}`, welcomed), string(entries[0].Data))
			require.Equal(t, s.LastEventID, entries[0].CausationID)
			_, _, err = log.Append(t.Context(), event.CustomerStream("c-1"), s.Head, entries)
			require.NoError(t, err)
			s, _ = fold(t, log)
			require.True(t, s.Onboarded)
		}
	}
	require.NoError(t, onboarding.Flow.Check())
	require.Equal(t, saga.Close, onboarding.Flow.Decide(onboarding.State{}, saga.Facts{}, start, saga.Settings{}.Of).Kind, "no customer has registered")
}

func TestDamagedStreamIsNotFolded(t *testing.T) {
	_, err := onboarding.State{}.Fold([]event.Record{{Version: 2}})
	require.ErrorIs(t, err, fault.ErrMissing)
	entry := onboarding.State{}.Registered(said("e", 1, 1), start)
	entry.Key = "x"
	_, err = onboarding.State{}.Fold([]event.Record{{Version: 1, Entry: entry}})
	require.NoError(t, err, "a slot that is none is for the check of the chain")
	entry.Data = []byte(`{"occurredAt":5}`)
	_, err = onboarding.State{}.Fold([]event.Record{{Version: 1, Entry: entry}})
	require.ErrorIs(t, err, fault.Malformed)
}
