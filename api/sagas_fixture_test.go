package api_test

import (
	"cmp"
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/cursor"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// gift is the state of a flow that only these tests have: it locks a card, decides, and raises the card's balance.
type gift struct {
	saga.Saga
	Wish wish `json:"wish"`
}

type wish struct {
	Card   string   `json:"card" required:"true"`
	Amount int64    `json:"amount" required:"true"`
	Notes  []string `json:"notes"`
}

type noParticipants struct{}

func giftFlow() *saga.Flow[gift, noParticipants] {
	call := func(summary string) *saga.Operation[gift, noParticipants] {
		return &saga.Operation[gift, noParticipants]{Summary: summary, Run: func(noParticipants, context.Context, saga.Call[gift]) (saga.Outcome, error) {
			return saga.Outcome{}, nil
		}}
	}
	return &saga.Flow[gift, noParticipants]{
		Name: "gift", Stream: "present", Subject: "giftId", Queue: "gifts",
		Start: saga.StartWith(func(s *gift) *wish { return &s.Wish }, func(w *wish, p *saga.Problems) {
			p.Require(w.Amount > 0, "/amount", "must be above zero")
			for i, note := range w.Notes {
				p.Require(note != "", "/notes/"+string(rune('0'+i)), "must not be empty")
			}
		}),
		Steps: []saga.Step[gift, noParticipants]{
			{
				Name: "lock", Kind: saga.Compensable, Do: call("lock"), Undo: call("unlock"), Done: "present.locked", Refused: "present.lock_refused",
				Undone: []string{"present.unlocked"}, Deadline: "LOCK_DEADLINE", Status: "locked",
			},
			{Name: "decide", Kind: saga.Pivot, Status: "settling"},
			{Name: "credit", Kind: saga.Forward, Do: call("credit"), Done: "present.credited", StuckText: "the credit is stuck"},
		},
	}
}

// flowSagas is a client for the sagas of a flow in memory: it keeps the contract about IDs and contents, and runs no sagas.
type flowSagas struct {
	saga.Definer
	log api.Log
	// mu guards all below.
	mu       sync.Mutex
	requests []sagaclient.Request
	content  map[string]json.RawMessage
	// started is called once a saga, outside of the lock.
	started func(id string)
	cancel  func(id string, c saga.Cancellation) (saga.CancelAnswer, error)
	decide  func(id string, r saga.Resolution, key string) (saga.Resolution, saga.ResolveAnswer, error)
	viewErr error
	// received is called for each fact.
	received func(id string, f saga.Fact)
}

func (s *flowSagas) Start(ctx context.Context, r sagaclient.Request) (saga.View, bool, error) {
	data, err := s.ReadStart(r.ID, r.Body, r.At)
	s.mu.Lock()
	s.requests = append(s.requests, r)
	before, replayed := s.content[r.ID]
	if err == nil && !replayed {
		s.content[r.ID] = data
	}
	s.mu.Unlock()
	switch {
	case err != nil:
		return saga.View{}, false, err
	case replayed && !reflect.DeepEqual(before, data):
		return saga.View{}, false, fault.New(fault.Conflict, "%s %s exists with different content", s.Info().Name, r.ID)
	case replayed:
		v, err := s.View(ctx, r.ID)
		return v, true, err
	}
	v := s.begun(r.ID)
	if s.started != nil {
		s.started(r.ID)
	}
	return v, false, nil
}

func (s *flowSagas) begun(id string) saga.View {
	return saga.View{Flow: s.Info().Name, ID: id, Status: saga.Accepted, CreatedAt: at, UpdatedAt: at, CorrelationID: "correlation-1"}
}

func (s *flowSagas) SendFact(_ context.Context, id string, f sagaclient.Fact) error {
	if s.received == nil {
		panic("REST sends no facts to this flow")
	}
	s.received(id, f.Fact)
	return nil
}

func (s *flowSagas) Cancel(_ context.Context, id string, c saga.Cancellation) (saga.CancelAnswer, error) {
	return s.cancel(id, c)
}

func (s *flowSagas) Resolve(_ context.Context, id string, r saga.Resolution, key string) (saga.Resolution, saga.ResolveAnswer, error) {
	return s.decide(id, r, key)
}

func (s *flowSagas) View(ctx context.Context, id string) (saga.View, error) {
	s.mu.Lock()
	_, there := s.content[id]
	err := s.viewErr
	s.mu.Unlock()
	if err != nil {
		return saga.View{}, err
	}
	records, err := s.log.Read(ctx, s.StreamOf(id), 0, 0)
	if err != nil {
		return saga.View{}, err
	}
	switch {
	case len(records) > 0:
		return s.Definer.View(records)
	case there:
		return s.begun(id), nil
	}
	return saga.View{}, fault.New(fault.NotFound, "%s %s does not exist", s.Info().Name, id)
}

func (s *flowSagas) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.viewErr = err
}

// sagasFixture is a fixture with two flows: orders, and one that was added.
type sagasFixture struct {
	*fixture
	orderSagas, gifts *flowSagas
	flow              *saga.Flow[gift, noParticipants]
}

func newSagasFixture(t *testing.T, change ...func(*api.Config)) *sagasFixture {
	t.Helper()
	flow := giftFlow()
	require.NoError(t, flow.Check())
	s := &sagasFixture{
		flow:       flow,
		orderSagas: &flowSagas{Definer: &order.Flow, content: make(map[string]json.RawMessage)},
		gifts:      &flowSagas{Definer: flow, content: make(map[string]json.RawMessage)},
	}
	s.fixture = newFixture(t, append([]func(*api.Config){func(c *api.Config) {
		s.orderSagas.log, s.gifts.log = c.Log, c.Log
		c.Flows = []api.Flow{{Definer: &order.Flow, Sagas: s.orderSagas}, {Definer: flow, Sagas: s.gifts}}
	}}, change...)...)
	return s
}

// giftEvents are the events of a gift that completes, an event a second.
func giftEvents(id string) []event.Entry {
	stream := "present-" + id
	var entries []event.Entry
	for i, e := range []struct {
		slot, kind string
		data       any
	}{
		{saga.SlotAccept, "present.accepted", wish{Card: "card-1", Amount: 5}},
		{"lock", "present.locked", nil},
		{saga.SlotDecide, "present.settling", nil},
		{"credit", "present.credited", nil},
		{saga.SlotEnd, "present.completed", map[string]any{"outcome": saga.Completed}},
	} {
		cause := ""
		if i > 0 {
			cause = entries[i-1].ID
		}
		entries = append(entries, event.New(stream, e.slot, e.kind, id, at.Add(time.Duration(i)*time.Second), saga.Object("giftId", id, e.data)).
			CausedBy("correlation-1", cause))
	}
	return entries
}

// give appends events to the stream of a gift saga.
func (s *sagasFixture) give(id string, entries ...event.Entry) {
	s.t.Helper()
	stream := s.flow.StreamOf(id)
	last, _, err := s.log.Head(s.t.Context(), stream)
	require.NoError(s.t, err)
	_, _, err = s.log.Append(s.t.Context(), stream, last.HeadOf(), entries)
	require.NoError(s.t, err)
}

// stuckGift appends the events of a gift whose credit is stuck.
func (s *sagasFixture) stuckGift(id string) {
	s.give(id, giftEvents(id)[:3]...)
	s.give(id, event.New(s.flow.StreamOf(id), "attention/1", "present.needs_attention", id, at.Add(time.Minute),
		saga.Object("giftId", id, saga.Attention{Step: "credit", Error: "no answer", Attempts: 2})))
}

// pages is a read model of two lists that returns pages like the one in MongoDB.
type pages struct{ orders, sagas []readmodel.Order }

func (p *pages) List(_ context.Context, f readmodel.Filter) ([]readmodel.Order, string, error) {
	return pageOf(p.orders, f)
}

func (p *pages) Sagas(_ context.Context, f readmodel.Filter) ([]readmodel.Order, string, error) {
	return pageOf(p.sagas, f)
}

func (p *pages) Counts(context.Context, string) (map[saga.Status]int64, error) { return nil, nil }

func (p *pages) NeedsAttention(context.Context, string, int) ([]readmodel.Order, string, error) {
	return nil, "", nil
}

func pageOf(all []readmodel.Order, f readmodel.Filter) ([]readmodel.Order, string, error) {
	if err := f.Validate(); err != nil {
		return nil, "", err
	}
	position := func(o readmodel.Order) cursor.Position {
		return cursor.Position{Millis: o.CreatedAt.UnixMilli(), ID: o.ID}
	}
	after, _ := f.Cursors().Parse(f.Cursor)
	var matching []readmodel.Order
	for _, o := range slices.SortedFunc(slices.Values(all), func(a, b readmodel.Order) int { return cursor.Compare(position(a), position(b)) }) {
		switch {
		case f.Cursor != "" && cursor.Compare(position(o), after) <= 0,
			len(f.Statuses) > 0 && !slices.Contains(f.Statuses, o.Status),
			f.Flow != "" && f.Flow != o.Flow,
			f.WithoutAttention && o.Status == saga.NeedsAttention, !f.Selects(o):
			continue
		}
		matching = append(matching, o)
	}
	limit := cmp.Or(f.Limit, cursor.DefaultLimit)
	items, next := cursor.Cut(f.Cursors(), matching[:min(len(matching), limit+1)], limit, position)
	return items, next, nil
}
