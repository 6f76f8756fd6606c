package saga

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/event"
)

// StepFunc is the body of an operation. It runs as an activity: any number of times, at once with itself, and late, always with the
// same key. An error is an unknown outcome and is repeated.
type StepFunc[S, P any] func(p P, ctx context.Context, c Call[S]) (Outcome, error)

// Call is what a step function gets.
type Call[S any] struct {
	// ID is the saga's, and Key the idempotency key of the effect: <id>/<step>. Item is what the step is about, in flows with Next.
	ID, Key, Item string
	// State is the saga as far as the run has folded it; it must not be changed. Newest reads it from the log as it is now.
	State  S
	Newest func(ctx context.Context) (S, error)
	// Now is the workflow's time.
	Now func() time.Time
	// Fact is the notification about which a Lookup asks; nil when there was none.
	Fact *Fact
	// Pending reports whether the participant has answered before that it will notify.
	Pending bool
	// Hint is what the attempt before this one gave to TryLater, and Tries how many there were. Last reports that the time for that is
	// over: the step must be answered for good.
	Hint  string
	Tries int
	Last  bool
	// Claim appends an event before an effect that cannot be repeated. It reports whether this attempt has the slot: the data of each
	// attempt differs. An attempt that does not have it answers Fenced.
	Claim func(ctx context.Context, slot, eventType string, data any) (won bool, err error)
}

// outcomeKind says what a step function found.
type outcomeKind int

const (
	outcomeNothing outcomeKind = iota
	outcomeDone
	outcomeRefused
	outcomePending
	outcomeUndone
	outcomeFenced
	outcomeLater
)

func (k outcomeKind) String() string {
	return [...]string{"NotFound", "Done", "Refused", "Pending", "Undone", "Fenced", "TryLater"}[k]
}

// Outcome is what a step came to. The kit makes the event of it: its type is the one that the table has for the outcome, its data is
// the saga's ID and what the step function says.
type Outcome struct {
	kind      outcomeKind
	data      any
	eventType string
	slot      string
	later     Later
	before    []before
}

// before is an event that is recorded together with an outcome, before it.
type before struct {
	slot, eventType string
	data            any
}

// Done is the outcome of a step that has happened. Data is marshalled; it is a JSON object, or nil.
func Done(data any) Outcome { return Outcome{kind: outcomeDone, data: data} }

// Refused is the outcome of a step that will never happen. Its data has the reason in the field "reason".
func Refused(data any) Outcome { return Outcome{kind: outcomeRefused, data: data} }

// Pending is the outcome of a step about which the participant will notify.
func Pending(data any) Outcome { return Outcome{kind: outcomePending, data: data} }

// Undone is the outcome of a compensation: the step has not happened, and never will.
func Undone(data any) Outcome { return Outcome{kind: outcomeUndone, data: data} }

// Fenced is the outcome of a step that another run has compensated: the log will have the answer.
func Fenced() Outcome { return Outcome{kind: outcomeFenced} }

// NotFound is the outcome of a Lookup that found nothing definite.
func NotFound() Outcome { return Outcome{} }

// TryLater is the outcome of Do of a compensable step that may succeed soon, and is retried until its deadline; in flows with Next, of any
// step. Hint is given to the next attempt; waitFor says to people what is waited for.
func TryLater(hint, waitFor string) Outcome {
	return Outcome{kind: outcomeLater, later: Later{Hint: hint, For: waitFor}}
}

// As chooses the type of the event, for outcomes that have several.
func (o Outcome) As(eventType string) Outcome {
	o.eventType = eventType
	return o
}

// In chooses the slot of the event, in flows with Next.
func (o Outcome) In(slot string) Outcome {
	o.slot = slot
	return o
}

// Pause has TryLater wait for so long, in flows with Next, which have no deadline for it.
func (o Outcome) Pause(d time.Duration) Outcome {
	o.later.Pause = d
	return o
}

// After has another event recorded before the outcome, which is its cause.
func (o Outcome) After(slot, eventType string, data any) Outcome {
	o.before = append(o.before, before{slot, eventType, data})
	return o
}

// String names the outcome for people.
func (o Outcome) String() string { return o.kind.String() }

// Later returns what is waited for; nil unless the outcome is TryLater.
func (o Outcome) Later() *Later {
	if o.kind != outcomeLater {
		return nil
	}
	return &o.later
}

// Definite reports whether there is something to record, or to be found in the log.
func (o Outcome) Definite() bool { return o.kind != outcomeNothing && o.kind != outcomeLater }

// Succeeded reports whether the participant did what was requested, or will notify.
func (o Outcome) Succeeded() bool {
	return o.kind == outcomeDone || o.kind == outcomePending || o.kind == outcomeUndone
}

// CheckOutcome reports an outcome that the operation of a step does not have. A run would attempt a step again at once, forever, that
// came to nothing, and record that a step has happened which was compensated.
func (f *Flow[S, P]) CheckOutcome(in StepInput[S], step string, kind ActionKind, o Outcome) error {
	var fits bool
	switch o.kind {
	case outcomeFenced:
		fits = true
	case outcomeNothing:
		fits = kind == Lookup
	case outcomeUndone:
		fits = kind == Undo
	case outcomeLater:
		row := f.row(&in.State, step)
		fits = kind == Do && row != nil && (row.Kind == Compensable && !in.Last || f.Next != nil && o.later.Pause > 0)
	default:
		fits = kind != Undo
	}
	if !fits {
		return fmt.Errorf("%s %s of %s must not return the outcome %s", kind, step, f.Name, o.kind)
	}
	return nil
}

// Entries are the events of an outcome of a step, after the input's state. They are none for an outcome that has no event. The error
// says that the table has no type for the outcome.
func (f *Flow[S, P]) Entries(in StepInput[S], step string, o Outcome, at time.Time) ([]event.Entry, error) {
	row := f.row(&in.State, step)
	if row == nil {
		return nil, fmt.Errorf("%s has no step %q", f.Name, step)
	}
	k := kitOf(&in.State)
	slot, eventType := cmp.Or(o.slot, row.slotAbout(in.Item)), ""
	var extra identified
	switch o.kind {
	case outcomeDone:
		eventType = row.Done
	case outcomeRefused:
		eventType = row.Refused
	case outcomePending:
		if row.Pending != nil {
			slot, eventType = slot+slotPending, row.Pending.Event
			extra.ExpiresAt = timeText(at.Add(in.Settings.Of(row.Pending.Deadline)))
		}
	case outcomeUndone:
		slot = UndoSlot(row.Name)
		if len(row.Undone) > 0 {
			eventType = row.Undone[0]
		}
	default:
		return nil, nil
	}
	if eventType = cmp.Or(o.eventType, eventType); eventType == "" {
		return nil, fmt.Errorf("step %s of %s has no event for its outcome", row.Name, f.Name)
	}
	cause := ""
	if in.Fact != nil && in.Fact.Cause != "" {
		switch o.kind {
		case outcomeDone, outcomeRefused:
			cause, extra.EventIdentity = in.Fact.Cause, in.Fact.Identity
		case outcomePending:
			cause = in.Fact.Cause // it is not the answer to the notification
		}
	}
	entries := make([]event.Entry, 0, len(o.before)+1)
	for _, b := range o.before {
		entries = append(entries, f.entry(k, b.slot, b.eventType, at, b.data))
	}
	last := f.entry(k, slot, eventType, at, o.data, extra)
	switch {
	case cause != "":
		last.CausationID = cause
	case len(entries) > 0:
		last.CausationID = entries[len(entries)-1].ID
	}
	return append(entries, last), nil
}

// Entry makes an event of a saga after its state. Data is marshalled; it is a JSON object, or nil.
func (f *Flow[S, P]) Entry(s *S, slot, eventType string, at time.Time, data any) event.Entry {
	return f.entry(kitOf(s), slot, eventType, at, data)
}

// entry makes an event of a saga after its state.
func (f *Flow[S, P]) entry(k *Saga, slot, eventType string, at time.Time, data ...any) event.Entry {
	return k.Entry(f.StreamOf(k.ID), slot, eventType, at, Object(f.subject(), k.ID, data...))
}

// subject is the field with the saga's ID in the data of its events.
func (f *Flow[S, P]) subject() string { return cmp.Or(f.Subject, "id") }

// Accept makes the first event of a stream.
func (f *Flow[S, P]) Accept(in OpenInput, at time.Time) event.Entry {
	return event.New(f.StreamOf(in.ID), SlotAccept, f.prefix()+"."+kindAccepted, in.ID, at, in.Data).CausedBy(in.CorrelationID, in.CausationID)
}

// Kit is the kit's part of a state.
func (f *Flow[S, P]) Kit(s *S) *Saga { return kitOf(s) }

// Operation returns an operation of a row that applies to a saga; nil if there is none.
func (f *Flow[S, P]) Operation(s *S, step string, kind ActionKind) *Operation[S, P] {
	if row := f.row(s, step); row != nil {
		return row.Operation(kind)
	}
	return nil
}

// IsPending reports whether the participant of a step has answered that it will notify.
func (f *Flow[S, P]) IsPending(s *S, step string) bool {
	row := f.row(s, step)
	return row != nil && row.Pending != nil && kitOf(s).Has(row.slot()+slotPending) && !kitOf(s).Has(row.slot())
}

// WithDecisions adds the decisions that follow from the outcome of a step, where the step may decide.
func (f *Flow[S, P]) WithDecisions(in StepInput[S], entries []event.Entry, now time.Time) ([]event.Entry, error) {
	s := in.State
	for _, e := range entries {
		next, err := f.Fold(s, []event.Record{{Stream: f.StreamOf(kitOf(&s).ID), Version: kitOf(&s).Head.Version + 1, Entry: e}})
		if err != nil {
			return nil, err
		}
		s = next
	}
	if !in.Inline && kitOf(&s).Decision == "" {
		return entries, nil
	}
	entries = slices.Clip(entries) // an attempt that has timed out may still read the input's
	for _, e := range f.Decisions(s, Facts{}, now, in.Settings.Of) {
		if e.Type == f.prefix()+"."+kindNeedsAttention {
			// The run knows more: it may have received what an operator would have to find out.
			break
		}
		entries = append(entries, e)
	}
	return entries, nil
}
