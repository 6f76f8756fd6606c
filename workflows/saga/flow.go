package saga

import (
	"cmp"
	"context"
	"encoding/json"
	"io/fs"
	"iter"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/ordersaga/ordersaga/event"
)

// Flow is a kind of saga: its steps in business order, and how its own events are folded. It is data without dependencies and
// without I/O, so that the worker, the API, reconcile and the documentation use the same value. S is the state of a saga of
// this flow; it embeds Saga, the part that every flow has.
type Flow[S, P any] struct {
	// Name names the flow for people; Stream is what its streams' names begin with: <Stream>-<id>.
	Name, Stream string
	// Events is the prefix of the types of the kit's own events, such as <Events>.settling; default Stream.
	Events string
	// Subject is the field with the saga's ID in the data of its events; default id.
	Subject string
	// Steps are the rows of the table, in business order. That order is written nowhere else.
	Steps []Step[S, P]
	// Own folds what an event says besides the kit's part, after the kit. It must not change what s shares with another state.
	Own func(s *S, r event.Record) error

	// Workflow is the registered workflow type; default Name. Queue is the task queue of the workflows and of its own activities.
	Workflow, Queue string

	// The rest is optional.

	// Start says what sagas are started with, by requests and by events. Without it a flow of this service starts them.
	Start *Start[S]
	// Inbound are the events from outside that start, cancel and tell sagas.
	Inbound []Inbound
	// Types are the flow's own event types: the outcomes of its steps. The kit adds those that every flow has. Schemas has their JSON
	// Schemas, <type>/<version>.json, and that of <Events>.accepted.
	Types   []event.Type
	Schemas fs.FS

	// Signals are the registered signals that bring facts, besides SignalCancel. They are taken in this order.
	Signals []Signal
	// TurnBack is the rule for a signal that makes an undecided saga turn back.
	TurnBack *TurnBackRule
	// CancelRequested is the type of the event that requests a cancellation; default <Events>.cancellation_requested.
	CancelRequested string
	// EarlyStream is the name of the stream of cancellations that came before the saga, EarlyType the type of its events. By default
	// they are <Stream>.early-<id> and <Events>.cancellation_kept for a flow with an event that cancels; other flows look for none.
	EarlyStream func(id string) string
	EarlyType   string
	// Same reports whether start data equals that of the existing saga. By default Start compares them; without Start, no saga
	// is compared.
	Same func(s *S, data json.RawMessage) bool
	// Late is the rule about events that come after the saga has ended.
	Late *LateRule[S]
	// StatusAttribute is the search attribute that shows the status; default SagaStatus. LongStatuses are the statuses of the flow in which
	// sagas may stay for long, besides those of the kit: see Lasts.
	StatusAttribute string
	LongStatuses    []Status
	// Reverted reports whether the effect of a step was reverted in another way than by its compensation; for people.
	Reverted func(s *S, step string) bool

	// Defaults are how long the waits of the table last unless an environment variable of the wait's name says otherwise; for flows that a team
	// adds to the service.
	Defaults map[Deadline]time.Duration
	// Summary is a saga in one line, for the Temporal Web UI; by default its flow and its ID.
	Summary func(s *S) string
	// Customer is the customer whom a saga is about, for the search attribute CustomerId; "" when it is not known.
	Customer func(s *S) string

	// Endless flows have no terminal event: a run closes when nothing is left to do, and the next event starts another one. Their streams
	// are also written by others. All rows are forward steps; such a saga is not cancelled, and nothing is compensated.
	Endless bool
	// Next decides in an endless flow that is a loop, in the place of the order of the rows: an attempt of a row (Do), an event (Append), a
	// wait for a time or for a person (Wait, Ask), or nothing (Close). Item says what a step is about at the moment, and whether it is
	// open; the outcome of a step has the slot <row>/<item>, and attention is about the item.
	Next func(s *S, now time.Time) Action
	Item func(s *S, step string) (item string, open bool)
	// More is the registered signal which says that the log of an endless flow has more.
	More string
	// Begin makes the first event of an endless flow; nil when there is none to be made. Without it, others begin the stream.
	Begin func(p P, ctx context.Context, in OpenInput, now time.Time) (*event.Entry, error)
	// Bound removes from a state of an endless flow what the next decision does not need. Again reports that it must be folded again.
	Bound func(s *S) (again bool)
	// Private streams are not published. NoAttention flows never need attention: what is stuck is tried until it succeeds.
	Private, NoAttention bool
	// Details shows a saga to people in the place of its rows. HowResolved and NothingStuck are texts for people in the place of the kit's
	// own: how what needed attention was resolved, and that nothing needs attention.
	Details      func(s *S, note string) string
	HowResolved  func(s *S) string
	NothingStuck string
	// StepState says how far a step of a flow with Next is: its outcomes are about items, and the rows do not tell. ShownAs is the status of
	// a saga of an endless flow, and its reason, as people are shown it; by default a saga is completed while no step is left to be done.
	StepState func(s *S, step string) ViewState
	ShownAs   func(s *S) (Status, string)

	// Clone copies what Own changes in place, so that no two states share it.
	Clone func(s *S)
	// KeepsStatus reports whether a saga keeps its status although an event says the next one.
	KeepsStatus func(s *S, next Status) bool
	// RejectCancellation says for people why a cancellation cannot be honoured; "" is the kit's own text.
	RejectCancellation func(s *S) string
	// Completed adds data to the event that ends a completed saga.
	Completed func(s *S) any
}

// Kind says what a step means to the saga.
type Kind string

// The kinds of steps.
const (
	// Compensable steps come before the pivot. They may have happened as soon as they are attempted, and are compensated,
	// newest first, when the saga turns back.
	Compensable Kind = "compensable"
	// Await is a wait for an event from outside. Before the pivot a saga that waits in vain turns back; after it an operator must act.
	Await Kind = "await"
	// Pivot is the event that decides. There is one.
	Pivot Kind = "pivot"
	// Forward steps come after the pivot. They are never compensated, and are retried until they succeed.
	Forward Kind = "forward"
)

// Step is a row of the table.
type Step[S, P any] struct {
	Name string
	Kind Kind
	// Slot is the key of the outcome in the saga's stream; default Name. The compensation has undo/<Name>.
	Slot string
	// When reports whether the row applies to a saga. It may look only at what the first event says. Nil: always.
	When func(s *S) bool
	// Do attempts the step, Undo compensates it, Lookup asks for the result of it. A row without Do records its event: recording is
	// the effect, and Undo records Undone.
	Do, Undo, Lookup *Operation[S, P]
	// Deadline is how long Do of a compensable step may be unavailable before it is looked up and given up.
	Deadline Deadline
	// Done, Refused and Undone are the types of the outcomes; of Undone the first one is what a row without Do records, Refused of a wait in
	// parts is recorded when its time is over: see PartsRule.Expired.
	Done, Refused string
	Undone        []string
	// Data is the data of Done, for rows without Do. The kit adds the saga's ID, the identity of the fact, and the end of the wait
	// that begins.
	Data func(s *S, f *Fact) any
	// Held reports whether a refusal has left something to compensate.
	Held func(s *S) bool
	// Reversible, of a forward step, reports whether its refusal, or a person, may still turn the saga back.
	Reversible func(s *S) bool
	// SkipReason, of a reversible step, has a decision to skip the step turn the saga back, with this reason. Without it the saga goes on without the
	// step.
	SkipReason string
	// StuckText, FinalText and RefusedText say for people what is wrong with a forward step that is stuck: in general, when
	// it is not reversible any more, and when it was refused then. RefusedError is what the event about the last one says.
	StuckText, FinalText, RefusedText, RefusedError string
	// UnknownText says for people that Lookup of a forward step does not answer.
	UnknownText string
	// Pending is what follows when the participant answers that it will notify.
	Pending *PendingRule
	// Wait is the rule of an Await row, and Parts that of one after the pivot which may be fulfilled in parts.
	Wait  *WaitRule
	Parts *PartsRule[S, P]
	// Status is the status of the saga after Done.
	Status Status
}

// Operation is a registered activity as a step uses it.
type Operation[S, P any] struct {
	// Run is the step function. Only the compensation of a row without Do has none: it records Undone.
	Run StepFunc[S, P]
	// Name is the registered name, Queue the task queue on which it runs when it does not run inside a workflow task; default that of
	// the flow.
	Name, Queue string
	// Summary is one line for the Temporal Web UI.
	Summary string
	// Remote marks a call to an external service: it runs inside a workflow task only while that service is fast.
	Remote bool
	// Within bounds how long a Lookup is tried.
	Within time.Duration
	// Timeout bounds one attempt; default AttemptTimeout.
	Timeout time.Duration
	// Once marks an effect that cannot be repeated, nor asked about: it never runs inside a workflow task, its step function claims a slot
	// before it, and the run keeps its outcome until it is recorded.
	Once bool
}

// WaitRule is what a saga waits for: the first type of On that is received completes the row.
type WaitRule struct {
	On []string
	// For says what for, to people.
	For string
	// Deadline is how long, from the event of the row Since on, or from what that event says.
	Deadline Deadline
	Since    string
	// Overdue is, before the pivot, the reason of the compensation; after it the text for a person.
	Overdue string
	// Trouble lists events that need attention instead, after the pivot.
	Trouble []Trouble
	// AfterCancel is an event that arrives although the saga has turned back: an operator must act before it ends.
	AfterCancel *Trouble
	// MissingText says for people what is wrong when an operator must act.
	MissingText string
}

// Trouble is a received event that needs attention. Step names it in events; for a wait it is the row.
type Trouble struct{ On, Step, Text, AttentionKind string }

// PendingRule is what follows when a participant answers that it will notify. Lookup decides what a notification is worth, and
// once more when the time is over.
type PendingRule struct {
	// Event is recorded then, in the slot <Slot>/pending; Status is the saga's status meanwhile.
	Event  string
	Status Status
	// On are the types of notifications.
	On []string
	// For says to people what is waited for.
	For string
	// Deadline is how long, from Event on, or what it says; Overdue is the reason of the compensation then.
	Deadline Deadline
	Overdue  string
}

// Deadline is a setting of the service that bounds a wait, in workflow time. The worker that opens a run chooses it; the run keeps it.
type Deadline string

// Timing is how long the waits of a run last, by setting.
type Timing func(Deadline) time.Duration

// Signal is a registered signal that brings facts.
type Signal struct {
	Name string
	// Read makes the fact of a payload; its ID, cause and texts are cleaned with Tidy and Clip. The error says that the payload cannot
	// be read; such a signal is logged and dropped.
	Read func(id string, payload json.RawMessage) (Fact, error)
}

// TurnBackRule is about a signal, not an event, that has a saga turn back as long as it is not decided.
type TurnBackRule struct {
	Signal string
	// Ending makes of a payload how the saga ends then.
	Ending func(payload json.RawMessage) (Ending, error)
}

// LateRule says what follows from events that come after a saga has ended.
type LateRule[S any] struct {
	// Workflow is the workflow that handles late events, WorkflowID its ID, Signal notifies it of new ones.
	Workflow   string
	WorkflowID func(id string) string
	Signal     string
	Summary    func(id string) string
	// Unsettled reports whether something may be left to settle because of a notification that a completed saga has not taken.
	Unsettled func(eventType string) bool
	// Attributes are the search attributes of that workflow.
	Attributes func(s *S) []temporal.SearchAttributeUpdate
}

// prefix is what the types of the kit's events begin with.
func (f *Flow[S, P]) prefix() string {
	if f.Events != "" {
		return f.Events
	}
	return f.Stream
}

// cancelRequested is the type of the event that requests a cancellation.
func (f *Flow[S, P]) cancelRequested() string {
	for i := range f.Inbound {
		if f.Inbound[i].Role == RoleCancel {
			return f.Inbound[i].Name
		}
	}
	return cmp.Or(f.CancelRequested, f.prefix()+".cancellation_requested")
}

// WorkflowType is the registered workflow type.
func (f *Flow[S, P]) WorkflowType() string { return cmp.Or(f.Workflow, f.Name) }

// Activity is the registered name of one of the kit's activities for the flow: Open, Record, Publish, List, Late, Recover.
func (f *Flow[S, P]) Activity(what string) string { return f.Stream + "." + what }

// WorkflowID is the workflow ID of a saga.
func (f *Flow[S, P]) WorkflowID(id string) string { return event.WorkflowID(f.Stream+"-", id) }

// IDOf returns the ID of the saga that has a workflow ID; ok is false when it is of another flow, and when the workflow ID was cut: then
// the workflow's memo has the ID, as MemoID.
func (f *Flow[S, P]) IDOf(workflowID string) (id string, ok bool) {
	name, ok := strings.CutPrefix(workflowID, f.Stream+"-")
	if !ok {
		return "", false
	}
	return event.Unescape(name)
}

// MemoID is the field of a workflow's memo that has the saga's ID where the workflow ID does not contain it.
const MemoID = "sagaId"

// StreamOf is the name of the stream of a saga.
func (f *Flow[S, P]) StreamOf(id string) string { return f.Stream + "-" + event.Escape(id) }

// Applicable yields the rows that apply to a saga.
func (f *Flow[S, P]) Applicable(s *S) iter.Seq[*Step[S, P]] {
	return func(yield func(*Step[S, P]) bool) {
		for i := range f.Steps {
			if row := &f.Steps[i]; (row.When == nil || row.When(s)) && !yield(row) {
				return
			}
		}
	}
}

// Operated yields every row, and the steps that follow from decisions about parts: all that may have operations.
func (f *Flow[S, P]) Operated() iter.Seq[*Step[S, P]] {
	return func(yield func(*Step[S, P]) bool) {
		for i := range f.Steps {
			row := &f.Steps[i]
			if !yield(row) || row.Parts != nil && row.Parts.Follow != nil && !yield(row.Parts.Follow) {
				return
			}
		}
	}
}

// row returns the row of a name that applies to a saga, or the step that follows from decisions about its parts; nil if there is none.
func (f *Flow[S, P]) row(s *S, name string) *Step[S, P] {
	for row := range f.Applicable(s) {
		switch {
		case row.Name == name:
			return row
		case row.Parts != nil && row.Parts.Follow != nil && row.Parts.Follow.Name == name:
			return row.Parts.Follow
		}
	}
	return nil
}

// slotOf is the slot of the row of a name; of SlotAccept it is that.
func (f *Flow[S, P]) slotOf(name string) string {
	for i := range f.Steps {
		if f.Steps[i].Name == name {
			return f.Steps[i].slot()
		}
	}
	return name
}

func (row *Step[S, P]) slot() string {
	if row.Slot != "" {
		return row.Slot
	}
	return row.Name
}

// slotAbout is the slot of the outcome of a row about an item; "" is none.
func (row *Step[S, P]) slotAbout(item string) string {
	if item == "" {
		return row.slot()
	}
	return row.slot() + "/" + item
}

func (row *Step[S, P]) reversible(s *S) bool { return row.Reversible != nil && row.Reversible(s) }
