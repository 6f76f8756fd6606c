package saga

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/event"
)

// ActionKind says what kind of thing is to be done.
type ActionKind string

// The kinds of actions.
const (
	// Record appends what the flow has decided to its stream.
	Record ActionKind = "record"
	// Do attempts a step.
	Do ActionKind = "do"
	// Undo compensates a step and fences it.
	Undo ActionKind = "undo"
	// Lookup asks for the result of a step.
	Lookup ActionKind = "lookup"
	// Wait waits for a fact, until Until.
	Wait ActionKind = "wait"
	// Ask is a Wait for an operator; For gives the reason.
	Ask ActionKind = "ask"
	// Close ends the run.
	Close ActionKind = "close"
)

// Action is what to do next.
type Action struct {
	Kind ActionKind
	Step string
	// Until ends a Wait; for people, For says what it waits for.
	Until time.Time
	For   string
	// Item is what the step is about, in flows that do a step for several things.
	Item string
	// Entry is what to append; for Record.
	Entry event.Entry
	data  any
}

// Append is the action of a flow with Next that appends an event. Data is marshalled; it is a JSON object, or nil.
func Append(slot, eventType string, data any) Action {
	return Action{Kind: Record, Entry: event.Entry{Key: slot, Event: event.Event{Type: eventType}}, data: data}
}

// String names the action for people.
func (a Action) String() string { return string(a.Kind) + " " + a.Step }

// Stuck describes a call that must succeed and does not.
type Stuck struct {
	Action
	// Cause is the last error.
	Cause error
	// Attempts counts the rounds of attempts so far: the first lasts until Run.Patience is over, later ones are short.
	Attempts int
	// NextTry says when it is retried.
	NextTry time.Time
}

// Run is a saga's own part of a run: it knows the log, the kit does not.
type Run[In, Out any] interface {
	// DrainSignals takes in every signal that has arrived. It is called before each decision and while the run waits. Facts
	// counts what was taken in: a wait ends when it moves.
	DrainSignals()
	Facts() int

	// Next decides what to do. It is pure: it looks at nothing but what was folded and taken in.
	Next(now time.Time) Action
	// Record appends what Next has decided, and folds it.
	Record() error

	// Input makes the input of an action's call. Inline reports that it runs inside a workflow task, where no signal can
	// be seen. Durable makes the input of the same call as a regular activity.
	Input(a Action, inline bool) In
	Durable(in In) In
	// Inline says how a call of a step runs inside a workflow task, if it may. Activity is its registered name; remote calls are those of an external
	// service.
	Inline(step, activity string, remote bool) Inlining
	// Interrupts reports whether a fact has made the attempt pointless. It may happen all the same.
	Interrupts(a Action) bool

	// Fold takes in what a call has answered.
	Fold(a Action, in In, out Out) error
	// GiveUp is called when a call with a deadline was unavailable past it, or failed permanently. It is unknown whether it
	// happened.
	GiveUp(a Action, in In, cause error)
	// Raise is called when a call that must succeed keeps failing.
	Raise(s Stuck)
	// AttentionAfter is how long a call that must succeed may be stuck before it is raised.
	AttentionAfter() time.Duration

	// Idle is called with a text for people before the run waits. The flow shows it, and may use the wait for other work, such as
	// publishing.
	Idle(note string)
	// Drain controls Updates when the run is about to continue as new.
	Drain() *Drain
	// MayContinueAsNew reports whether nothing would be lost by a new run. It must not depend on callers, nor on services.
	// ContinueAsNew is the error that makes one; every Update has returned then.
	MayContinueAsNew() bool
	ContinueAsNew() error
	// Close ends the run.
	Close() error
}

// Driver runs a flow.
type Driver[In, Out any] struct {
	ctx  workflow.Context
	def  *Definition[In, Out]
	flow Run[In, Out]
	// batches counts the rounds of attempts of a call that is stuck.
	batches int
}

// NewDriver returns a driver. The context is disconnected from the workflow's cancellation.
func NewDriver[In, Out any](ctx workflow.Context, d *Definition[In, Out], f Run[In, Out]) *Driver[In, Out] {
	disconnected, _ := workflow.NewDisconnectedContext(ctx)
	return &Driver[In, Out]{ctx: disconnected, def: d, flow: f}
}

// Run drives the flow to its end: decide, run one action, fold its result.
func (d *Driver[In, Out]) Run() error {
	for {
		d.flow.DrainSignals()
		a := d.flow.Next(workflow.Now(d.ctx))
		if drain := d.flow.Drain(); drain.Due(d.ctx) && d.flow.MayContinueAsNew() && drain.ready(d.ctx, a.Kind) {
			if err := drain.Release(d.ctx); err != nil {
				return err
			}
			d.flow.DrainSignals()
			return d.flow.ContinueAsNew()
		}
		var err error
		switch a.Kind {
		case Close:
			return d.flow.Close()
		case Record:
			err = d.flow.Record()
		case Wait:
			d.flow.Idle("waiting for " + a.For)
			err = Pause(d.ctx, d.flow, max(a.Until.Sub(workflow.Now(d.ctx)), time.Millisecond), "wait for "+a.For)
		default:
			err = d.step(a)
		}
		if err != nil {
			return err
		}
	}
}

// step runs an action's call and passes the result to the flow.
func (d *Driver[In, Out]) step(a Action) error {
	call := d.def.Find(a.Kind, a.Step)
	if call == nil {
		return fmt.Errorf("saga %q has no operation for %s", d.def.name, a)
	}
	var inline Inlining
	if !call.Once {
		inline = d.flow.Inline(a.Step, call.activity, call.Remote)
	}
	in := d.flow.Input(a, inline.Attempts > 0)
	out, fate, err := d.attempt(a, call, in, inline)
	switch {
	case fate == broken:
		return err
	case fate == interrupted:
		return nil
	case err == nil:
		d.batches = 0
		return d.flow.Fold(a, in, out)
	case call.Deadline != nil:
		d.flow.GiveUp(a, in, err)
		return nil
	}
	return d.raise(a, err)
}

// raise asks an operator to look at a call that must succeed, and waits before it is retried.
func (d *Driver[In, Out]) raise(a Action, cause error) error {
	if d.flow.Interrupts(a) {
		// Another run was faster: its decision comes first.
		return nil
	}
	d.batches++
	pause := slowRetry(d.batches, workflow.GetInfo(d.ctx).OriginalRunID)
	d.flow.Raise(Stuck{Action: a, Cause: cause, Attempts: d.batches, NextTry: workflow.Now(d.ctx).Add(pause)})
	d.flow.DrainSignals()
	// What comes while the attention is recorded ends the pause.
	facts := d.flow.Facts()
	if d.flow.Next(workflow.Now(d.ctx)).Kind == Record {
		if err := d.flow.Record(); err != nil {
			return err
		}
	}
	d.flow.Idle("stuck: " + Describe(cause))
	return pauseSince(d.ctx, d.flow, facts, pause, "retry: "+a.String())
}
