package deadletter_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// TestRetryDoesNotRevertDecision: an operator decided while the retry ran.
func TestRetryDoesNotRevertDecision(t *testing.T) {
	p := post(deadletter.ReasonDeliveryLimit, "x")
	id := deadletter.New(p, now).ID
	// keep keeps the letter, whose retry fails; an operator acts while it runs.
	keep := func(act func(w *world)) *world {
		w := newWorld(t)
		w.handle = func(context.Context, wire.Message) error {
			act(w)
			return fault.New(fault.Conflict, "no")
		}
		require.NoError(t, w.receiver.Receive(t.Context(), p))
		return w
	}
	t.Run("replayed", func(t *testing.T) {
		w := keep(func(w *world) {
			_, err := w.service.Replay(t.Context(), id, deadletter.Request{By: "ada"})
			require.NoError(t, err)
		})
		require.Equal(t, deadletter.StatusReplayed, w.status(id))
		_, err := w.service.Replay(t.Context(), id, deadletter.Request{By: "bob"})
		require.ErrorIs(t, err, fault.ResolutionRefused)
		require.Len(t, w.sent, 1)
	})
	t.Run("discarded", func(t *testing.T) {
		w := keep(func(w *world) {
			_, err := w.service.Discard(t.Context(), id, deadletter.Request{By: "ada", Note: "no"})
			require.NoError(t, err)
		})
		require.Equal(t, deadletter.StatusDiscarded, w.status(id))
	})
	t.Run("mended, and broken off", func(t *testing.T) {
		w := keep(func(w *world) {
			w.fail = func(e event.Entry) error {
				if e.Type == event.DeadReplayed {
					return fault.New(fault.Unavailable, "died")
				}
				return nil
			}
			_, err := w.service.Replay(t.Context(), id, deadletter.Request{By: "ada", Body: []byte("mended")})
			require.ErrorIs(t, err, fault.Unavailable)
			w.fail = nil
		})
		_, err := w.service.Replay(t.Context(), id, deadletter.Request{By: "bob"})
		require.NoError(t, err)
		require.Equal(t, "mended", string(w.sent[len(w.sent)-1].message.Body), "what was decided about is finished")
	})
}

// TestHeadersDistinguishEvents: in CloudEvents' binary mode they are where the event's id is.
func TestHeadersDistinguishEvents(t *testing.T) {
	ids := map[string]bool{}
	for _, headers := range []map[string]any{
		nil, {"cloudEvents:id": "1"}, {"cloudEvents:id": "2"}, {"cloudEvents:id": "1", "cloudEvents:subject": "a"},
	} {
		p := post(fault.Invalid, "x")
		p.Message.Headers = headers
		ids[deadletter.New(p, now).ID] = true
	}
	require.Len(t, ids, 4)
	p := post(fault.Invalid, "x")
	p.Message.Headers = map[string]any{"x-other": "what the broker adds at a redelivery makes no new letter"}
	require.True(t, ids[deadletter.New(p, now).ID])
}
