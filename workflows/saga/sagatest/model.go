package sagatest

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

const (
	// rounds is how often rapid runs its checks, which are 100 by default.
	rounds = 20
	// maxTrouble is how many steps of a saga go wrong at most. Before and after them everything works.
	maxTrouble = 80
	// quietSteps bounds the rest of a saga, for each row of the table.
	quietSteps = 12
)

// Model runs random sagas of the flow, 20 for each check of rapid: 2,000 by default, -rapid.checks changes it. It fails the test with
// the first saga for which something does not hold.
//
// The log, the clock and the participants are fakes, Decide, Decisions, Entries and Fold are the flow's. Participants have slots: an
// effect happens once a key, and a compensation fences what comes later. Each call may be refused, be pending, get stuck, or lose its
// answer before or after its effect and its append; it may come late, and again. A run may end at any point, and another one takes over
// with the log and no facts. Facts of all types that rows listen to, cancellations, decisions of people and jumps of the clock come at
// any time. That lasts for 80 steps at most. Before it and after it everything works, facts come or deadlines pass, and a person decides
// about what is open.
//
// These must hold:
//
//   - The saga ends, and nothing is recorded or done after its end. Each slot is taken once.
//   - One pivot decides. Steps are attempted in the order of the rows, forward steps after the pivot; nothing is attempted after its
//     compensation.
//   - A completed saga has every step done, or settled by a person where it is a forward step or a wait, and nothing compensated.
//   - A saga that turned back has a reason, and has compensated exactly what may have happened, newest first, or a person has settled it.
//     It does not turn back from a wait whose events stray.
//   - Effects agree with the log: what it says is done was done once, and nothing is left of a saga that turned back.
//
// A test whose flow is wrong in itself, as Check reports, fails at once. Hooks that are not pure show as flaky tests of rapid: see
// Definition.
func Model[S, P any](t testing.TB, flow *saga.Flow[S, P], start Start[S]) {
	t.Helper()
	model(t, flow, flow, start)
}

// model is Model for a table, and what decides by it.
func model[S, P any](t testing.TB, table *saga.Flow[S, P], flow decider[S], start Start[S]) {
	t.Helper()
	if err := check(table); err != nil {
		t.Fatalf("%v", err)
	}
	for range rounds {
		rapid.Check(t, func(t *rapid.T) { newWorld(t, table, flow, start).live() })
	}
}

// live runs the saga to its end.
func (w *world[S, P]) live() {
	rows := len(w.table.Steps)
	quiet := w.draw("quiet", rows)
	trouble := quiet + rapid.IntRange(0, maxTrouble).Draw(w.t, "trouble")
	for n := range trouble + quietSteps*(rows+2) {
		w.quiet = n < quiet || n >= trouble
		if !w.quiet {
			w.interfere()
		}
		if w.step() {
			w.over()
			return
		}
	}
	w.fail("the saga does not end")
}

// step decides, and does one thing, as the driver does.
func (w *world[S, P]) step() (closed bool) {
	w.forget()
	a := w.flow.Decide(w.run.state, w.run.facts, w.now, w.settings.Of)
	w.note("%s", a)
	w.checkAction(a)
	switch a.Kind {
	case saga.Close:
		return true
	case saga.Record:
		w.decide(a)
	case saga.Wait:
		w.wait(a)
	default:
		w.perform(a)
	}
	return false
}

// over lets everything come that is still on its way, and checks what must hold.
func (w *world[S, P]) over() {
	end := len(w.records)
	w.note("over")
	for _, late := range w.late {
		w.execute(late, true)
	}
	w.quiet = false
	w.run.facts = w.everything()
	if a := w.flow.Decide(w.run.state, w.run.facts, w.now, w.settings.Of); a.Kind != saga.Close {
		w.fail("%s after the end", a)
	}
	if len(w.records) != end {
		w.fail("something is recorded after the end")
	}
	w.checkEnd()
}

// wait: nothing happens, or the time passes. When everything works, what is waited for comes, or a person decides.
func (w *world[S, P]) wait(a saga.Action) {
	if !w.quiet {
		if w.draw("pass", 2) == 1 {
			w.now = a.Until
		}
		return
	}
	if w.operator(settling) {
		return
	}
	types := w.awaited(a.Step)
	if len(types) > 0 && w.draw("comes", 2) == 0 {
		w.receive(types[w.draw("which", len(types))])
	}
	w.now = a.Until
}

// awaited are the types of the events that end a wait of a row.
func (w *world[S, P]) awaited(step string) []string {
	switch row := w.row(step); {
	case row == nil:
	case row.Wait != nil:
		return row.Wait.On
	case row.Pending != nil:
		return row.Pending.On
	}
	return nil
}

// operator decides about what is open, if that allows one of the actions, and reports whether it does.
func (w *world[S, P]) operator(actions []saga.ResolutionAction) bool {
	_, allowed := w.flow.AttentionKind(&w.run.state)
	allowed = slices.DeleteFunc(slices.Clone(allowed), func(a saga.ResolutionAction) bool { return !slices.Contains(actions, a) })
	if len(allowed) == 0 {
		return false
	}
	w.resolve(allowed[w.draw("decision", len(allowed))], "looked at it", "T-7")
	return true
}

// settling are the decisions after which nothing is open.
var settling = []saga.ResolutionAction{saga.Skip, saga.Substitute}

// timeline are the types of the records.
func timeline(records []event.Record) []string {
	types := make([]string, len(records))
	for i, r := range records {
		types[i] = r.Key + ": " + r.Type
	}
	return types
}
