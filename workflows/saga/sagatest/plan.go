package sagatest

import (
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/ordersaga/ordersaga/workflows/saga"
)

// mode is how an operation comes through.
type mode string

const (
	inline  mode = "inline"
	regular mode = "regular"
)

// moment is when an operation is struck.
type moment string

const (
	before   moment = "before"
	done     moment = "done"
	recorded moment = "recorded"
)

// noFault is the name of a cell without a fault.
const noFault = "no fault"

// Operations that are not those of a row, and the names in the place of rows.
const (
	opRecord  = "record"
	opOpen    = "open"
	opPublish = "publish"

	rowTurn      = "turn"
	rowCancel    = "cancel"
	rowAttention = "attention"
	rowDecision  = "decision"
	rowEvents    = "events"
)

// point is where a fault strikes.
type point struct {
	row, op string
	at      moment
}

// scenario is what happens on a journey besides the fault.
type scenario struct {
	// cancelled has the saga cancelled at the last moment before the pivot.
	cancelled bool
	// lost is the row whose answers are lost until it is looked up, stuck the forward row that does not come through, so that a person has
	// the saga compensated.
	lost, stuck string
	// unrelated is the row that waits in vain: what it waits for comes when the saga has turned back.
	unrelated string
}

func (s scenario) String() string {
	switch {
	case s.unrelated != "":
		return ", " + s.unrelated + " too late"
	case s.cancelled:
		return ", cancelled"
	case s.lost != "":
		return ", " + s.lost + " unknown"
	case s.stuck != "":
		return ", " + s.stuck + " stuck"
	}
	return ""
}

// cell is a fault at a point of a journey.
type cell struct {
	journey  *Journey
	scenario scenario
	mode     mode
	point    point
	fault    faultKind
	// ends are the statuses with which the saga may end.
	ends []saga.Status
	// err is what was wrong without a fault.
	err error
}

func (c cell) String() string {
	if c.fault == "" {
		return fmt.Sprintf("%s%s/%s/%s", c.journey.Name, c.scenario, noFault, c.mode)
	}
	return fmt.Sprintf("%s%s/%s/%s/%s/%s/%s", c.journey.Name, c.scenario, c.point.row, c.point.op, c.mode, c.point.at, c.fault)
}

// plan are the cells of a flow.
type plan[S, P any] struct {
	Cells[S, P]
	cells []cell
	// reached are the points of the journeys, by row/operation.
	reached map[string]bool
	// injected are the points that have cells.
	injected map[modal]bool
	points   int
}

// modal is a point in a mode.
type modal struct {
	mode  mode
	point point
}

// newPlan runs every journey without a fault, and makes the cells of its points. What is wrong without a fault is a cell, too.
func newPlan[S, P any](t testing.TB, c Cells[S, P]) (*plan[S, P], error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	p := &plan[S, P]{Cells: c, reached: make(map[string]bool), injected: make(map[modal]bool)}
	for i := range p.Journeys {
		p.journey(t, &p.Journeys[i])
	}
	if slices.ContainsFunc(p.cells, func(c cell) bool { return c.err != nil }) {
		return p, nil
	}
	err := p.unreached()
	return p, err
}

// journey makes the cells of a journey and of what follows from it.
func (p *plan[S, P]) journey(t testing.TB, j *Journey) {
	var known []point
	for _, m := range []mode{inline, regular} {
		known = append(known, p.add(t, cell{journey: j, mode: m, ends: []saga.Status{j.End}}, nil)...)
	}
	for _, s := range p.scenarios(j, known) {
		for _, m := range []mode{inline, regular} {
			ends := []saga.Status{saga.Cancelled}
			if !s.cancelled {
				ends = []saga.Status{j.End, saga.Failed}
			}
			p.add(t, cell{journey: j, scenario: s, mode: m, ends: ends}, known)
		}
	}
}

// scenarios are what follows from a journey that has come by these points. Each lookup is looked at once.
func (p *plan[S, P]) scenarios(j *Journey, known []point) []scenario {
	var list []scenario
	if j.End == saga.Completed && slices.ContainsFunc(p.Flow.Steps, func(row saga.Step[S, P]) bool { return row.Kind == saga.Compensable }) {
		list = append(list, scenario{cancelled: true})
	}
	for i := range p.Flow.Steps {
		row := &p.Flow.Steps[i]
		if row.Wait != nil && row.Wait.AfterCancel != nil && slices.Contains(known, point{row.Name, opRecord, before}) {
			list = append(list, scenario{cancelled: true, unrelated: row.Name})
		}
		if row.Lookup == nil || !slices.Contains(known, point{row.Name, string(saga.Do), before}) {
			continue
		}
		switch {
		case row.Kind == saga.Compensable && !p.reached[row.Name+"/"+string(saga.Lookup)]:
			list = append(list, scenario{lost: row.Name})
		case row.Reversible != nil && j.End == saga.Completed:
			list = append(list, scenario{stuck: row.Name})
		}
	}
	return list
}

// add runs a cell without its fault, makes the cells of the points that it comes by, but those that are known, and returns the points.
func (p *plan[S, P]) add(t testing.TB, c cell, known []point) []point {
	trial := newTrial(t, p, c)
	c.err = trial.live()
	p.cells = append(p.cells, c)
	if c.err != nil {
		return nil
	}
	first := p.first(trial.trace)
	for n, at := range trial.trace {
		p.reached[at.row+"/"+at.op] = true
		if n < first || slices.Contains(known, at) || (p.Once || testing.Short()) && p.injected[modal{c.mode, at}] {
			continue
		}
		p.injected[modal{c.mode, at}] = true
		p.points++
		for _, f := range faults {
			c := trial.cell
			c.point, c.fault = at, f
			if p.applies(c) && p.drawn(c) {
				c.ends = append(slices.Clone(c.ends), p.besides(c)...)
				p.cells = append(p.cells, c)
			}
		}
	}
	return trial.trace
}

// drawn reports whether a cell with a fault is one of those that are run. It depends on the name only: the points of a journey may come in
// another order each time.
func (p *plan[S, P]) drawn(c cell) bool {
	if p.OneIn <= 1 {
		return true
	}
	h := fnv.New32a()
	_, _ = io.WriteString(h, c.String())
	return (uint64(h.Sum32())+uint64(p.Draw))%uint64(p.OneIn) == 0
}

// first is the index of the first point that is struck.
func (p *plan[S, P]) first(trace []point) int {
	if p.After == "" {
		return 0
	}
	first := len(trace)
	for n, at := range trace {
		if at.row == p.After {
			first = n + 1
		}
	}
	return first
}

// decided is the type of the event of a decision about a part.
func (p *plan[S, P]) decided(action saga.ResolutionAction) string {
	if row := p.parts(); row != nil && row.Parts.Decisions[action] != "" {
		return row.Parts.Decisions[action]
	}
	return saga.Resolution{Action: action}.EventType(prefixOf(p.Flow))
}

// unreached reports the operations that no journey reaches.
func (p *plan[S, P]) unreached() error {
	var missing []error
	for row := range p.Flow.Operated() {
		for _, kind := range []saga.ActionKind{saga.Do, saga.Lookup, saga.Undo} {
			name := row.Name + "/" + string(kind)
			if row.Operation(kind) != nil && !p.reached[name] && !slices.Contains(p.Unreached, name) {
				missing = append(missing, fmt.Errorf("no journey reaches %s: add one, or name it in Unreached", name))
			}
		}
	}
	return errors.Join(missing...)
}

// size says how many cells there are, by fault.
func (p *plan[S, P]) size() string {
	var parts []string
	for _, f := range append([]faultKind{""}, faults...) {
		n := 0
		for _, c := range p.cells {
			if c.fault == f {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, cmp.Or(f, noFault)))
		}
	}
	return fmt.Sprintf("%d points of %d journeys; %s", p.points, len(p.Journeys), strings.Join(parts, ", "))
}

// run runs a cell. The error says what does not hold, and what happened.
func (p *plan[S, P]) run(t testing.TB, c cell) error {
	if c.fault == "" {
		return c.err
	}
	return newTrial(t, p, c).live()
}
