package onboarding_test

import (
	"context"
	"fmt"
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
	"github.com/ordersaga/ordersaga/workflows/order"
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

// TestTheNewestProfileCounts in whichever order events come, and however often.
func TestTheNewestProfileCounts(t *testing.T) {
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

// TestSealedTextTakesNoPartInEquality: the same registration is sealed to another text each time.
func TestSealedTextTakesNoPartInEquality(t *testing.T) {
	one, two := onboarding.State{}.Registered(said("e", 1, 1), start), onboarding.State{}.Registered(said("e", 1, 2), start.Add(time.Second))
	require.NotEqual(t, one.Data, two.Data)
	require.True(t, event.Same(one, two))
	require.False(t, event.Same(one, onboarding.State{}.Registered(said("e", 2, 1), start)))
}

// TestEveryRunComesToTheSameEnd: whatever is known of publishing, a run welcomes once and publishes everything.
func TestEveryRunComesToTheSameEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		log := memlog.New()
		_, _, err := onboarding.Register(context.Background(), log, said("e1", 1, 1), start)
		require.NoError(t, err)
		facts := onboarding.Facts{Welcome: rapid.Bool().Draw(t, "welcome")}
		for run := range 3 {
			s, _ := fold(t, log)
			facts.Published, facts.Welcomed = int64(rapid.IntRange(0, int(s.Head.Version)).Draw(t, "published")), false
			for steps := 0; ; steps++ {
				require.Less(t, steps, 10)
				a := onboarding.Next(s, facts, start)
				if a.Kind == order.Close {
					break
				}
				switch {
				case a.Kind == order.Record && a.Step == onboarding.StepWelcome:
					require.Zero(t, run, "only the first run welcomes")
					facts.Welcomed = true
				case a.Kind == order.Record:
					_, _, err := log.Append(context.Background(), event.CustomerStream("c-1"), s.Head, []event.Entry{a.Entry})
					require.NoError(t, err)
					s, _ = fold(t, log)
				default:
					require.Equal(t, onboarding.StepPublish, a.Step)
					facts.Published = s.Head.Version
				}
			}
			require.True(t, s.Onboarded)
			require.Equal(t, s.Head.Version, facts.Published)
		}
	})
	require.Equal(t, order.Close, onboarding.Next(onboarding.State{}, onboarding.Facts{}, start).Kind, "nobody has registered")
}

func TestADamagedStreamIsNotFolded(t *testing.T) {
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
