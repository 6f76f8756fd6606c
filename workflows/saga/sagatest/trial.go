package sagatest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// trial is a cell while it runs: a log and a world, and the runs of one saga.
type trial[S, P any] struct {
	plan  *plan[S, P]
	cell  cell
	log   *memlog.Log
	world World[S, P]
	// operations are the points of activities, by name.
	operations map[string]point

	mu sync.Mutex
	// runs are all runs, in their order. The last one gets the signals.
	runs []*execution[S, P]
	// trace are the points in the order in which they were reached first.
	trace    []point
	injected bool
	// called are the calls for a person.
	called map[call]bool
	// calls counts what the runs asked for, decisions how often a person has decided.
	calls, decisions int
	outages          []outage
	// mended reports that a person had everything work again.
	mended bool
	// arrivals are the events of the journey, comes when those come that are on their way.
	arrivals []Arrival
	comes    map[int]time.Time
	came     map[int]bool
	// cancelled reports that a cancellation was sent.
	cancelled bool
	// newest is the version up to which the story has the stream.
	newest    int64
	published []event.Record
	lateTypes []string
	listed    []saga.Status
	wrong     []error
	story     []line
	state     S
}

// beginning is when each saga begins. The test environment takes the end of an attempt for real time, and it is not over.
var beginning = time.Date(2100, 1, 2, 3, 4, 5, 0, time.UTC)

const (
	// maxCalls bounds what the runs of a saga ask for, maxRuns how many there are, maxDecisions how often a person decides.
	maxCalls     = 5000
	maxRuns      = 20
	maxDecisions = 5
	// maxWrong bounds how much is said to be wrong.
	maxWrong = 3
)

func newTrial[S, P any](t testing.TB, p *plan[S, P], c cell) *trial[S, P] {
	trial := &trial[S, P]{
		plan: p, cell: c, log: memlog.New(), world: p.NewWorld(t), operations: make(map[string]point),
		arrivals: c.journey.Arrivals, comes: make(map[int]time.Time), came: make(map[int]bool), called: make(map[call]bool),
	}
	for row := range p.Flow.Operated() {
		for _, kind := range []saga.ActionKind{saga.Do, saga.Lookup, saga.Undo} {
			if o := row.Operation(kind); o != nil && o.Run != nil {
				trial.operations[p.Flow.ActivityOf(row, kind)] = point{row: row.Name, op: string(kind)}
			}
		}
	}
	return trial
}

// limit is how long a saga may take, in workflow time.
func (p *plan[S, P]) limit() time.Duration {
	limit := p.Settings.Attention
	for _, d := range p.Flow.Deadlines() {
		limit += p.Settings.Of(d)
	}
	return 4*limit + 7*24*time.Hour
}

// longest is longer than any wait.
func (p *plan[S, P]) longest() time.Duration {
	longest := time.Duration(0)
	for _, d := range p.Settings.Waits {
		longest = max(longest, d)
	}
	return longest + moreThan
}

// locked runs a function that looks at what the runs share.
func (t *trial[S, P]) locked(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f()
}

// live runs the saga to its end, and checks what must hold. The error says what does not, and what happened.
func (t *trial[S, P]) live() error {
	if err := errors.Join(t.drive(), t.holds()); err != nil {
		return fmt.Errorf("%w\n%s", err, t.timeline())
	}
	return nil
}

// drive runs the saga to its end, and everything that continues after it.
func (t *trial[S, P]) drive() error {
	data, err := json.Marshal(t.cell.journey.Data)
	if err != nil {
		return fmt.Errorf("the data of the first event: %w", err)
	}
	first := saga.Input{ID: t.cell.journey.ID, Data: data, CorrelationID: "correlation", CausationID: "cause", CallerID: true}
	last, err := t.follow(first)
	for _, e := range t.all() {
		e.resume()
		<-e.over
		err = errors.Join(err, e.err)
	}
	if err != nil || t.failed() {
		return err
	}
	if t.cell.fault == faultDuplicate {
		t.note(nil, "the saga is started again")
		if last, err = t.follow(first); err != nil {
			return err
		}
	}
	if s := t.kit(); last.result.Status != s.Status {
		return fmt.Errorf("the run ends as %q, and the log says %q", last.result.Status, s.Status)
	}
	return nil
}

// follow runs a saga, and the runs that take over, until one has ended it.
func (t *trial[S, P]) follow(first saga.Input) (last *execution[S, P], err error) {
	in, at := first, beginning
	if runs := t.all(); len(runs) > 0 {
		at = runs[len(runs)-1].env.Now()
	}
	var again []sent
	for range maxRuns {
		e := t.start(in, at)
		for _, s := range again {
			e.env.RegisterDelayedCallback(func() { t.signal(s) }, time.Millisecond)
		}
		again = nil
		abandoned := false
		select {
		case <-e.abandoned:
			abandoned = true
		case <-e.over:
		}
		at = e.env.Now()
		if abandoned && t.cell.fault == faultPause {
			at = at.Add(t.plan.longest())
		}
		switch {
		case t.failed(), e.failed():
			return e, nil // drive reports why
		case abandoned && t.cell.fault == faultPause:
			// Nothing of the run is known any more: what it was sent is sent again.
			in, again = first, e.heard()
		case abandoned, e.crashed():
			in = first
			in.Resume = &saga.Resume{Recover: &saga.RecoverCursor{Run: fmt.Sprint("run ", e.n)}}
		case e.next != nil:
			in = *e.next
		default:
			return e, nil
		}
	}
	return nil, fmt.Errorf("the saga does not end: %d runs", maxRuns)
}

// all are the runs so far.
func (t *trial[S, P]) all() []*execution[S, P] {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.runs)
}

// failed reports whether something is wrong already.
func (t *trial[S, P]) failed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.wrong) > 0
}

// current is the run that gets the signals.
func (t *trial[S, P]) current() *execution[S, P] {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.runs[len(t.runs)-1]
}

// fail notes what is wrong.
func (t *trial[S, P]) fail(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.wrong) < maxWrong {
		t.wrong = append(t.wrong, fmt.Errorf(format, args...))
	}
}

// giveUp ends a saga that would never end.
func (t *trial[S, P]) giveUp(format string, args ...any) {
	if t.failed() {
		return
	}
	t.fail(format, args...)
	for _, e := range t.all() {
		e.cut("")
		e.resume()
	}
}

// records is what the stream has.
func (t *trial[S, P]) records() []event.Record {
	records, err := t.log.Read(context.Background(), t.plan.Flow.StreamOf(t.cell.journey.ID), 0, 0)
	if err != nil {
		t.fail("the log cannot be read: %w", err)
	}
	return records
}

// folded is what the stream comes to.
func (t *trial[S, P]) folded() S {
	var none S
	s, err := t.plan.Flow.Fold(none, t.records())
	if err != nil {
		t.giveUp("the stream cannot be folded: %w", err)
	}
	return s
}

// kit is the kit's part of what the stream comes to.
func (t *trial[S, P]) kit() *saga.Saga {
	s := t.folded()
	return t.plan.Flow.Kit(&s)
}

// reach is called at each point. The error is what the attempt fails with that is there.
func (t *trial[S, P]) reach(ctx context.Context, e *execution[S, P], at point) error {
	a := attemptOf(ctx)
	if !e.may(a) {
		return errGone
	}
	t.mu.Lock()
	if !slices.Contains(t.trace, at) {
		t.trace = append(t.trace, at)
	}
	t.calls++
	calls := t.calls
	away := t.unavailable(e, at)
	strikes := !t.injected && t.cell.fault != "" && at == t.cell.point
	t.injected = t.injected || strikes
	t.mu.Unlock()
	switch {
	case calls > maxCalls:
		t.giveUp("the saga does not end: it has reached %d points, and %s of %s again", calls, at.op, at.row)
		return errGone
	case strikes:
		t.note(e, "FAULT: %s, %s %s of %s", t.cell.fault, at.at, at.op, at.row)
		return t.inject(e, a)
	case away:
		t.note(e, "%s of %s fails, %s", at.op, at.row, at.at)
		return errUnavailable(at)
	}
	return nil
}

// unavailable reports whether attempts fail at a point.
func (t *trial[S, P]) unavailable(e *execution[S, P], at point) bool {
	s := t.cell.scenario
	if at.op == string(saga.Do) {
		switch {
		case s.stuck == at.row && at.at == before && !t.mended:
			return true
		case s.lost == at.row && at.at == done && !slices.ContainsFunc(t.outages, func(o outage) bool { return o.at == at }):
			t.outages = append(t.outages, outage{at, e.env.Now().Add(t.plan.outageAt(at))})
		}
	}
	return slices.ContainsFunc(t.outages, func(o outage) bool { return o.at == at && e.env.Now().Before(o.until) })
}
