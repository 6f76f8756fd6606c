package sagatest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Cells is a flow as Matrix tests it.
type Cells[S, P any] struct {
	Flow *saga.Flow[S, P]
	// Settings are those of the worker. A wait that they do not have lasts an hour, and a step may be stuck for five minutes by default. Remote calls are
	// tried inside workflow tasks, as in production while services are fast, unless Inline is negative.
	Settings saga.Settings
	// NewWorld makes what is outside of the saga, once for each cell.
	NewWorld func(t testing.TB) World[S, P]
	// Journeys are ways that sagas go when nothing fails. Each operation of the table is on one of them, or follows from a cancellation, a
	// lost answer or the decision of a person on one of them.
	Journeys []Journey
	// Unreached are the operations, as row/operation, that no journey reaches; Matrix fails for each other one.
	Unreached []string
	// Once has each point struck on the first journey that comes by it, and not on the others; go test -short does it, too.
	Once bool
	// OneIn has Matrix run about one in so many of the cells with a fault; 0 and 1 run all. Draw says which: over all values below OneIn, every
	// cell is run once.
	OneIn, Draw int
	// After is the row after which points are struck, where other cells strike those before; "" has all struck.
	After string
	// Late records late events, as the field of activities.Flow does; by default they are collected and nothing follows from them.
	Late func(ctx context.Context, in saga.LateInput) (saga.LateResult, error)
}

// World is what is outside of a saga. It outlives every run and every process.
type World[S, P any] struct {
	// Participants are what step functions call. They are called from several goroutines.
	Participants P
	// Holds reports what is wrong with the world when the saga has ended in a state; nil when everything is as it must be. Optional.
	Holds func(s S) error
	// Audit is Holds for what is wrong between the world and the stream of the saga. Optional.
	Audit func(stream []event.Record) error
	// Before is called before an event of a journey comes: whatever the event tells has happened then. Optional. It may be called
	// more than once for the same event.
	Before func(a Arrival)
}

// Journey is one way that a saga goes when nothing fails.
type Journey struct {
	// Name is the first part of the names of its cells.
	Name string
	// ID is the saga's; default 42. Data is the data of its first event; default an empty object.
	ID   string
	Data any
	// Arrivals are the events from outside.
	Arrivals []Arrival
	// Decision is what a person decides about a part, once about each where it is allowed; default to skip.
	Decision saga.ResolutionAction
	// End is the final status of the saga; Reason is its reason, if it is checked.
	End    saga.Status
	Reason string
}

// Arrival is an event from outside that comes after a saga has begun to wait for it.
type Arrival struct {
	// Row is the row that waits: an Await row, or one whose outcome is pending.
	Row string
	// Signal is the registered name of the signal that brings the event, and Payload what it brings. The default is saga.SignalFact, whose
	// payload is a saga.Fact.
	Signal  string
	Payload any
	// Since is the type of an event of the saga, such as a decision about a part, without which it does not come; "" for none.
	Since string
	// After is how long the saga has waited then; default a second. Several events about parts come in the order of After.
	After time.Duration
}

const (
	defaultWait      = time.Hour
	defaultAttention = 5 * time.Minute
	defaultAfter     = time.Second
)

// Matrix strikes every step of the flow with every fault, and checks that each saga comes to a right end. It needs no server. Each cell is a
// parallel subtest that runs Flow.Run and the flow's activities in Temporal's test environment, in virtual time, over a log in memory:
//
//	journey/row/operation/mode/point/fault
//
// Operations are do, undo and lookup of the table, the records of the kit (the first event as accept/open, rows without Do, the pivot, events
// about parts, decisions about parts as decision/record, the end) and publishing. The mode says where the operation is struck: in the local activity inside the workflow task (inline), or in the regular
// activity that takes over (regular). The points are before the effect, after the effect and before its outcome is recorded (done), and
// after the outcome is recorded and before the workflow learns of it (recorded). The faults:
//
//   - error: the attempt fails once; its answer is lost when its effect has happened. outage: it fails until the deadline is over, or a person
//     is asked to act.
//   - crash: the run ends at the point, and a new one starts over the same log and world.
//   - late attempt: as crash, and what was under way goes on when the saga has ended. pause: as late attempt, and the new run starts when the
//     next deadlines are over, and knows nothing of the one before: events come again. second run: the run goes on beside the new one.
//   - cancellation: one arrives. overtaken: one arrives, and what was under way goes on when the saga has ended.
//   - duplicates: every event that came comes again, and the saga is started again after its end. strays: events of the journey come
//     before the saga waits for them, and others to which no row listens.
//   - continue: the run continues as new.
//
// Journeys are run without a fault first; their points are the cells. From them follow others: a saga that completes is cancelled at the last
// moment before the pivot, and what it waited for comes after that; the answers of a compensable step are lost until it is looked up; a
// operator compensates a saga whose reversible step is stuck. An operator decides a minute after attention is requested, when the fault is over: as the journey
// says, to retry, or to skip where nothing is tried.
//
// These must hold for each cell:
//
//   - The saga ends, with the status of its journey. It may fail where a deadline is over, and be cancelled where a cancellation came.
//   - The stream can be folded, no slot is taken twice, and nothing comes after the end. One pivot decides; outcomes are in the order of the
//     rows, those of forward steps and of parts after the pivot. A completed saga has every row done, nothing left to do about a part, and
//     nothing compensated. A saga that turned back has
//     a reason, and has compensated what may have happened, newest first. No forward step is called before the pivot, and no compensation
//     before the saga turns back.
//   - Events of a flow that is in the event catalog fit their schemas. Every event is published, in the order of the stream but for
//     repetitions. A cancellation has its answer.
//   - Holds and Audit of the world find nothing.
//
// Matrix logs how many cells there are. A cell that fails prints what happened, and the command that runs it alone.
func Matrix[S, P any](t *testing.T, c Cells[S, P]) {
	t.Helper()
	p, err := newPlan(t, c)
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Logf("%s: %d cells: %s", c.Flow.Name, len(p.cells), p.size())
	for _, cell := range p.cells {
		t.Run(cell.String(), func(t *testing.T) {
			t.Parallel()
			if err := p.run(t, cell); err != nil {
				t.Fatalf("%v\nrun it alone: go test -run '%s'", err, alone(t.Name()))
			}
		})
	}
}

// alone is the pattern that matches one test.
func alone(name string) string {
	parts := strings.Split(name, "/")
	for i := range parts {
		parts[i] = "^" + regexp.QuoteMeta(parts[i]) + "$"
	}
	return strings.Join(parts, "/")
}

// check reports what is missing, and fills in what is optional.
func (c *Cells[S, P]) check() error {
	if c.Flow == nil || c.NewWorld == nil || len(c.Journeys) == 0 {
		return fmt.Errorf("a matrix has Flow, NewWorld and Journeys")
	}
	if err := check(c.Flow); err != nil {
		return err
	}
	waits := maps.Clone(c.Settings.Waits)
	if waits == nil {
		waits = make(map[saga.Deadline]time.Duration)
	}
	for _, d := range c.Flow.Deadlines() {
		waits[d] = cmp.Or(waits[d], defaultWait)
	}
	c.Settings.Waits, c.Settings.Attention = waits, cmp.Or(c.Settings.Attention, defaultAttention)
	c.Settings.Inline = cmp.Or(c.Settings.Inline, Timeout)
	names := make(map[string]bool)
	c.Journeys = slices.Clone(c.Journeys)
	for i := range c.Journeys {
		j := &c.Journeys[i]
		j.ID = cmp.Or(j.ID, sagaID)
		if j.Data == nil {
			j.Data = struct{}{}
		}
		switch {
		case j.Name == "" || names[j.Name]:
			return fmt.Errorf("a journey has a name of its own, not %q", j.Name)
		case !j.End.Terminal():
			return fmt.Errorf("the journey %s has no end: %q is no status with which a saga ends", j.Name, j.End)
		case !event.ValidID(j.ID):
			return fmt.Errorf("the ID of the journey %s %s", j.Name, event.IDRule)
		}
		names[j.Name] = true
		j.Arrivals = slices.Clone(j.Arrivals)
		for n := range j.Arrivals {
			a := &j.Arrivals[n]
			a.Signal, a.After = cmp.Or(a.Signal, saga.SignalFact), cmp.Or(a.After, defaultAfter)
			if !slices.ContainsFunc(c.Flow.Steps, func(row saga.Step[S, P]) bool { return row.Name == a.Row && (row.Wait != nil || row.Pending != nil) }) {
				return fmt.Errorf("the journey %s: no row %q waits for an event", j.Name, a.Row)
			}
			if _, err := json.Marshal(a.Payload); err != nil {
				return fmt.Errorf("the journey %s: the payload of %s: %w", j.Name, a.Signal, err)
			}
		}
	}
	return nil
}
