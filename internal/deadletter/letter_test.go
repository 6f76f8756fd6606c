package deadletter_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/null"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// The same message delivered again is the same letter, whenever it is kept; everything that tells one death from another
// makes another letter.
func TestIDDependsOnMessageAndDeath(t *testing.T) {
	base := post(fault.Invalid, "x")
	id := deadletter.New(base, now).ID
	require.True(t, event.ValidID(id))
	require.Equal(t, id, deadletter.New(base, now.Add(time.Hour)).ID)
	seen := map[string]string{id: "base"}
	for name, change := range map[string]func(*deadletter.Letter){
		"body":        func(p *deadletter.Letter) { p.Message.Body = []byte("y") },
		"message id":  func(p *deadletter.Letter) { p.Message.MessageID = "evt-2" },
		"routing key": func(p *deadletter.Letter) { p.Message.RoutingKey = "order.created" },
		"reason":      func(p *deadletter.Letter) { p.Reason = fault.Conflict },
		"died later":  func(p *deadletter.Letter) { p.FailedAt = null.At(p.FailedAt.Add(time.Microsecond)) },
		"replayed":    func(p *deadletter.Letter) { p.ReplayOf, p.Replays = "letter-1", 1 },
		"the broker":  func(p *deadletter.Letter) { p.Death = "another x-death" },
	} {
		p := base
		change(&p)
		other := deadletter.New(p, now).ID
		require.Empty(t, seen[other], "%s is told apart from %s", name, seen[other])
		seen[other] = name
	}
}

func TestLetterHasReadableFields(t *testing.T) {
	for name, c := range map[string]struct {
		message                wire.Message
		eventType, id, subject string
	}{
		"an event": {wire.Message{RoutingKey: "StockReceived", MessageID: "m", Body: []byte(`{"id":"evt-9","data":{"sku":"tea"}}`)}, "stock.received", "evt-9", "tea"},
		"no JSON":  {wire.Message{RoutingKey: "OrderCreated", MessageID: "m", Body: []byte("no")}, "order.created", "m", ""},
		"a claim":  {wire.Message{RoutingKey: "ordersaga.inbox", Type: "order.teleported", Body: []byte("{}")}, "order.teleported", "", ""},
		"nothing":  {wire.Message{RoutingKey: "somewhere"}, "somewhere", "", ""},
		"invalid":  {wire.Message{Body: []byte(`{"id":"evt-9","type":"order.created","data":{"orderId":"o/1"}}`)}, "order.created", "evt-9", "o/1"},
		"cut off":  {wire.Message{RoutingKey: "stock.received", Body: []byte(`{"id":"evt-9","data":{"sku":"tea","quantity":`)}, "stock.received", "evt-9", "tea"},
		"unread":   {wire.Message{MessageID: "m", Headers: map[string]any{"cloudEvents:specversion": "1.0", "cloudEvents:type": "StockReceived", "cloudEvents:subject": "tea\x00"}, Body: []byte("<xml/>")}, "stock.received", "m", "tea\uFFFD"},
		"controls": {wire.Message{Type: "a\x1b[2Jb", MessageID: "\xff"}, "a\uFFFD[2Jb", "\uFFFD", ""},
		"long":     {wire.Message{Type: strings.Repeat("é", 2000)}, strings.Repeat("é", deadletter.MaxText/2), "", ""},
	} {
		l := deadletter.New(deadletter.Letter{Message: c.message}, now)
		require.Equal(t, []string{c.eventType, c.id, c.subject}, []string{l.Type, l.EventID, l.Subject}, name)
		require.Equal(t, deadletter.ReasonUnknown, l.Reason, "no reason is given")
		require.Equal(t, now, l.FailedAt.Time, "when it died is not known: it is listed by when it was kept")
	}
}

func TestReasonsAreBounded(t *testing.T) {
	for reason, label := range map[fault.Code]string{
		fault.Invalid: "invalid", fault.Internal: "internal", deadletter.ReasonDeliveryLimit: "delivery_limit",
		deadletter.ReasonUnknown: "other", "made_up": "other", "": "other",
	} {
		require.Equal(t, label, deadletter.Label(reason))
	}
	l := deadletter.New(deadletter.Letter{Reason: "<script>"}, now)
	require.Equal(t, deadletter.ReasonUnknown, l.Reason)
}

// Whatever is asked for in whatever order, the stream folds, a settled letter accepts no decision, and a replay that is sent
// was asked for.
func TestFoldOfAnyHistory(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		id := w.kept(post(fault.Conflict, "secret"))
		for range rapid.IntRange(0, 12).Draw(rt, "steps") {
			r := deadletter.Request{Force: rapid.Bool().Draw(rt, "force"), Note: "why"}
			switch rapid.IntRange(0, 3).Draw(rt, "what") {
			case 0:
				_, _ = w.service.Discard(t.Context(), id, r)
			case 1:
				r.Body = []byte(rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "body"))
				fallthrough
			case 2:
				_, _ = w.service.Replay(t.Context(), id, r)
			default:
				// A replay that ends after its decision.
				w.fail = func(e event.Entry) error {
					if e.Type == event.DeadReplayed {
						return fault.New(fault.Unavailable, "away")
					}
					return nil
				}
				_, _ = w.service.Replay(t.Context(), id, r)
				w.fail = nil
			}
		}
		records, err := w.log.Read(t.Context(), event.DeadStream(id), 0, 0)
		require.NoError(rt, err)
		all, err := deadletter.State{}.Fold(records)
		require.NoError(rt, err)
		var stepwise deadletter.State
		for _, r := range records {
			stepwise, err = stepwise.Fold([]event.Record{r})
			require.NoError(rt, err)
		}
		require.Equal(rt, all, stepwise)
		outcomes := 0
		for _, r := range all.Replays {
			if r.Sent {
				outcomes++
			}
		}
		require.LessOrEqual(rt, outcomes, len(w.sent), "what is said to be sent was sent")
		_, pending := all.Pending()
		require.Equal(rt, all.Status == deadletter.StatusReplaying, pending)
		d, err := w.service.Show(t.Context(), id)
		require.NoError(rt, err)
		require.Equal(rt, all.Status, d.Status)
	})
}

func TestFoldRefuses(t *testing.T) {
	record := func(version int64, kind, data string) event.Record {
		return event.Record{Stream: "dead-a", Version: version, Entry: event.Entry{Event: event.Event{Type: kind, Subject: "a", SchemaVersion: 1, Data: []byte(data)}}}
	}
	_, err := deadletter.State{}.Fold([]event.Record{record(2, event.DeadReceived, "{}")})
	require.ErrorIs(t, err, fault.ErrMissing, "a gap")
	_, err = deadletter.State{}.Fold([]event.Record{record(1, event.DeadReplayed, `{"replay":1}`)})
	require.ErrorIs(t, err, fault.Corrupt, "no caller asked for it")
	for _, kind := range []string{event.DeadRetryFailed, event.DeadReplayRequested, event.DeadReplayed, event.DeadDiscarded} {
		_, err = deadletter.State{}.Fold([]event.Record{record(1, kind, `{"replay":"x","requestId":1,"reason":1}`)})
		require.ErrorIs(t, err, fault.Malformed, kind)
	}
	s, err := deadletter.State{}.Fold([]event.Record{record(1, event.DeadReceived, "{}"), record(2, "dead.of_the_future", "{}")})
	require.NoError(t, err)
	require.Equal(t, deadletter.StatusOpen, s.Status)
	require.Equal(t, int64(2), s.Head.Version)
}

// The cancellation that came before its order is in the log; its letter says so.
func TestPendingCancellationIsMarked(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	post := deadletter.Letter{
		Message: wire.Message{RoutingKey: "order.cancellation_requested", Body: []byte(`{"id":"e-1","orderId":"42"}`)},
		Reason:  fault.OrderUnknown, Detail: "order 42 is not known; " + deadletter.EarlyNote, FailedAt: null.At(at),
	}
	require.Equal(t, time.Date(2026, 2, 1, 3, 4, 5, 0, time.UTC), deadletter.New(post, at.Add(time.Hour)).KeptUntil.Time)
	for name, change := range map[string]func(*deadletter.Letter){
		"another type":   func(p *deadletter.Letter) { p.Message.RoutingKey = "payment.failed" },
		"another reason": func(p *deadletter.Letter) { p.Reason = fault.Invalid },
		"it is not kept": func(p *deadletter.Letter) { p.Detail = "order 42 is not known" },
	} {
		other := post
		change(&other)
		require.Zero(t, deadletter.New(other, at).KeptUntil, name)
	}
}
