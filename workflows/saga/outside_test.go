package saga_test

import (
	"context"
	"encoding/json"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// ticket is a saga of a flow that is started by requests and told by events.
type ticket struct {
	saga.Saga
	Order seats `json:"order"`
}

type seats struct {
	Show  string `json:"show" required:"true"`
	Count int64  `json:"count" required:"true"`
}

type approval struct {
	By string `json:"by,omitempty"`
}

type desk struct{}

func tickets() *saga.Flow[ticket, desk] {
	call := &saga.Operation[ticket, desk]{Run: func(desk, context.Context, saga.Call[ticket]) (saga.Outcome, error) { return saga.Done(nil), nil }}
	return &saga.Flow[ticket, desk]{
		Name: "ticket", Stream: "ticket", Subject: "ticketId", Queue: "tickets",
		Start: saga.StartWith(func(s *ticket) *seats { return &s.Order }, func(v *seats, p *saga.Problems) {
			p.Require(v.Count > 0, "/count", "must be above zero")
			v.Show = strings.ToUpper(v.Show)
		}),
		Inbound: []saga.Inbound{
			saga.Starts(event.Type{Name: "ticket.wanted"}), saga.Cancels(event.Type{Name: "ticket.not_wanted"}),
			saga.FactFrom(event.Type{Name: "ticket.allowed"}, func(a *approval, p *saga.Problems) { p.Require(len(a.By) < 5, "/by", "is too long") }),
		},
		Types: []event.Type{{Name: "ticket.held"}, {Name: "ticket.freed"}, {Name: "ticket.allowed_by"}, {Name: "ticket.sent"}},
		Schemas: fstest.MapFS{
			"ticket.held/1.json": {Data: []byte("{}")}, "ticket.freed/1.json": {Data: []byte("{}")}, "ticket.allowed_by/1.json": {Data: []byte("{}")},
			"ticket.sent/1.json": {Data: []byte("{}")}, "ticket.accepted/1.json": {Data: []byte("{}")}, "ticket.wanted/1.json": {Data: []byte("{}")},
			"ticket.not_wanted/1.json": {Data: []byte("{}")}, "ticket.allowed/1.json": {Data: []byte("{}")},
		},
		Steps: []saga.Step[ticket, desk]{
			{Name: "hold", Kind: saga.Compensable, Do: call, Undo: call, Done: "ticket.held", Undone: []string{"ticket.freed"}, Deadline: "HOLD"},
			{Name: "allow", Kind: saga.Await, When: func(s *ticket) bool { return s.Order.Count > 4 }, Done: "ticket.allowed_by", Wait: &saga.WaitRule{
				On: []string{"ticket.allowed"}, For: "a manager", Since: "hold", Deadline: "ALLOW", Overdue: "not_allowed",
			}},
			{Name: "decide", Kind: saga.Pivot},
			{Name: "send", Kind: saga.Forward, Do: call, Done: "ticket.sent", StuckText: "the mail is stuck"},
		},
	}
}

func TestAStartIsReadAndKept(t *testing.T) {
	f := tickets()
	require.NoError(t, f.Check())
	data, err := f.ReadStart("a/1", json.RawMessage(`{"show":"hamlet","count":2}`), "")
	require.NoError(t, err)
	require.JSONEq(t, `{"ticketId":"a/1","show":"HAMLET","count":2}`, string(data))
	s, err := f.Begun("a/1", data)
	require.NoError(t, err)
	require.Equal(t, seats{"HAMLET", 2}, s.Order)
	require.False(t, s.Opened())
	require.JSONEq(t, string(data), string(f.Started(&s)))

	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	accepted := f.Accept(saga.OpenInput{ID: "a/1", Data: data}, at)
	folded, err := f.Fold(ticket{}, []event.Record{{Stream: f.StreamOf("a/1"), Version: 1, Entry: accepted}})
	require.NoError(t, err)
	require.Equal(t, s.Order, folded.Order)
	require.True(t, f.SameStart(&folded, data))
	require.True(t, f.SameStart(&folded, json.RawMessage(`{"count":2,"show":"HAMLET","ticketId":"a/1","added":1}`)), "what a newer version adds is no difference")
	require.False(t, f.SameStart(&folded, json.RawMessage(`{"ticketId":"a/1","show":"HAMLET","count":3}`)))
	require.False(t, f.SameStart(&folded, json.RawMessage(`[]`)))

	for body, pointers := range map[string][]string{
		`{"show":1,"x":2}`:          {"/data/count", "/data/show", "/data/x"},
		`{"show":"a","count":0}`:    {"/data/count"},
		`{"show":"a","ticketId":1}`: {"/data/count", "/data/ticketId"},
	} {
		_, err := f.ReadStart("1", json.RawMessage(body), "/data")
		require.Equal(t, fault.Invalid, fault.CodeOf(err), body)
		var got []string
		for _, field := range fault.FieldsOf(err) {
			got = append(got, field.Pointer)
		}
		require.ElementsMatch(t, pointers, got, body)
	}
	_, err = f.ReadStart("1", json.RawMessage(`{"show":`), "/data")
	require.Equal(t, fault.Malformed, fault.CodeOf(err))
	f.Start, f.Inbound = nil, nil
	_, err = f.ReadStart("1", json.RawMessage(`{}`), "")
	require.Equal(t, fault.Invalid, fault.CodeOf(err))
}

func TestAFactOfAnEventIsRead(t *testing.T) {
	in := tickets().Inbound[2]
	fact, err := in.ReadFact("7", "f-1", "e-1", json.RawMessage(`{"ticketId":"7","by":"ada","more":[1]}`))
	require.NoError(t, err)
	require.JSONEq(t, `{"by":"ada"}`, string(fact.Data))
	require.Equal(t, []string{"ticket.allowed", "f-1", "e-1"}, []string{fact.Type, fact.ID, fact.Cause})
	same, err := in.ReadFact("7", "f-1", "e-1", json.RawMessage(`{"by":"ada"}`))
	require.NoError(t, err)
	require.Equal(t, fact.Identity, same.Identity, "fields that are not used are no content")
	other, err := in.ReadFact("7", "f-1", "e-1", json.RawMessage(`{"by":"eve"}`))
	require.NoError(t, err)
	require.NotEqual(t, fact.Identity, other.Identity)
	_, err = in.ReadFact("7", "f-1", "e-1", json.RawMessage(`{"by":"somebody"}`))
	require.Equal(t, "/data/by", fault.FieldsOf(err)[0].Pointer)
}

func TestEveryEventOfAFlowHasASchema(t *testing.T) {
	f := tickets()
	require.NoError(t, f.Register())
	for _, typ := range f.EventTypes() {
		raw, ok := event.Schema(typ.Name, 1)
		require.True(t, ok, typ.Name)
		require.True(t, json.Valid(raw), typ.Name)
		require.NotEqual(t, event.Direction(""), typ.Direction, typ.Name)
	}
	raw, _ := event.Schema("ticket.needs_attention", 1)
	require.Contains(t, string(raw), `"ticketId"`)
	require.Contains(t, string(raw), `"hold"`)
	f.Schemas = fstest.MapFS{}
	require.ErrorContains(t, f.Register(), "ticket.accepted/1.json")
	_, err := f.EventSchema("ticket.held", 1)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestCheckOfInbound(t *testing.T) {
	for want, change := range map[string]func(f *saga.Flow[ticket, desk]){
		`the event "ticket.wanted" starts sagas: the flow must have Start`: func(f *saga.Flow[ticket, desk]) { f.Start = nil },
		`no step waits for the event "ticket.heard"`:                       func(f *saga.Flow[ticket, desk]) { f.Inbound[2].Name = "ticket.heard" },
		`at most one event type may cancel, not 2`:                         func(f *saga.Flow[ticket, desk]) { f.Inbound[0].Role = saga.RoleCancel },
		`the event "ticket.not_wanted" is used twice`:                      func(f *saga.Flow[ticket, desk]) { f.Inbound[0].Name = "ticket.not_wanted" },
		`CancelRequested is "other", but the event that cancels is`:        func(f *saga.Flow[ticket, desk]) { f.CancelRequested = "other" },
		`"sing" is not a role of an event`:                                 func(f *saga.Flow[ticket, desk]) { f.Inbound[0].Role = "sing" },
		`the type "ticket.event_late" is reserved`:                         func(f *saga.Flow[ticket, desk]) { f.Steps[0].Done = "ticket.event_late" },
	} {
		f := tickets()
		change(f)
		require.ErrorContains(t, f.Check(), want)
	}
}

func TestAViewShowsHowFarEachStepIs(t *testing.T) {
	f := tickets()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var records []event.Record
	add := func(slot, eventType string, data any) {
		at = at.Add(time.Second)
		e := event.New("ticket-7", slot, eventType, "7", at, data)
		records = append(records, event.Record{Stream: "ticket-7", Version: int64(len(records)) + 1, Entry: e})
	}
	states := func() map[string]saga.ViewState {
		v, err := f.View(records)
		require.NoError(t, err)
		all := make(map[string]saga.ViewState)
		for _, s := range v.Steps {
			all[s.Name] = s.State
			require.Equal(t, s.State == saga.ViewPending || s.State == saga.ViewSkipped, s.StartedAt.IsZero(), s.Name)
		}
		return all
	}
	id := map[string]any{"ticketId": "7"}
	add(saga.SlotAccept, "ticket.accepted", map[string]any{"ticketId": "7", "show": "A", "count": 2})
	require.Equal(t, map[string]saga.ViewState{"hold": "running", "decide": "pending", "send": "pending"}, states(), "the row that does not apply is not shown")
	add("hold", "ticket.held", id)
	require.Equal(t, map[string]saga.ViewState{"hold": "done", "decide": "running", "send": "pending"}, states())
	whole := records

	add(saga.SlotDecide, "ticket.compensating", map[string]any{"ticketId": "7", "outcome": "cancelled", "reason": "requested"})
	require.Equal(t, map[string]saga.ViewState{"hold": "compensating", "decide": "skipped", "send": "skipped"}, states())
	add("attention/1", "ticket.needs_attention", map[string]any{"ticketId": "7", "step": "hold", "undo": true, "error": "no answer", "attempts": 3})
	v, err := f.View(records)
	require.NoError(t, err)
	require.Equal(t, saga.NeedsAttention, v.Status)
	require.Equal(t, 1, v.Attention.Count)
	require.Contains(t, v.Actions, saga.Skip)
	require.Equal(t, []any{3, "no answer"}, []any{v.Steps[0].Attempts, v.Steps[0].Error})
	add(saga.UndoSlot("hold"), "ticket.freed", id)
	add(saga.SlotEnd, "ticket.cancelled", map[string]any{"ticketId": "7", "outcome": "cancelled", "reason": "requested"})
	require.Equal(t, map[string]saga.ViewState{"hold": "compensated", "decide": "skipped", "send": "skipped"}, states())

	records = whole
	add(saga.SlotDecide, "ticket.settling", id)
	require.Equal(t, map[string]saga.ViewState{"hold": "done", "decide": "done", "send": "running"}, states())
	add("send", "ticket.step_skipped", map[string]any{"ticketId": "7", "requestId": "r", "attention": 1, "step": "send", "action": "skip", "note": "by hand"})
	require.Equal(t, saga.ViewSkipped, states()["send"])
	v, err = f.View(records)
	require.NoError(t, err)
	require.True(t, v.ByHand)
}
