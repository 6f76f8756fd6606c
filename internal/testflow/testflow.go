// Package testflow has a flow for tests of what the service does with flows that a team has added: a top-up of a card, which locks the card,
// sets money aside, waits for an approval of large amounts, and raises the balance. It may import workflows/saga, event and testing.
package testflow

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"testing/fstest"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Types of events from outside.
const (
	Requested             = "card.topup_requested"
	CancellationRequested = "card.topup_cancellation_requested"
	Approved              = "card.topup_approved"
)

// Large is the amount from which a top-up waits for an approval.
const Large = 1000

// TopUp is what a saga is started with.
type TopUp struct {
	CardID string `json:"cardId" required:"true"`
	Amount int64  `json:"amount" required:"true"`
	Note   string `json:"note"`
}

// Approval is what an approval says.
type Approval struct {
	By string `json:"by"`
}

// State is the state of a top-up.
type State struct {
	saga.Saga
	TopUp TopUp `json:"topUp"`
}

// Participants are what the steps call.
type Participants struct {
	// Call answers a step function. Nil does everything at once.
	Call func(ctx context.Context, step string, kind saga.ActionKind, id string) (saga.Outcome, error)
}

func call(step string, kind saga.ActionKind) saga.StepFunc[State, *Participants] {
	return func(p *Participants, ctx context.Context, c saga.Call[State]) (saga.Outcome, error) {
		switch {
		case p.Call != nil:
			return p.Call(ctx, step, kind, c.ID)
		case kind == saga.Undo:
			return saga.Undone(nil), nil
		case kind == saga.Lookup:
			return saga.NotFound(), nil
		}
		return saga.Done(nil), nil
	}
}

func operation(step string, kind saga.ActionKind) *saga.Operation[State, *Participants] {
	o := &saga.Operation[State, *Participants]{Run: call(step, kind), Summary: string(kind) + " " + step}
	if kind == saga.Lookup {
		o.Within = time.Minute
	}
	return o
}

// Own types of the flow's events.
var types = []event.Type{
	{Name: "card.locked"}, {Name: "card.lock_refused"}, {Name: "card.unlocked"}, {Name: "card.authorized"}, {Name: "card.declined"},
	{Name: "card.voided"}, {Name: "card.approved"}, {Name: "card.captured"}, {Name: "card.credited"},
}

// New returns the flow. Its workflows run on a task queue.
func New(queue string) *saga.Flow[State, *Participants] {
	return &saga.Flow[State, *Participants]{
		Name: "top-up", Stream: "card", Subject: "topUpId", Queue: queue, Types: types, Schemas: schemas(),
		Start: saga.StartWith(func(s *State) *TopUp { return &s.TopUp }, func(t *TopUp, p *saga.Problems) {
			p.Require(t.Amount > 0, "/amount", "must be above zero")
		}),
		Inbound: []saga.Inbound{
			saga.Starts(event.Type{Name: Requested, Aliases: []string{"CardTopUpRequested"}, SubjectFields: []string{"topUpId", "id"}, Meaning: "A top-up."}),
			saga.Cancels(event.Type{Name: CancellationRequested, Meaning: "A cancellation."}),
			saga.FactFrom[Approval](event.Type{Name: Approved, Meaning: "An approval."}, nil),
		},
		LongStatuses: []saga.Status{"authorized"},
		Defaults:     map[saga.Deadline]time.Duration{"CARD_STEP_DEADLINE": time.Minute, "CARD_APPROVAL_DEADLINE": 24 * time.Hour},
		Steps: []saga.Step[State, *Participants]{
			{
				Name: "lock", Kind: saga.Compensable, Status: "locked", Deadline: "CARD_STEP_DEADLINE",
				Do: operation("lock", saga.Do), Undo: operation("lock", saga.Undo), Lookup: operation("lock", saga.Lookup),
				Done: "card.locked", Refused: "card.lock_refused", Undone: []string{"card.unlocked"},
			},
			{
				Name: "authorize", Kind: saga.Compensable, Status: "authorized", Deadline: "CARD_STEP_DEADLINE",
				Do: operation("authorize", saga.Do), Undo: operation("authorize", saga.Undo), Lookup: operation("authorize", saga.Lookup),
				Done: "card.authorized", Refused: "card.declined", Undone: []string{"card.voided"},
			},
			{
				Name: "approve", Kind: saga.Await, Done: "card.approved", When: func(s *State) bool { return s.TopUp.Amount >= Large },
				Wait: &saga.WaitRule{On: []string{Approved}, For: "an approval", Since: "authorize", Deadline: "CARD_APPROVAL_DEADLINE", Overdue: "not_approved"},
			},
			{Name: "decide", Kind: saga.Pivot, Status: "settling"},
			{Name: "capture", Kind: saga.Forward, Do: operation("capture", saga.Do), Done: "card.captured", StuckText: "the capture is stuck"},
			{Name: "credit", Kind: saga.Forward, Do: operation("credit", saga.Do), Done: "card.credited", StuckText: "the credit is stuck"},
		},
	}
}

// Flow is the flow on the queue of orders.
var Flow = New(saga.QueueOrders)

// schemas has a schema of each type that the kit has none of.
func schemas() fs.FS {
	files := fstest.MapFS{}
	for _, t := range append([]event.Type{{Name: Requested}, {Name: CancellationRequested}, {Name: Approved}, {Name: "card.accepted"}}, types...) {
		files[t.Name+"/1.json"] = &fstest.MapFile{Data: []byte(`{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object"}`)}
	}
	return files
}

// Waits are how long the waits of the flow last.
func Waits(d saga.Deadline) time.Duration { return Flow.Defaults[d] }

// Log is where sagas are written.
type Log interface {
	Append(ctx context.Context, stream string, head event.Head, entries []event.Entry) (event.Head, []event.Record, error)
}

// Begin writes the first event of a top-up.
func Begin(ctx context.Context, log Log, id string, t TopUp, at time.Time) (State, error) {
	in := saga.OpenInput{ID: id, Data: saga.Object("topUpId", id, t), CorrelationID: "corr", CausationID: "cause"}
	return Write(ctx, log, State{}, id, Flow.Accept(in, at))
}

// Write appends to the stream of a top-up, and folds.
func Write(ctx context.Context, log Log, s State, id string, entries ...event.Entry) (State, error) {
	_, tail, err := log.Append(ctx, Flow.StreamOf(id), s.Head, entries)
	if err != nil {
		return s, err
	}
	return Flow.Fold(s, tail)
}

// Drive takes a top-up as far as it goes with facts, as a run does whose participants do everything at once, but for a step that is refused
// and one that is stuck.
func Drive(ctx context.Context, log Log, s State, facts saga.Facts, refused, stuck string, at time.Time) (State, error) {
	for range 50 {
		var entries []event.Entry
		action := Flow.Decide(s, facts, at, Waits)
		switch action.Kind {
		case saga.Wait, saga.Close:
			return s, nil
		case saga.Record:
			entries = Flow.Decisions(s, facts, at, Waits)
		case saga.Do:
			if action.Step == stuck {
				facts.Stuck = &saga.StuckCall{Step: stuck, Error: "it is stuck", Attempts: 1}
				stuck = ""
				continue
			}
			entries = []event.Entry{outcome(&s, action.Step, action.Step == refused, at)}
		default:
			for _, row := range Flow.Steps {
				if row.Name == action.Step {
					entries = []event.Entry{s.Entry(Flow.StreamOf(s.ID), saga.UndoSlot(row.Name), row.Undone[0], at, about(s.ID))}
				}
			}
		}
		var err error
		if s, err = Write(ctx, log, s, s.ID, entries...); err != nil || s.Attention.Open {
			return s, err
		}
	}
	return s, errors.New("testflow: a top-up comes to no end")
}

// outcome is the event of a step that is done, or refused.
func outcome(s *State, step string, refused bool, at time.Time) (e event.Entry) {
	for _, row := range Flow.Steps {
		if row.Name != step {
			continue
		}
		if e = s.Entry(Flow.StreamOf(s.ID), row.Name, row.Done, at, about(s.ID)); refused {
			e = s.Entry(Flow.StreamOf(s.ID), row.Name, row.Refused, at, about(s.ID))
		}
	}
	return e
}

func about(id string) json.RawMessage { return saga.Object("topUpId", id, struct{}{}) }

// FactsOf are the facts that an event makes.
func FactsOf(id string, f saga.Fact) saga.Facts {
	var facts saga.Facts
	if f.Type == CancellationRequested {
		facts.Cancellations = []saga.Cancellation{{ID: f.ID, Cause: f.Cause, Identity: f.Identity}}
		return facts
	}
	facts.AddFact(f)
	return facts
}
