package deadletter_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
)

func TestStoringIsIdempotent(t *testing.T) {
	w := newWorld(t)
	p := post(fault.Invalid, "secret")
	id := w.kept(p)
	w.kept(p)
	require.Equal(t, []string{event.DeadReceived}, w.types(id))
	require.Equal(t, map[fault.Code]int{fault.Invalid: 1}, w.counted)
	require.Equal(t, deadletter.StatusOpen, w.status(id))
	d, err := w.service.Show(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, "secret", string(d.Message.Body))
}

// A receiver that dies between the letter and its stream finishes when the message comes again.
func TestInterruptedStoringIsCompleted(t *testing.T) {
	w := newWorld(t)
	p := post(fault.Invalid, "x")
	w.fail = func(event.Entry) error { return fault.New(fault.Unavailable, "away") }
	require.ErrorIs(t, w.receiver.Receive(t.Context(), p), fault.Unavailable, "the message stays in its queue")
	w.fail = nil
	id := w.kept(p)
	require.Equal(t, []string{event.DeadReceived}, w.types(id))
	require.Equal(t, 1, w.counted[fault.Invalid])
}

// TestRetry: what the broker gave up on is handled once more, and what comes of it is on record.
func TestRetry(t *testing.T) {
	received, begun := event.DeadReceived, event.DeadRetryBegun
	for name, c := range map[string]struct {
		handle func(context.Context, wire.Message) error
		status deadletter.Status
		types  []string
		sent   int
	}{
		"it did what it should": {func(context.Context, wire.Message) error { return nil },
			deadletter.StatusRetried, []string{received, begun, event.DeadRetried}, 0},
		"its effect was there": {func(context.Context, wire.Message) error { return fault.New(fault.CancellationRefused, "late") },
			deadletter.StatusRetried, []string{received, begun, event.DeadRetried}, 0},
		"it is refused": {func(context.Context, wire.Message) error { return fault.New(fault.Conflict, "secret") },
			deadletter.StatusOpen, []string{received, begun, event.DeadRetryFailed}, 0},
		"it panics": {func(context.Context, wire.Message) error { panic("secret") },
			deadletter.StatusOpen, []string{received, begun, event.DeadRetryFailed}, 0},
		"a server is down": {func(context.Context, wire.Message) error { return fault.New(fault.Unavailable, "away") },
			deadletter.StatusReplayed, []string{received, begun, event.DeadRetryFailed, event.DeadReplayRequested, event.DeadReplayed}, 1},
		"its order is not known": {func(context.Context, wire.Message) error { return fault.New(fault.OrderUnknown, "who?") },
			deadletter.StatusReplayed, []string{received, begun, event.DeadRetryFailed, event.DeadReplayRequested, event.DeadReplayed}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			calls := 0
			w.handle = func(ctx context.Context, m wire.Message) error { calls++; return c.handle(ctx, m) }
			p := post(deadletter.ReasonDeliveryLimit, "x")
			id := w.kept(p)
			w.kept(p)
			require.Equal(t, 1, calls, "once, however often the message comes")
			require.Equal(t, c.types, w.types(id))
			require.Equal(t, c.status, w.status(id))
			require.Len(t, w.sent, c.sent)
		})
	}
}

func TestOnlySomeReasonsAreRetried(t *testing.T) {
	for _, reason := range append(fault.Codes(), deadletter.ReasonUnknown, "rejected") {
		w := newWorld(t)
		w.handle = func(context.Context, wire.Message) error { t.Errorf("%s is retried", reason); return nil }
		w.kept(post(reason, "x"))
	}
}

// A message that expired, or was dropped by a policy, was never looked at: it is handled once.
func TestBrokerDeadLetterIsHandled(t *testing.T) {
	for _, reason := range []fault.Code{deadletter.ReasonDeliveryLimit, deadletter.ReasonExpired, deadletter.ReasonMaxLength} {
		w := newWorld(t)
		calls := 0
		w.handle = func(context.Context, wire.Message) error { calls++; return nil }
		id := w.kept(post(reason, "x"))
		require.Equal(t, 1, calls)
		require.Equal(t, deadletter.StatusRetried, w.status(id))
		require.Equal(t, string(reason), deadletter.Label(reason))
	}
}

// TestOneLogLinePerLetter, whatever its reason and however often its message comes.
func TestOneLogLinePerLetter(t *testing.T) {
	for _, reason := range append(fault.Codes(), deadletter.ReasonDeliveryLimit, deadletter.ReasonExpired, deadletter.ReasonUnknown) {
		for _, failure := range []error{nil, fault.New(fault.Invalid, "no"), fault.New(fault.Unavailable, "away")} {
			w := newWorld(t)
			var output strings.Builder
			receiver := &deadletter.Receiver{
				Service: deadletter.NewService(deadletter.Config{
					Store: w.store, Log: w, Inbox: w, Clock: func() time.Time { return now }, NewID: w.newID,
					Logger: slog.New(slog.NewJSONHandler(&output, nil)),
				}),
				Handle: func(context.Context, string, wire.Message) error { return failure },
				Count:  func(fault.Code) {},
			}
			p := post(reason, `{"id":"evt-1","data":{"sku":"tea"`)
			p.Detail = "what is wrong"
			for range 3 {
				require.NoError(t, receiver.Receive(t.Context(), p))
			}
			require.Equal(t, 1, strings.Count(output.String(), "\n"), "%s: %s", reason, output.String())
			for _, attribute := range []string{deadletter.New(p, now).ID, `"reason":"` + string(reason) + `"`, "what is wrong", `"event_id":"evt-1"`, `"subject":"tea"`} {
				require.Contains(t, output.String(), attribute)
			}
		}
	}
}

// A message that ends the process in the middle of its retry is not tried again.
func TestPoisonMessageIsNotRetried(t *testing.T) {
	w := newWorld(t)
	calls := 0
	w.handle = func(context.Context, wire.Message) error { calls++; return nil }
	died := fault.New(fault.Unavailable, "the process is gone")
	w.fail = func(e event.Entry) error {
		if e.Type == event.DeadRetried {
			return died
		}
		return nil
	}
	p := post(deadletter.ReasonDeliveryLimit, "x")
	require.ErrorIs(t, w.receiver.Receive(t.Context(), p), died)
	w.fail = nil
	id := w.kept(p)
	require.Equal(t, 1, calls)
	require.Equal(t, []string{event.DeadReceived, event.DeadRetryBegun, event.DeadRetryFailed}, w.types(id))
	require.Equal(t, deadletter.StatusOpen, w.status(id), "it is for people now")
}

// A hand-on that breaks off is finished when the message comes again; what is refused is for people.
func TestInterruptedHandoverIsCompleted(t *testing.T) {
	w := newWorld(t)
	w.handle = func(context.Context, wire.Message) error { return fault.New(fault.Unavailable, "away") }
	p := post(deadletter.ReasonDeliveryLimit, "x")
	w.fail = func(e event.Entry) error {
		if e.Type == event.DeadReplayed {
			return fault.New(fault.Unavailable, "away")
		}
		return nil
	}
	require.Error(t, w.receiver.Receive(t.Context(), p))
	w.fail = nil
	id := w.kept(p)
	require.Equal(t, deadletter.StatusReplayed, w.status(id))

	p.Replays, p.ReplayOf = deadletter.DefaultMaxReplays, "letter-1"
	id = w.kept(p)
	require.Equal(t, deadletter.StatusOpen, w.status(id))
}

// A retry runs alone, and two receivers make one attempt.
func TestOnlyOneRetry(t *testing.T) {
	w := newWorld(t)
	var running, most, calls atomic.Int64
	w.handle = func(context.Context, wire.Message) error {
		calls.Add(1)
		most.Store(max(most.Load(), running.Add(1)))
		running.Add(-1)
		return nil
	}
	newReceiver := func() *deadletter.Receiver {
		return &deadletter.Receiver{
			Service: w.service, Handle: func(ctx context.Context, _ string, m wire.Message) error { return w.handle(ctx, m) }, Count: func(fault.Code) {},
		}
	}
	first, second := newReceiver(), newReceiver()
	var all sync.WaitGroup
	const letters = 20
	for n := range letters {
		p := post(deadletter.ReasonDeliveryLimit, string(rune('a'+n)))
		for _, k := range []*deadletter.Receiver{first, second} {
			all.Go(func() {
				if err := k.Receive(t.Context(), p); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	require.Equal(t, int64(letters), calls.Load())
	require.LessOrEqual(t, most.Load(), int64(2), "one at a time in each receiver")
}

// TestEqualMessagesAreSeparateLetters: what the broker's record of a death does not tell apart, its first delivery does.
// A message that is delivered again is still the same letter.
func TestEqualMessagesAreSeparateLetters(t *testing.T) {
	w := newWorld(t)
	p := post(fault.Invalid, "the same")
	p.FirstDelivery = true
	for range 3 {
		require.NoError(t, w.receiver.Receive(t.Context(), p))
	}
	p.FirstDelivery = false
	require.NoError(t, w.receiver.Receive(t.Context(), p))
	items, _, err := w.service.List(t.Context(), deadletter.Filter{})
	require.NoError(t, err)
	require.Len(t, items, 3)
	require.Equal(t, map[fault.Code]int{fault.Invalid: 3}, w.counted)
	for _, item := range items {
		require.Equal(t, []string{event.DeadReceived}, w.types(item.ID))
		d, err := w.service.Show(t.Context(), item.ID)
		require.NoError(t, err)
		require.Equal(t, "the same", string(d.Message.Body))
	}
}
