package sagatest

import (
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// attempt is one attempt of a call, or of an append: it may come late, and again.
type attempt[S any] struct {
	action saga.Action
	in     saga.StepInput[S]
}

// maxLate bounds how many attempts may come late.
const maxLate = 8

// attemptOutcome is the outcome of an attempt.
type attemptOutcome int

const (
	answered attemptOutcome = iota
	// lost: it has not happened when the run gives it up. unrecorded: it has happened, and is not in the log. unanswered: it has happened,
	// and is in the log, but the run does not receive it.
	lost
	unrecorded
	unanswered
	attemptOutcomes
)

// perform attempts a call.
func (w *world[S, P]) perform(a saga.Action) {
	at := attempt[S]{action: a, in: w.input(a)}
	f := w.attemptOutcome(a)
	tail, later, ok := w.attempt(at, f)
	switch {
	case f != answered && w.interrupted(a):
	case f != answered && w.draw("crash", 3) == 2:
		w.note("    another run takes over")
		w.continueAsNewRun()
	case f != answered || !ok:
		w.note("    no answer")
		w.failed(at)
	default:
		w.answered(at, tail, later)
	}
}

// attemptOutcome draws the outcome of an attempt.
func (w *world[S, P]) attemptOutcome(a saga.Action) attemptOutcome {
	p := w.participants[a.Step]
	if a.Item != "" {
		p = w.participant(a.Step, a.Item)
	}
	switch {
	case w.quiet:
		return answered
	case p != nil && p.down:
		p.down = w.draw("up", 4) < 3
		return lost
	case w.draw("lost", 4) < 3:
		return answered
	case p != nil && w.draw("down", 2) == 1:
		p.down = true
	}
	return lost + attemptOutcome(w.draw("fate", int(attemptOutcomes-lost)))
}

// attempt makes an attempt, with the drawn outcome.
func (w *world[S, P]) attempt(at attempt[S], f attemptOutcome) (tail []event.Record, later *saga.Later, ok bool) {
	if f != answered {
		w.late = append(w.late[max(0, len(w.late)+1-maxLate):], at)
	}
	switch f {
	case lost:
		return nil, nil, false
	case unrecorded:
		if at.action.Kind != saga.Record {
			_, _ = w.ask(at, false)
		}
		return nil, nil, false
	}
	return w.execute(at, false)
}

// interrupted has a cancellation come while a compensable step is attempted: the run does not wait for the answer.
func (w *world[S, P]) interrupted(a saga.Action) bool {
	if a.Kind != saga.Do || w.decision(w.known()) != "" || w.draw("interrupted", 2) == 0 {
		return false
	}
	w.cancel()
	return true
}

// input is what a call gets, and what a fact leaves.
func (w *world[S, P]) input(a saga.Action) saga.StepInput[S] {
	in := saga.StepInput[S]{State: w.run.state, Settings: w.settings, Now: w.now, Inline: w.draw("inline", 2) == 0, Item: a.Item}
	row, facts := w.row(a.Step), &w.run.facts
	switch {
	case a.Kind == saga.Lookup && row.Pending != nil:
		for _, t := range row.Pending.On {
			if f := heard(facts, t); f != nil && in.Fact == nil {
				fact := *f
				in.Fact = &fact
				forget(facts, t)
			}
		}
	case a.Kind == saga.Do && facts.Later != nil && facts.Later.Step == a.Step:
		in.Hint, in.Last = facts.Later.Hint, facts.Later.Over(w.now, w.settings.Of(row.Deadline))
	}
	return in
}

// heard returns the received fact of a type; nil if there is none.
func heard(facts *saga.Facts, eventType string) *saga.Fact {
	for i := range facts.Received {
		if facts.Received[i].Type == eventType {
			return &facts.Received[i]
		}
	}
	return nil
}

// forget takes the fact of a type away.
func forget(facts *saga.Facts, eventType string) {
	var rest []saga.Fact
	for _, f := range facts.Received {
		if f.Type != eventType {
			rest = append(rest, f)
		}
	}
	facts.Received = rest
}

// execute does an effect and records its outcome, as the activity of a step does. The tail is what the log has after the input's state.
// Late reports that no run waits for the attempt.
func (w *world[S, P]) execute(at attempt[S], late bool) (tail []event.Record, later *saga.Later, ok bool) {
	k := w.table.Kit(&at.in.State)
	if k.Attention.Open && !late && int64(len(w.records)) > k.Head.Version {
		return w.records[k.Head.Version:], nil, true
	}
	entries := at.in.Entries
	if at.action.Kind != saga.Record {
		outcome, ok := w.ask(at, late)
		if !ok || !outcome.Definite() {
			return nil, outcome.Later(), ok
		}
		var err error
		if entries, err = w.flow.Entries(at.in, at.action.Step, outcome, w.now); err != nil {
			w.fail("the outcome of %s: %v", at.action, err)
		}
		if len(entries) == 0 {
			tail = w.records[k.Head.Version:]
			return tail, nil, len(tail) > 0
		}
	}
	entries, err := w.flow.WithDecisions(at.in, entries, w.now)
	if err != nil {
		w.fail("what follows from %s: %v", at.action, err)
	}
	return w.append(k.Head.Version, entries), nil, true
}

// decide records what was decided, and what follows from it.
func (w *world[S, P]) decide(a saga.Action) {
	entries := w.flow.Decisions(w.run.state, w.run.facts, w.now, w.settings.Of)
	if len(entries) == 0 || entries[0].ID != a.Entry.ID || entries[0].Type != a.Entry.Type {
		w.fail("Decide says %s, and Decisions %v", a.Entry.Type, entries)
	}
	w.checkCancelled(entries)
	at := attempt[S]{action: a, in: saga.StepInput[S]{State: w.run.state, Settings: w.settings, Now: w.now, Entries: entries}}
	if tail, _, ok := w.attempt(at, w.attemptOutcome(a)); ok {
		w.run.facts.Stuck = nil
		w.take(tail)
		return
	}
	w.note("    another run takes over")
	w.continueAsNewRun()
}

// answered takes in what a call has answered.
func (w *world[S, P]) answered(at attempt[S], tail []event.Record, later *saga.Later) {
	facts, row, a := &w.run.facts, w.row(at.action.Step), at.action
	facts.Stuck = nil
	switch {
	case a.Kind == saga.Do:
		before := facts.Later
		facts.Later = nil
		if later != nil {
			later.Step = a.Step
			facts.Later = later.After(before, sagaID, w.now, w.settings.Of(row.Deadline))
		}
	case a.Kind != saga.Lookup || len(tail) > 0:
	case row.Kind == saga.Forward:
		if d, decided := w.flow.Decided(&w.run.state, facts.Resolutions); decided {
			facts.NotDone = d.ID
		}
	case at.in.Fact == nil:
		facts.LookedUp = a.Step
	default:
		w.flow.Unconfirmed(facts, w.run.state, a.Step, *at.in.Fact, w.now, w.settings.Of)
	}
	w.take(tail)
}

// failed takes in that a call has no answer: a step that can be compensated is given up, and a person is asked about one that must
// succeed.
func (w *world[S, P]) failed(at attempt[S]) {
	facts, row, a := &w.run.facts, w.row(at.action.Step), at.action
	d, decided := w.flow.Decided(&w.run.state, facts.Resolutions)
	switch {
	case a.Kind == saga.Lookup && row.Kind == saga.Forward:
		w.withdraw(d.ID)
	case a.Kind == saga.Lookup && at.in.Fact == nil:
		facts.LookedUp = a.Step
	case a.Kind == saga.Lookup:
		due := !w.now.Before(w.table.PendingUntil(w.run.state, a.Step, w.settings.Of))
		if !due && heard(facts, at.in.Fact.Type) == nil {
			facts.AddFact(*at.in.Fact)
		}
	case a.Kind == saga.Do && row.Kind == saga.Compensable:
		facts.GivenUp = a.Step
	case !decided:
		w.run.rounds++
		facts.Stuck = &saga.StuckCall{
			Step: a.Step, Undo: a.Kind == saga.Undo, Error: "no answer", Attempts: w.run.rounds, NextTry: w.now.Add(time.Minute), Item: a.Item,
		}
		if w.quiet {
			w.operator(settling)
		}
	}
}
