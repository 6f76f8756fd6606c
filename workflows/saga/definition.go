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
	// Remote marks calls to an external service: how they run inside a workflow task depends on how fast it is, see Inlining.
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
	// Do attempts the step. A step without Do is recorded by the flow, or waited for.
	Do *ActivityCall[In, Out]
	// Lookup asks for the result of an attempt whose outcome is unknown, or for what a decision depends on.
	// Optional.
	Lookup *ActivityCall[In, Out]
	// Undo compensates the step, whether or not it happened, and fences it.
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

// Definition is a saga as a driver needs it: what it calls for each action.
type Definition[In, Out any] struct {
	name  string
	calls map[callKey]*ActivityCall[In, Out]
}

type callKey struct {
	kind ActionKind
	step string
}

// Define returns the definition of a saga of steps. Flow.Check validates the table before a worker starts.
func Define[In, Out any](name string, steps ...Calls[In, Out]) *Definition[In, Out] {
	d := &Definition[In, Out]{name: name, calls: make(map[callKey]*ActivityCall[In, Out])}
	for _, s := range steps {
		for _, kind := range []ActionKind{Do, Lookup, Undo} {
			if call := s.call(kind); call != nil {
				d.calls[callKey{kind, s.Name}] = call
			}
		}
	}
	return d
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
	c.require(value != "", "a step must have a %s", label)
	c.require(!c.seen[key] || value == "", "the %s %q is used twice or reserved", label, value)
	c.seen = add(c.seen, key)
}

// Find returns the call for an action; nil when the step has none of that kind.
func (d *Definition[In, Out]) Find(kind ActionKind, step string) *ActivityCall[In, Out] {
	return d.calls[callKey{kind, step}]
}

// calls are the calls of the table's rows that apply to a saga.
func (f *Flow[S, P]) calls(s *S) *Definition[StepInput[S], StepResult[S]] {
	var steps []Calls[StepInput[S], StepResult[S]]
	for row := range f.Applicable(s) {
		step := Calls[StepInput[S], StepResult[S]]{Name: row.Name, Do: f.call(row, Do), Lookup: f.call(row, Lookup), Undo: f.call(row, Undo)}
		if row.Do != nil && row.Deadline != "" {
			step.Do.Deadline = func(in StepInput[S]) time.Duration { return in.Settings.Of(row.Deadline) }
		}
		steps = append(steps, step)
		if row.Parts != nil && row.Parts.Follow != nil {
			steps = append(steps, Calls[StepInput[S], StepResult[S]]{Name: row.Parts.Follow.Name, Do: f.call(row.Parts.Follow, Do)})
		}
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

// RemoteCall returns the registered name of an operation of a step, and whether its calls are those of an external service that may be slow.
func (f *Flow[S, P]) RemoteCall(s *S, settings Settings, step string, kind ActionKind) (activity string, remote bool) {
	row := f.row(s, step)
	if row == nil {
		return "", false
	}
	o := row.Operation(kind)
	if o == nil || o.Once || !settings.remote(step, o.Remote) {
		return "", false
	}
	return f.ActivityOf(row, kind), true
}

// Activities are the registered names of the step functions.
func (f *Flow[S, P]) Activities() []string {
	var names []string
	for row := range f.Operated() {
		for _, kind := range []ActionKind{Do, Lookup, Undo} {
			if o := row.Operation(kind); o != nil && o.Run != nil {
				names = append(names, f.ActivityOf(row, kind))
			}
		}
	}
	return names
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
		activity: f.Activity("Recover"), Queue: f.Queue, Summary: "take over the signals of the previous run", Timeout: recoverTimeout,
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
