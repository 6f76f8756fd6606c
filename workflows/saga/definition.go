package saga

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// ActivityCall is an activity as a step uses it. In and Out are what it takes and gives.
type ActivityCall[In, Out any] struct {
	activity string
	// Queue is the task queue on which the activity runs when it does not run inside a workflow task.
	Queue string
	// Summary is one line for the Temporal Web UI.
	Summary string
	// Remote marks calls to somebody else's service: they run inside a workflow task only when the flow says that the
	// service is fast.
	Remote bool
	// Once marks calls that never run inside a workflow task, which may be discarded unnoticed.
	Once bool
	// Timeout bounds one attempt of the regular activity; 0 is AttemptTimeout.
	Timeout time.Duration
	// Deadline is how long the call may be unavailable before it is given up; nil for calls that must succeed.
	Deadline func(In) time.Duration
}

// Activity makes a Call of a registered activity: its name, and its method for the types.
func Activity[T, In, Out any](name string, _ func(T, context.Context, In) (Out, error), c ActivityCall[In, Out]) *ActivityCall[In, Out] {
	c.activity = name
	return &c
}

// Activity is the registered name.
func (c *ActivityCall[In, Out]) Activity() string { return c.activity }

// Calls are the activities of a step.
type Calls[In, Out any] struct {
	Name string
	Kind Kind
	// Slot is the key under which the outcome stands in the saga's stream; UndoSlot is that of the compensation.
	Slot, UndoSlot string
	// Do attempts the step. A step without Do is recorded by the flow, or waited for.
	Do *ActivityCall[In, Out]
	// Lookup asks what is: what became of an attempt whose outcome nobody knows, or what a decision is to be based on.
	// Optional.
	Lookup *ActivityCall[In, Out]
	// Undo makes it so that the step has not happened, whether or not it had, and keeps it so.
	Undo *ActivityCall[In, Out]
}

// call is the step's call for an action.
func (s Calls[In, Out]) call(kind ActionKind) *ActivityCall[In, Out] {
	switch kind {
	case Do:
		return s.Do
	case Lookup:
		return s.Lookup
	case Undo:
		return s.Undo
	}
	return nil
}

// Definition is a saga whose steps have been checked.
type Definition[In, Out any] struct {
	name  string
	steps []Calls[In, Out]
	calls map[callKey]*ActivityCall[In, Out]
}

type callKey struct {
	kind ActionKind
	step string
}

// Define checks the steps of a saga and returns it. The error names everything that is wrong: a saga has one pivot,
// compensable steps before it and forward steps after it; each compensable step has an undo, no other step has one;
// names and slots are unique; what can be undone has a deadline, what must succeed has none.
func Define[In, Out any](name string, steps ...Calls[In, Out]) (*Definition[In, Out], error) {
	var c checker
	c.require(name != "", "a saga has a name")
	pivots := 0
	for _, s := range steps {
		c.step = s.Name
		if s.Kind == Pivot {
			pivots++
		}
		c.unique("name", s.Name)
		c.unique("slot", s.Slot)
		if s.Undo != nil || s.UndoSlot != "" {
			c.unique("slot", s.UndoSlot)
		}
		checkKind(&c, s, pivots)
		for _, kind := range []ActionKind{Do, Lookup, Undo} {
			if call := s.call(kind); call != nil {
				checkCall(&c, kind, s.Kind, call)
			}
		}
	}
	c.step = ""
	c.require(pivots == 1, "a saga has one pivot, not %d", pivots)
	if err := c.err(name); err != nil {
		return nil, err
	}
	return define(name, steps), nil
}

// define returns a saga whose steps were checked.
func define[In, Out any](name string, steps []Calls[In, Out]) *Definition[In, Out] {
	d := &Definition[In, Out]{name: name, steps: steps, calls: make(map[callKey]*ActivityCall[In, Out])}
	for _, s := range steps {
		for _, kind := range []ActionKind{Do, Lookup, Undo} {
			if call := s.call(kind); call != nil {
				d.calls[callKey{kind, s.Name}] = call
			}
		}
	}
	return d
}

// checkKind checks what a step of its kind must and must not have, and where it stands.
func checkKind[In, Out any](c *checker, s Calls[In, Out], pivots int) {
	switch s.Kind {
	case Compensable:
		c.require(pivots == 0, "a compensable step stands before the pivot")
		c.require(s.Undo != nil, "a compensable step has an undo")
	case Pivot:
		c.require(s.Do == nil && s.Undo == nil, "the pivot is an event: nothing is done but to record it")
	case Forward:
		c.require(pivots > 0, "a forward step stands after the pivot")
		c.require(s.Undo == nil, "a forward step is never undone")
	default:
		c.require(false, "%q is no kind", s.Kind)
	}
}

// checkCall checks one activity of a step.
func checkCall[In, Out any](c *checker, action ActionKind, kind Kind, call *ActivityCall[In, Out]) {
	c.require(call.activity != "", "%s names its activity", action)
	c.require(call.Queue != "", "%s names its task queue", action)
	c.require(call.Summary != "", "%s has a summary", action)
	switch {
	case action == Undo, action == Do && kind == Forward:
		c.require(call.Deadline == nil, "%s must succeed: it has no deadline", action)
	case kind == Compensable:
		c.require(call.Deadline != nil, "%s has a deadline: nothing waits for ever before the pivot", action)
	}
}

// checker collects what is wrong.
type checker struct {
	step string
	seen map[string]bool
	errs []error
}

func (c *checker) require(ok bool, format string, args ...any) {
	if ok {
		return
	}
	err := fmt.Errorf(format, args...)
	if c.step != "" {
		err = fmt.Errorf("step %q: %w", c.step, err)
	}
	c.errs = append(c.errs, err)
}

// err joins what is wrong with a saga; nil when nothing is.
func (c *checker) err(name string) error {
	if err := errors.Join(c.errs...); err != nil {
		return fmt.Errorf("saga %q: %w", name, err)
	}
	return nil
}

// unique requires that a value is there and has not been seen under its label.
func (c *checker) unique(label, value string) {
	key := label + "/" + value
	c.require(value != "", "a step has a %s", label)
	c.require(!c.seen[key] || value == "", "the %s %q is taken", label, value)
	c.seen = add(c.seen, key)
}

// Name is the saga's name.
func (d *Definition[In, Out]) Name() string { return d.name }

// Steps are the saga's steps, in their order.
func (d *Definition[In, Out]) Steps() []Calls[In, Out] {
	return append([]Calls[In, Out](nil), d.steps...)
}

// Activities are the registered names of every activity that the saga uses, in the order of their steps.
func (d *Definition[In, Out]) Activities() []string {
	var names []string
	for _, s := range d.steps {
		for _, kind := range []ActionKind{Do, Lookup, Undo} {
			if c := s.call(kind); c != nil {
				names = append(names, c.activity)
			}
		}
	}
	return names
}

// Find returns the call for an action; nil when the step has none of that kind.
func (d *Definition[In, Out]) Find(kind ActionKind, step string) *ActivityCall[In, Out] {
	return d.calls[callKey{kind, step}]
}

// calls are the calls of the table's rows that apply to a saga. A wait before the pivot belongs to the row before it.
func (f *Flow[S, P]) calls(s *S) (*Definition[StepInput[S], StepResult[S]], error) {
	var steps []Calls[StepInput[S], StepResult[S]]
	past := false
	for row := range f.Applicable(s) {
		past = past || row.Kind == Pivot
		step := Calls[StepInput[S], StepResult[S]]{Name: row.Name, Kind: row.Kind, Slot: row.slot()}
		if row.Kind == Await {
			if !past {
				continue
			}
			step.Kind = Forward
		}
		step.Do, step.Lookup, step.Undo = f.call(row, Do), f.call(row, Lookup), f.call(row, Undo)
		if row.Undo != nil {
			step.UndoSlot = UndoSlot(row.Name)
		}
		if row.Do != nil && row.Deadline != "" {
			step.Do.Deadline = func(in StepInput[S]) time.Duration { return in.Settings.Of(row.Deadline) }
		}
		steps = append(steps, step)
	}
	if f.Endless {
		return define(f.Name, steps), nil
	}
	return Define(f.Name, steps...)
}

// Operation returns an operation of a row; nil when it has none of that kind.
func (row *Step[S, P]) Operation(kind ActionKind) *Operation[S, P] {
	switch kind {
	case Do:
		return row.Do
	case Lookup:
		return row.Lookup
	case Undo:
		return row.Undo
	}
	return nil
}

// ActivityOf is the registered name of an operation of a row: by default <Stream>.<row>, with .lookup or .undo. The compensation of a
// row without Do is the Record of its flow.
func (f *Flow[S, P]) ActivityOf(row *Step[S, P], kind ActionKind) string {
	o := row.Operation(kind)
	switch {
	case o.Name != "":
		return o.Name
	case kind == Undo && row.Do == nil:
		return f.Activity("Record")
	case kind == Do:
		return f.Stream + "." + row.Name
	}
	return f.Stream + "." + row.Name + "." + string(kind)
}

// call is the call of an operation.
func (f *Flow[S, P]) call(row *Step[S, P], kind ActionKind) *ActivityCall[StepInput[S], StepResult[S]] {
	o := row.Operation(kind)
	if o == nil {
		return nil
	}
	c := &ActivityCall[StepInput[S], StepResult[S]]{
		activity: f.ActivityOf(row, kind), Queue: cmp.Or(o.Queue, f.Queue), Summary: cmp.Or(o.Summary, string(kind)+" "+row.Name), Remote: o.Remote,
		Once: o.Once, Timeout: o.Timeout,
	}
	if o.Within > 0 {
		c.Deadline = func(StepInput[S]) time.Duration { return o.Within }
	}
	return c
}

// recoverTimeout bounds one attempt to read the history of a run, which has 51,200 events at most.
const recoverTimeout = 5 * time.Minute

// OpenTimeout bounds one attempt to read a stream, which may be long in logs of older versions.
const OpenTimeout = time.Minute

// The calls that a run makes besides its steps. They need nothing but our own stores.
func (f *Flow[S, P]) callOpen() *ActivityCall[OpenInput, OpenResult[S]] {
	return &ActivityCall[OpenInput, OpenResult[S]]{activity: f.Activity("Open"), Queue: f.Queue, Summary: "open the " + f.Name + "'s stream", Timeout: OpenTimeout}
}

func (f *Flow[S, P]) callRecord(summary string) *ActivityCall[StepInput[S], StepResult[S]] {
	return &ActivityCall[StepInput[S], StepResult[S]]{activity: f.Activity("Record"), Queue: f.Queue, Summary: summary}
}

func (f *Flow[S, P]) callList() *ActivityCall[ListInput[S], ListResult] {
	return &ActivityCall[ListInput[S], ListResult]{activity: f.Activity("List"), Queue: f.Queue, Summary: "list the " + f.Name}
}

func (f *Flow[S, P]) callLate() *ActivityCall[LateInput, LateResult] {
	return &ActivityCall[LateInput, LateResult]{activity: f.Activity("Late"), Queue: f.Queue, Summary: "record late events", Timeout: OpenTimeout}
}

func (f *Flow[S, P]) callRecover() *ActivityCall[RecoverInput, RecoverResult] {
	return &ActivityCall[RecoverInput, RecoverResult]{
		activity: f.Activity("Recover"), Queue: f.Queue, Summary: "take over what the run before was told", Timeout: recoverTimeout,
	}
}

// Task queues of this service.
const (
	// QueueOrders is for workflows and our own steps.
	QueueOrders = "orders"
	// QueuePayments is for the calls to payment providers.
	QueuePayments = "payments"
	// QueueNotifications is for messages to people.
	QueueNotifications = "notifications"
)
