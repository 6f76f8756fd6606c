// Package activities holds what Temporal runs for every flow with a table: open a stream, run a step function and record its outcome,
// record decisions, publish, list, take over from earlier runs. It knows no flow: what a flow does to the world is in its step functions.
//
// The interfaces of log, publisher and list are declared here; adapters in internal/ implement them, and internal/service wires the two. The
// package may import workflows/saga, event and internal/fault; it reaches no driver.
//
// # Contract
//
// Every activity may run any number of times, at once with itself, and late: effects have slots with derived
// keys, and outcomes have slots in the saga's stream. An activity that did its effect records the outcome
// before it answers; its answer is what the log has, even if another run wrote it.
//
// Errors are converted once, in ToTemporal: the type of the application error is the fault code.
package activities

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Log is the part of the event log that activities need.
type Log interface {
	event.StreamAppender
	// Head returns the newest record of a stream; ok is false when it is empty.
	Head(ctx context.Context, stream string) (record event.Record, ok bool, err error)
}

// Publisher puts records on the bus, in their order. It returns how many of them, from the first on, the broker
// has confirmed; all of them when the error is nil.
type Publisher interface {
	Publish(ctx context.Context, records []event.Record) (confirmed int, err error)
}

// List keeps the list of the sagas of a flow. Project never replaces a newer state by an older one.
type List[S any] interface {
	Project(ctx context.Context, s S) error
}

// Predecessors reads the facts that earlier runs of a saga received; see sagaclient.Client.
type Predecessors interface {
	Recover(ctx context.Context, in saga.RecoverInput) (saga.RecoverResult, error)
}

// Recorder is what the activities of all flows need. All fields are mandatory but Metrics.
type Recorder struct {
	Log       Log
	Publisher Publisher
	// Clock is the worker's clock. It measures how long a step has taken so far, and tells the time of events only for
	// inputs that do not have the workflow's time.
	Clock  func() time.Time
	Logger *slog.Logger
	// Metrics may be nil.
	Metrics Metrics
	// Gate decides which remote calls run inside workflow tasks. May be nil: then the settings of a run decide alone.
	Gate *Gate

	sent versions
	// counted has the streams whose beginning or end was counted. For sagas of endless flows, begun has the version at which they had something
	// to do, since the time of that in milliseconds.
	counted, begun, since versions
}

// Flow are the activities of a flow: those of the kit, and one for each step function of its table. All fields are mandatory, unless
// they say otherwise.
type Flow[S, P any] struct {
	*Recorder
	Table        *saga.Flow[S, P]
	Participants P
	// Settings are handed to runs when they open.
	Settings saga.Settings
	// List may be nil.
	List List[S]
	// Late records late events, and reports whether something follows from one of them. By default they are kept in a stream of their own, and
	// nothing follows: see KeepLate. Endless flows have none.
	Late func(ctx context.Context, in saga.LateInput) (saga.LateResult, error)
	// Predecessors may be nil, where no run takes over from another one.
	Predecessors Predecessors
}

// Workflow is the workflow type, and its function.
func (f *Flow[S, P]) Workflow() (name string, run any) { return f.Table.WorkflowType(), f.Table.Run }

// Check reports what is wrong with the flow's table, which of its settings are missing, and which of its participants, if they have a
// method Validate that says so.
func (f *Flow[S, P]) Check() error {
	err := f.Table.Check()
	for _, d := range f.Table.Deadlines() {
		if f.Settings.Of(d) <= 0 {
			err = errors.Join(err, fmt.Errorf("flow %q: setting %s is missing", f.Table.Name, d))
		}
	}
	if len(f.Table.Steps) > 0 && !f.Table.NoAttention && f.Settings.Attention <= 0 {
		err = errors.Join(err, fmt.Errorf("flow %q: setting Attention is missing; without it, a stuck step never needs attention", f.Table.Name))
	}
	if p, ok := any(f.Participants).(interface{ Validate() error }); ok {
		err = errors.Join(err, p.Validate())
	}
	return err
}

// Activities are the activities by their registered names.
func (f *Flow[S, P]) Activities() map[string]any {
	all := map[string]any{
		f.Table.Activity("Open"):   f.Open,
		f.Table.Activity("Record"): f.Record,
	}
	if !f.Table.Private {
		all[f.Table.Activity("Publish")] = f.Publish
	}
	if !f.Table.Endless {
		all[f.Table.Activity("List")], all[f.Table.Activity("Late")], all[f.Table.Activity("Recover")] = f.list, f.late, f.Recover
	}
	for row := range f.Table.Operated() {
		for _, kind := range []saga.ActionKind{saga.Do, saga.Lookup, saga.Undo} {
			if o := row.Operation(kind); o != nil && o.Run != nil {
				all[f.Table.ActivityOf(row, kind)] = f.Step(row.Name, kind)
			}
		}
	}
	return all
}
