package deadletter_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/event/eventtest"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/deadletter/deadlettertest"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/null"
	"github.com/ordersaga/ordersaga/internal/wire"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// sent is a message that was replayed.
type sent struct {
	message  wire.Message
	queue    string
	letterID string
	replays  int
}

// world has a receiver and a service with their dependencies.
type world struct {
	t     *testing.T
	store *deadlettertest.Memory
	// log is the log of receiver and service: fail is called before each append.
	log  *memlog.Log
	fail func(entry event.Entry) error
	// handle is the handler of the receiver.
	handle   func(ctx context.Context, m wire.Message) error
	receiver *deadletter.Receiver
	service  *deadletter.Service

	mu      sync.Mutex
	sent    []sent
	away    error
	counted map[fault.Code]int
	ids     int
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, store: new(deadlettertest.Memory), log: memlog.New(), counted: map[fault.Code]int{}}
	logger, clock := slog.New(slog.DiscardHandler), func() time.Time { return now }
	w.service = deadletter.NewService(deadletter.Config{
		Store: w.store, Log: w, Inbox: w, Clock: clock, NewID: w.newID, Logger: logger,
		Preview: func(_ context.Context, _ string, m wire.Message) (deadletter.Preview, error) {
			return deadletter.Preview{Outcome: "handle", Sentence: "would handle " + string(m.Body)}, nil
		},
	})
	w.receiver = &deadletter.Receiver{
		Service: w.service,
		Handle:  func(ctx context.Context, _ string, m wire.Message) error { return w.handle(ctx, m) },
		Count:   func(reason fault.Code) { w.counted[reason]++ },
	}
	return w
}

func (w *world) newID() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ids++
	return fmt.Sprintf("id-%d", w.ids)
}

// Read implements deadletter.Log.
func (w *world) Read(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error) {
	return w.log.Read(ctx, stream, after, limit)
}

// Heads implements deadletter.Log.
func (w *world) Heads(ctx context.Context, streams []string) (map[string]event.Record, error) {
	return eventlog.Heads(ctx, w.log, streams)
}

// Append implements deadletter.Log.
func (w *world) Append(ctx context.Context, stream string, head event.Head, entries []event.Entry) (event.Head, []event.Record, error) {
	if w.fail != nil {
		if err := w.fail(entries[0]); err != nil {
			return event.Head{}, nil, err
		}
	}
	return w.log.Append(ctx, stream, head, entries)
}

// Ready implements deadletter.Inbox.
func (w *world) Ready(context.Context) error { return w.away }

// Replay implements deadletter.Inbox.
func (w *world) Replay(_ context.Context, m wire.Message, queue, letterID string, replays int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, sent{m, queue, letterID, replays})
	return nil
}

// post is a message that died.
func post(reason fault.Code, body string) deadletter.Letter {
	return deadletter.Letter{
		Message: wire.Message{MessageID: "evt-1", RoutingKey: "stock.received", Exchange: "domain_events", Body: []byte(body)},
		Reason:  reason, Attempts: 1, FirstSeen: null.At(now.Add(-time.Minute)), FailedAt: null.At(now),
	}
}

// kept keeps a post and returns its letter's id.
func (w *world) kept(p deadletter.Letter) string {
	w.t.Helper()
	require.NoError(w.t, w.receiver.Receive(w.t.Context(), p))
	return deadletter.New(p, now).ID
}

// types are the types of a letter's events.
func (w *world) types(id string) []string {
	w.t.Helper()
	records, err := w.log.Read(w.t.Context(), event.DeadStream(id), 0, 0)
	require.NoError(w.t, err)
	eventtest.CheckRecords(w.t, records...)
	var types []string
	for _, r := range records {
		types = append(types, r.Type)
		require.NotContains(w.t, string(r.Data), "secret", "no payload in events")
	}
	return types
}

// status is the status of a letter in its stream and in the list.
func (w *world) status(id string) deadletter.Status {
	w.t.Helper()
	d, err := w.service.Show(w.t.Context(), id)
	require.NoError(w.t, err)
	items, _, err := w.service.List(w.t.Context(), deadletter.Filter{Statuses: []deadletter.Status{d.Status}})
	require.NoError(w.t, err)
	listed := false
	for _, item := range items {
		listed = listed || item.ID == id && item.Status == d.Status
	}
	require.True(w.t, listed, "%s is listed as %s", id, d.Status)
	return d.Status
}
