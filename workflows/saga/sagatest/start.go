package sagatest

import (
	"encoding/json"
	"time"

	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Start says how the sagas of a flow begin in a test, and what participants and events say. Every field is optional: the zero value
// starts each saga with an empty object, and a refusal says nothing but a reason.
//
// Hooks draw what they say from t, so that rapid finds the smallest saga that fails.
type Start[S any] struct {
	// Data draws the data of the first event; draw what decides which rows apply.
	Data func(t *rapid.T) any
	// Answer draws what the participant of a step says: the data of an event of the type, which is Done, Refused or Undone of the row, or
	// Event of its Pending. A refusal has a "reason". Held reports that a refusal has left something that must be compensated: it is the
	// truth to which Held of the row is compared.
	Answer func(t *rapid.T, s S, step, eventType string) (data any, held bool)
	// Fact draws the data of an event of a type to which a row listens.
	Fact func(t *rapid.T, eventType string) any
	// TurnBack is the payload of the signal that has a saga turn back, if the flow has one; nil is an empty object.
	TurnBack any
	// Settles names, for a forward step, the compensable step whose effect it makes final, as a capture does with an authorization. What is
	// final cannot be compensated, and what is compensated cannot become final: a saga that tries either fails the test.
	Settles map[string]string
}

// refused is what a participant says by default when it refuses.
type refused struct {
	Reason string `json:"reason"`
}

// data is the data of the first event.
func (s Start[S]) data(t *rapid.T) any {
	if s.Data == nil {
		return struct{}{}
	}
	return s.Data(t)
}

// answer is what the participant of a step says.
func (s Start[S]) answer(t *rapid.T, state S, step, eventType string, refusal bool) (data any, held bool) {
	switch {
	case s.Answer != nil:
		return s.Answer(t, state, step, eventType)
	case refusal:
		return refused{"refused"}, false
	}
	return nil, false
}

// fact is the data of an event to which a row listens.
func (s Start[S]) fact(t *rapid.T, eventType string) any {
	if s.Fact == nil {
		return nil
	}
	return s.Fact(t, eventType)
}

// turnBack is the payload of the signal that has a saga turn back.
func (s Start[S]) turnBack() (json.RawMessage, error) {
	if s.TurnBack == nil {
		return json.RawMessage("{}"), nil
	}
	return json.Marshal(s.TurnBack)
}

// decider is what a run needs of a flow. *saga.Flow is one.
type decider[S any] interface {
	Fold(s S, records []event.Record) (S, error)
	Decide(s S, facts saga.Facts, now time.Time, timing saga.Timing) saga.Action
	Decisions(s S, facts saga.Facts, now time.Time, timing saga.Timing) []event.Entry
	Entries(in saga.StepInput[S], step string, o saga.Outcome, at time.Time) ([]event.Entry, error)
	WithDecisions(in saga.StepInput[S], entries []event.Entry, now time.Time) ([]event.Entry, error)
	Unconfirmed(facts *saga.Facts, s S, step string, fact saga.Fact, now time.Time, timing saga.Timing) bool
	AttentionKind(s *S) (text string, allowed []saga.ResolutionAction)
	RejectResolution(s *S, r saga.Resolution) string
	Decided(s *S, resolutions []saga.Resolution) (saga.Resolution, bool)
}
