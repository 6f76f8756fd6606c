package deadletter_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/null"
)

const day = 24 * time.Hour

// expire expires letters as many days later.
func (w *world) expire(days int, r deadletter.Retention) (discarded, deleted int) {
	w.t.Helper()
	later := deadletter.NewService(deadletter.Config{
		Store: w.store, Log: w, Inbox: w, Clock: func() time.Time { return now.Add(time.Duration(days) * day) }, NewID: w.newID, Logger: slog.New(slog.DiscardHandler),
	})
	discarded, deleted, err := later.Expire(w.t.Context(), r)
	require.NoError(w.t, err)
	return discarded, deleted
}

// exists reports whether a letter can be read.
func (w *world) exists(id string) bool {
	w.t.Helper()
	_, err := w.service.Show(w.t.Context(), id)
	if err != nil {
		require.ErrorIs(w.t, err, fault.NotFound)
	}
	return err == nil
}

func TestDecidedLettersExpire(t *testing.T) {
	w := newWorld(t)
	open, discarded, replayed := w.kept(post(fault.Invalid, "a")), w.kept(post(fault.Invalid, "b")), w.kept(post(fault.Invalid, "c"))
	_, err := w.service.Discard(t.Context(), discarded, deadletter.Request{Note: "a test"})
	require.NoError(t, err)
	_, err = w.service.Replay(t.Context(), replayed, deadletter.Request{Body: []byte("better")})
	require.NoError(t, err)
	retention := deadletter.Retention{Decided: 90 * day}

	_, deleted := w.expire(89, retention)
	require.Zero(t, deleted)
	_, deleted = w.expire(1000, deadletter.Retention{})
	require.Zero(t, deleted, "0 is forever")
	none, deleted := w.expire(91, retention)
	require.Zero(t, none, "open letters are not discarded unless it is set")
	require.Equal(t, 2, deleted)
	require.True(t, w.exists(open))
	require.False(t, w.exists(discarded))
	require.False(t, w.exists(replayed))
	require.Equal(t, []string{event.DeadReceived, event.DeadDiscarded}, w.types(discarded), "the decision stays in the log")
	_, err = w.store.LoadBody(t.Context(), replayed, deadletter.HashOf([]byte("better")))
	require.ErrorIs(t, err, fault.ErrMissing, "replacement payloads are deleted, too")
	_, deleted = w.expire(91, retention)
	require.Zero(t, deleted)
}

// TestTheTimeOfTheDecisionCounts: an old letter that was decided just now is kept, whatever the list says.
func TestTheTimeOfTheDecisionCounts(t *testing.T) {
	w := newWorld(t)
	p := post(fault.Invalid, "a")
	p.FailedAt = null.At(now.Add(-365 * day))
	id := w.kept(p)
	_, err := w.service.Discard(t.Context(), id, deadletter.Request{Note: "a test"})
	require.NoError(t, err)
	_, deleted := w.expire(1, deadletter.Retention{Decided: 30 * day})
	require.Zero(t, deleted)
	undecided := w.kept(post(fault.Invalid, "b"))
	require.NoError(t, w.store.Mark(t.Context(), undecided, deadletter.StatusReplayed, 100))
	_, deleted = w.expire(31, deadletter.Retention{Decided: 30 * day})
	require.Equal(t, 1, deleted)
	require.True(t, w.exists(undecided), "the log says that it is open")
}

func TestOpenLettersAreDiscardedBeforeTheyAreDeleted(t *testing.T) {
	w := newWorld(t)
	id := w.kept(post(fault.Invalid, "a"))
	retention := deadletter.Retention{Decided: 30 * day, Open: 60 * day}
	discarded, deleted := w.expire(59, retention)
	require.Zero(t, discarded+deleted)
	discarded, deleted = w.expire(61, retention)
	require.Equal(t, 1, discarded)
	require.Zero(t, deleted)
	require.Equal(t, deadletter.StatusDiscarded, w.status(id))
	letter, err := w.service.Show(t.Context(), id)
	require.NoError(t, err)
	require.Contains(t, string(letter.History[1].Data), `"by":"retention"`)
	_, deleted = w.expire(90, retention)
	require.Zero(t, deleted)
	_, deleted = w.expire(92, retention)
	require.Equal(t, 1, deleted)
	require.False(t, w.exists(id))
}
