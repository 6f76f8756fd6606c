package sagatest

import (
	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/workflows/saga"
)

// effect is what a participant has in the slot of a step.
type effect string

const (
	nothing   effect = ""
	happened  effect = "done"
	refusal   effect = "refused"
	pending   effect = "pending"
	tryLater  effect = "later"
	fencedOff effect = "fenced"
)

// participant is what a step calls: a slot for its effect, and one for what settles it.
type participant struct {
	effect effect
	// held reports that the refusal has left something; begun that the step was asked for, and was not answered for good.
	held, begun bool
	// undone and final exclude each other.
	undone, final bool
	// down reports that calls get no answer.
	down  bool
	times int
	said  map[string]any
}

// left reports whether something of the step is there.
func (p *participant) left() bool {
	switch p.effect {
	case happened, pending:
		return !p.undone
	case refusal:
		return p.held && !p.undone
	}
	return p.begun && !p.undone
}

// ask has the participant of a step do what an attempt is about. Late reports that no run waits for it. It returns false for an error.
func (w *world[S, P]) ask(a attempt[S], late bool) (saga.Outcome, bool) {
	row := w.row(a.action.Step)
	switch {
	case a.action.Kind == saga.Do:
		return w.do(row, a.in, late)
	case a.action.Kind == saga.Lookup:
		return w.lookup(row, a.in), true
	case row.Do == nil:
		return saga.Undone(nil), true
	}
	return w.undo(row, a.in, late)
}

func (w *world[S, P]) do(row *saga.Step[S, P], in saga.StepInput[S], late bool) (saga.Outcome, bool) {
	p := w.participant(row.Name, in.Item)
	settles := w.participants[w.start.Settles[row.Name]]
	switch {
	case settles != nil && settles.undone && p.effect != happened && late:
		return saga.Outcome{}, false
	case settles != nil && settles.undone && p.effect != happened:
		w.fail("%s is done after %s is compensated", row.Name, w.start.Settles[row.Name])
	case p.undone:
		return saga.Fenced(), true
	case p.effect == nothing:
		w.happen(row, p, in, w.choose(row, in.Last))
	}
	if p.effect == happened && settles != nil {
		settles.final = true
	}
	return w.found(row, p, in)
}

// choose draws what a participant makes of the first attempt.
func (w *world[S, P]) choose(row *saga.Step[S, P], last bool) effect {
	if w.quiet {
		return happened
	}
	effects := []effect{happened, happened, happened, happened, happened, happened}
	if row.Refused != "" {
		effects = append(effects, refusal, refusal)
	}
	if row.Pending != nil {
		effects = append(effects, pending, pending)
	}
	if row.Kind == saga.Compensable && !last {
		effects = append(effects, tryLater)
	}
	return rapid.SampledFrom(effects).Draw(w.t, row.Name)
}

// happen gives the slot of a step its effect.
func (w *world[S, P]) happen(row *saga.Step[S, P], p *participant, in saga.StepInput[S], e effect) {
	w.note("    %s: %s", row.Name, e)
	p.begun = true
	if e == tryLater {
		return
	}
	p.effect = e
	switch e {
	case happened:
		p.times++
		w.say(row, p, in, row.Done)
	case refusal:
		w.say(row, p, in, row.Refused)
	case pending:
		w.say(row, p, in, row.Pending.Event)
	}
}

// say draws what a participant says, once for each type.
func (w *world[S, P]) say(row *saga.Step[S, P], p *participant, in saga.StepInput[S], eventType string) any {
	if said, ok := p.said[eventType]; ok {
		return said
	}
	data, held := w.start.answer(w.t, in.State, row.Name, eventType, eventType == row.Refused)
	p.said[eventType] = data
	if eventType == row.Refused {
		p.held = held
	}
	return data
}

// found is the outcome that a participant has in its slot.
func (w *world[S, P]) found(row *saga.Step[S, P], p *participant, in saga.StepInput[S]) (saga.Outcome, bool) {
	switch p.effect {
	case happened:
		return saga.Done(w.say(row, p, in, row.Done)), true
	case refusal:
		return saga.Refused(w.say(row, p, in, row.Refused)), true
	case pending:
		return saga.Pending(w.say(row, p, in, row.Pending.Event)), true
	}
	return saga.TryLater("again", "the participant"), true
}

func (w *world[S, P]) lookup(row *saga.Step[S, P], in saga.StepInput[S]) saga.Outcome {
	p := w.participants[row.Name]
	if p.effect == pending && !p.undone && (w.quiet || w.draw("settled", 2) == 1) {
		effects := []effect{happened}
		if row.Refused != "" {
			effects = append(effects, refusal)
		}
		w.happen(row, p, in, effects[w.draw("payer", len(effects))])
	}
	switch {
	case p.undone, p.effect == nothing, p.effect == pending && w.table.IsPending(&in.State, row.Name):
		return saga.NotFound()
	case row.Kind == saga.Forward && p.effect != happened:
		return saga.NotFound()
	}
	o, _ := w.found(row, p, in)
	return o
}

func (w *world[S, P]) undo(row *saga.Step[S, P], in saga.StepInput[S], late bool) (saga.Outcome, bool) {
	p := w.participants[row.Name]
	switch {
	case p.final && (late || w.table.Kit(&in.State).Ending.RequestID != ""):
		// A person had the saga compensated, and the step succeeded after all.
		return saga.Outcome{}, false
	case p.final:
		w.fail("%s is compensated after it became final", row.Name)
	}
	w.note("    %s: compensated", row.Name)
	p.undone = true
	if p.effect == nothing {
		p.effect = fencedOff
	}
	return saga.Undone(w.say(row, p, in, row.Undone[0])), true
}
