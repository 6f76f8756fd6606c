package deadletter_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/null"
	"github.com/ordersaga/ordersaga/internal/wire"
)

func TestReplay(t *testing.T) {
	w := newWorld(t)
	p := post(fault.Invalid, "secret")
	p.Message.Headers = map[string]any{"x-tenant": "blue"}
	id := w.kept(p)
	d, err := w.service.Replay(t.Context(), id, deadletter.Request{By: "ada", Note: "fixed"})
	require.NoError(t, err)
	require.Equal(t, deadletter.StatusReplayed, d.Status)
	require.Equal(t, []sent{{p.Message, p.Queue, id, 1}}, w.sent, "as it first came")
	require.Equal(t, []string{event.DeadReceived, event.DeadReplayRequested, event.DeadReplayed}, w.types(id))
	require.Equal(t, deadletter.StatusReplayed, w.status(id))

	_, err = w.service.Replay(t.Context(), id, deadletter.Request{})
	require.ErrorIs(t, err, fault.ResolutionRefused)
	require.Len(t, w.sent, 1)
	_, err = w.service.Replay(t.Context(), id, deadletter.Request{Force: true})
	require.NoError(t, err)
	require.Len(t, w.sent, 2)

	_, err = w.service.Replay(t.Context(), "nobody", deadletter.Request{})
	require.ErrorIs(t, err, fault.NotFound)
	_, err = w.service.Replay(t.Context(), id, deadletter.Request{By: "a b", Note: strings.Repeat("x", deadletter.MaxNote+1)})
	require.Len(t, fault.FieldsOf(err), 2)
}

// The same request is one, whatever has been asked since.
func TestRequestIsIdempotent(t *testing.T) {
	w := newWorld(t)
	id := w.kept(post(fault.Invalid, "x"))
	for range 3 {
		d, err := w.service.Replay(t.Context(), id, deadletter.Request{ID: "r-1"})
		require.NoError(t, err)
		require.Equal(t, deadletter.StatusReplayed, d.Status)
	}
	require.Len(t, w.sent, 1)
	for range 3 {
		d, err := w.service.Discard(t.Context(), id, deadletter.Request{ID: "r-2", Note: "no"})
		require.NoError(t, err)
		require.Equal(t, deadletter.StatusDiscarded, d.Status)
	}
	_, err := w.service.Discard(t.Context(), id, deadletter.Request{ID: "r-3", Note: "no"})
	require.ErrorIs(t, err, fault.ResolutionRefused)
}

// A replay that breaks off anywhere is shown, and finished by the next one, with the payload that was decided about.
func TestInterruptedReplayIsCompleted(t *testing.T) {
	for name, c := range map[string]struct {
		at   string
		sent int
	}{
		"before the decision": {event.DeadReplayRequested, 1},
		"after the send":      {event.DeadReplayed, 2},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			id := w.kept(post(fault.Invalid, "secret"))
			w.fail = func(e event.Entry) error {
				if e.Type == c.at {
					return fault.New(fault.Unavailable, "away")
				}
				return nil
			}
			mended := deadletter.Request{Body: []byte("secret, mended")}
			_, err := w.service.Replay(t.Context(), id, mended)
			require.ErrorIs(t, err, fault.Unavailable)
			w.fail = nil
			next := deadletter.Request{}
			if c.at == event.DeadReplayed {
				require.Equal(t, deadletter.StatusReplaying, w.status(id))
				run, err := w.service.DryRun(t.Context(), id, next)
				require.NoError(t, err)
				require.Empty(t, run.Refusal)
				require.Equal(t, "would handle secret, mended", run.Sentence)
			} else {
				require.Equal(t, deadletter.StatusOpen, w.status(id))
				next = mended
			}
			_, err = w.service.Replay(t.Context(), id, next)
			require.NoError(t, err)
			require.Equal(t, deadletter.StatusReplayed, w.status(id))
			require.Len(t, w.sent, c.sent)
			require.Equal(t, "secret, mended", string(w.sent[c.sent-1].message.Body))
			require.Equal(t, []string{event.DeadReceived, event.DeadReplayRequested, event.DeadReplayed}, w.types(id))
		})
	}
}

func TestUnreachableBrokerChangesNothing(t *testing.T) {
	w := newWorld(t)
	id := w.kept(post(fault.Invalid, "x"))
	w.away = fault.New(fault.Unavailable, "away")
	_, err := w.service.Replay(t.Context(), id, deadletter.Request{})
	require.ErrorIs(t, err, fault.Unavailable)
	require.Equal(t, []string{event.DeadReceived}, w.types(id))
}

func TestReplayLoopIsStopped(t *testing.T) {
	w := newWorld(t)
	p := post(fault.Invalid, "x")
	p.ReplayOf = "letter-1"
	for p.Replays = 1; p.Replays < deadletter.DefaultMaxReplays; p.Replays++ {
		_, err := w.service.Replay(t.Context(), w.kept(p), deadletter.Request{})
		require.NoError(t, err)
		require.Equal(t, p.Replays+1, w.sent[len(w.sent)-1].replays)
	}
	id := w.kept(p)
	_, err := w.service.Replay(t.Context(), id, deadletter.Request{Body: []byte("y")})
	require.ErrorIs(t, err, fault.ResolutionRefused)
	run, err := w.service.DryRun(t.Context(), id, deadletter.Request{})
	require.NoError(t, err)
	require.Contains(t, run.Refusal, "3 times")
	_, err = w.service.Replay(t.Context(), id, deadletter.Request{Force: true})
	require.NoError(t, err)
	d, err := w.service.Show(t.Context(), id)
	require.NoError(t, err)
	require.EqualValues(t, "letter-1", d.ReplayOf)
}

func TestDiscard(t *testing.T) {
	w := newWorld(t)
	id := w.kept(post(fault.Invalid, "x"))
	_, err := w.service.Discard(t.Context(), id, deadletter.Request{Note: " "})
	require.ErrorIs(t, err, fault.Invalid)
	_, err = w.service.Discard(t.Context(), "nobody", deadletter.Request{Note: "no"})
	require.ErrorIs(t, err, fault.NotFound)
	_, err = w.service.Discard(t.Context(), id, deadletter.Request{Note: "no", By: "ada"})
	require.NoError(t, err)
	require.Equal(t, deadletter.StatusDiscarded, w.status(id))
	_, err = w.service.Replay(t.Context(), id, deadletter.Request{})
	require.ErrorIs(t, err, fault.ResolutionRefused)
	_, err = w.service.Replay(t.Context(), id, deadletter.Request{Force: true})
	require.NoError(t, err)
	_, err = w.service.Discard(t.Context(), id, deadletter.Request{Note: "no, really"})
	require.NoError(t, err)
	require.Equal(t, deadletter.StatusDiscarded, w.status(id))
}

// A letter whose receiver died before the stream was begun can be decided about; its message comes again and begins nothing.
func TestLetterWithoutStream(t *testing.T) {
	w := newWorld(t)
	p := post(fault.Invalid, "x")
	l := deadletter.New(p, now)
	_, err := w.store.Insert(t.Context(), l)
	require.NoError(t, err)
	require.Equal(t, deadletter.StatusOpen, w.status(l.ID))
	_, err = w.service.Replay(t.Context(), l.ID, deadletter.Request{})
	require.NoError(t, err)
	w.kept(p)
	require.Equal(t, []string{event.DeadReceived, event.DeadReplayRequested, event.DeadReplayed}, w.types(l.ID))
}

// The list is made right when the store was told nothing.
func TestListIsRepaired(t *testing.T) {
	w := newWorld(t)
	p := post(fault.Invalid, "x")
	l := deadletter.New(p, now)
	_, err := w.store.Insert(t.Context(), l)
	require.NoError(t, err)
	other := newWorld(t)
	other.log = w.log
	other.kept(p)
	_, err = other.service.Discard(t.Context(), l.ID, deadletter.Request{Note: "no"})
	require.NoError(t, err)
	items, _, err := w.service.List(t.Context(), deadletter.Filter{})
	require.NoError(t, err)
	require.Equal(t, deadletter.StatusDiscarded, items[0].Status)
	items, _, err = w.service.List(t.Context(), deadletter.Filter{Statuses: deadletter.Undecided})
	require.NoError(t, err)
	require.Empty(t, items, "and stays right")
}

// Many at once: there is one decision for each number, and no caller is told that nothing was sent.
func TestConcurrentReplays(t *testing.T) {
	w := newWorld(t)
	id := w.kept(post(fault.Invalid, "x"))
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() { _, _ = w.service.Replay(t.Context(), id, deadletter.Request{}) })
	}
	all.Wait()
	require.Equal(t, deadletter.StatusReplayed, w.status(id))
	require.Equal(t, []string{event.DeadReceived, event.DeadReplayRequested, event.DeadReplayed}, w.types(id))
	require.NotEmpty(t, w.sent)
}

// TestMendedMessages: what is sent with another payload, and under which id.
func TestMendedMessages(t *testing.T) {
	decode := func(m wire.Message) event.Event {
		e, err := wire.Decode(m)
		require.NoError(t, err)
		return e
	}
	const withID = `{"id":"evt-9","type":"stock.received","data":{"sku":"tea","quantity":1}}`
	const without = `{"type":"stock.received","data":{"sku":"tea","quantity":1}}`
	const nest = `{"pattern":"stock.received","id":"evt-9","data":{"sku":"tea","quantity":1}}`
	for name, c := range map[string]struct {
		reason  fault.Code
		body    string
		message wire.Message
		id      string
	}{
		"its own id":                       {fault.Conflict, withID, wire.Message{MessageID: "m"}, "evt-9"},
		"the id of a packet":               {fault.Conflict, nest, wire.Message{MessageID: "m"}, "evt-9"},
		"an unknown letter":                {fault.Invalid, without, wire.Message{MessageID: "m"}, "m"},
		"its order was not known":          {fault.OrderUnknown, without, wire.Message{MessageID: "m"}, "m"},
		"it may have had an effect":        {fault.Unavailable, without, wire.Message{MessageID: "m"}, ""},
		"it was another":                   {fault.Conflict, without, wire.Message{MessageID: "m"}, ""},
		"an id in a header, heard":         {fault.Conflict, `{"sku":"tea","quantity":1}`, binaryMode(), ""},
		"an id in a header, unheard":       {fault.Invalid, `{"sku":"tea","quantity":1}`, binaryMode(), "h"},
		"was a CloudEvent, is plain":       {fault.Malformed, withID, wire.Message{ContentType: "application/cloudevents+json"}, "evt-9"},
		"was compressed":                   {fault.UnsupportedMediaType, withID, wire.Message{ContentEncoding: "gzip"}, "evt-9"},
		"the type is in the routing key":   {fault.Malformed, `{"id":"evt-9","data":{"sku":"tea","quantity":1}}`, wire.Message{RoutingKey: "StockReceived"}, "evt-9"},
		"was of an unknown type, is known": {fault.UnknownType, withID, wire.Message{Type: "stock.teleported"}, "evt-9"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			id := w.kept(deadletter.Letter{Message: c.message, Reason: c.reason, FailedAt: null.At(now)})
			_, err := w.service.Replay(t.Context(), id, deadletter.Request{Body: []byte(c.body)})
			require.NoError(t, err)
			got := decode(w.sent[0].message)
			require.Equal(t, event.StockReceived, got.Type)
			if c.id != "" {
				require.Equal(t, c.id, got.ID)
				return
			}
			require.NotContains(t, []string{"m", "h"}, got.ID, "a fresh id")
			_, err = w.service.Replay(t.Context(), id, deadletter.Request{Body: []byte(c.body), Force: true})
			require.NoError(t, err)
			require.Equal(t, got.ID, decode(w.sent[1].message).ID, "the same payload is the same event")
		})
	}
}

func binaryMode() wire.Message {
	return wire.Message{Headers: map[string]any{
		"cloudEvents:specversion": "1.0", "cloudEvents:id": "h", "cloudEvents:type": "stock.received", "cloudEvents:source": "/shop",
	}}
}
