package saga

import (
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/event"
)

// The methods of a run that the driver calls (see Run), and what only these need.

// Facts counts what signals have brought.
func (r *run[S, P]) Facts() int { return r.changes }

// Next asks Decide, once everything is read.
func (r *run[S, P]) Next(now time.Time) Action {
	if r.unread || r.again {
		return Action{Kind: Record}
	}
	return r.flow.Decide(r.state, r.facts, now, r.settings.Of)
}

// Record appends what Decide says, and everything that it says right after it, in one append.
func (r *run[S, P]) Record() error {
	if r.unread || r.again {
		if err := r.read(); err != nil {
			return err
		}
	}
	entries := r.flow.Decisions(r.state, r.facts, workflow.Now(r.ctx), r.settings.Of)
	if len(entries) == 0 {
		return nil
	}
	in := r.stepInput()
	in.Entries = entries
	result, err := UntilDone(r.ctx, r.flow.callRecord("record "+types(entries)), in, r.show)
	if err != nil {
		return err
	}
	r.facts.Stuck, r.facts.Answer = nil, nil
	r.fold(result)
	return nil
}

// stepInput is what every step gets.
func (r *run[S, P]) stepInput() StepInput[S] {
	r.heard.ask()
	return StepInput[S]{State: r.state, Settings: r.settings, Unpublished: r.outbox.beside(), Now: workflow.Now(r.ctx)}
}

// types lists the types of events, for people.
func types(entries []event.Entry) string {
	list := ""
	for i, e := range entries {
		if i > 0 {
			list += ", "
		}
		list += e.Type
	}
	return list
}

// Input is the saga as far as it is folded, with what the step needs besides.
func (r *run[S, P]) Input(a Action, inline bool) StepInput[S] {
	in := r.stepInput()
	in.Inline, in.Item = inline, a.Item
	row := r.flow.row(&r.state, a.Step)
	switch {
	case row == nil:
	case a.Kind == Lookup && row.Pending != nil:
		if f := r.facts.first(row.Pending.On); f != nil {
			fact := *f
			in.Fact, r.facts.Received = &fact, r.facts.without(fact)
		}
	case a.Kind == Do && r.facts.Later != nil && r.facts.Later.about(a):
		in.Hint, in.Tries, in.Last = r.facts.Later.Hint, r.facts.Later.Tries, r.facts.Later.Over(workflow.Now(r.ctx), r.settings.Of(row.Deadline))
	case a.Kind == Undo && row.Do == nil:
		in.Entries = []event.Entry{r.flow.entry(r.kit(), UndoSlot(row.Name), row.Undone[0], workflow.Now(r.ctx))}
	}
	return in
}

// Durable leaves out what only an inline step does. The background publishes from here on: every attempt would publish
// the same again.
func (r *run[S, P]) Durable(in StepInput[S]) StepInput[S] {
	in.Inline, in.Unpublished = false, nil
	return in
}

// Inline says how a call of a step runs inside a workflow task. A call that is too slow, as the last activity says, is not even tried: Temporal would keep
// the refusal in the history.
func (r *run[S, P]) Inline(step, activity string, remote bool) Inlining {
	switch {
	case !r.settings.remote(step, remote):
		return OwnInlining
	case slices.Contains(r.slow, activity):
		return Inlining{}
	}
	return RemoteInlining(r.settings.Inline)
}

// Interrupts reports whether a cancellation, a request to turn back or a person's decision has made an attempt pointless.
func (r *run[S, P]) Interrupts(a Action) bool {
	if r.kit().Decision == "" && a.Kind == Do && (len(r.facts.Cancellations) > 0 || r.facts.TurnBack != nil) {
		return true
	}
	_, decided := r.decided()
	return a.Kind != Lookup && decided
}

// decided returns what a person has decided that is to be followed now: no attempt and no pause is worth waiting for then.
func (r *run[S, P]) decided() (Resolution, bool) {
	return r.flow.Decided(&r.state, r.facts.Resolutions)
}

// isLookupForCompensation reports whether an action asks whether a forward step was done, because a person wants the saga to be compensated.
func (r *run[S, P]) isLookupForCompensation(a Action) bool {
	row := r.flow.row(&r.state, a.Step)
	return a.Kind == Lookup && row != nil && row.Kind == Forward
}

// Fold takes in what a step has answered.
func (r *run[S, P]) Fold(a Action, in StepInput[S], out StepResult[S]) error {
	r.facts.Stuck = nil
	row := r.flow.row(&r.state, a.Step)
	switch {
	case a.Kind == Do:
		before := r.facts.Later
		r.facts.Later, r.facts.Answer = nil, out.Answer
		if out.Later != nil {
			out.Later.Step, out.Later.Item = a.Step, a.Item
			r.facts.Later = out.Later.After(before, r.in.ID, workflow.Now(r.ctx), r.settings.Of(row.Deadline))
		}
	case a.Kind != Lookup || len(out.Tail) > 0 || out.State != nil:
	case r.isLookupForCompensation(a):
		if d, decided := r.decided(); decided {
			r.facts.NotDone = d.ID
		}
	case in.Fact == nil:
		r.facts.LookedUp = a.Step
	case !r.flow.Unconfirmed(&r.facts, r.state, a.Step, *in.Fact, workflow.Now(r.ctx), r.settings.Of):
		// The participant does not know of it. If the saga is compensated, the notification is late.
		r.keep(*in.Fact)
	}
	r.fold(out)
	return nil
}

// GiveUp keeps in mind that it is not known whether a step happened: Decide has it looked up, or compensated.
func (r *run[S, P]) GiveUp(a Action, in StepInput[S], cause error) {
	r.log.Warn("the outcome of a step stays unknown", "stream", r.flow.StreamOf(r.in.ID), "step", a.Step, "error", cause)
	switch {
	case r.isLookupForCompensation(a):
		if d, decided := r.decided(); decided {
			r.interventions.Refuse(d.ID, r.flow.row(&r.state, a.Step).unknownText()+": "+Describe(cause)+
				"; send the decision again later, with a different note")
		}
	case a.Kind != Lookup:
		r.facts.GivenUp = a.Step
	case in.Fact == nil:
		r.facts.LookedUp = a.Step
	case !workflow.Now(r.ctx).Before(r.flow.PendingUntil(r.state, a.Step, r.settings.Of)), !Retryable(cause):
		// Nothing is waited for any more. If the saga is compensated, the notification is late.
		r.keep(*in.Fact)
	case !r.facts.has(in.Fact.Type):
		// It will not come again: its message was acknowledged.
		r.facts.AddFact(*in.Fact)
	}
}

// keep remembers a notification that the participant did not confirm.
func (r *run[S, P]) keep(fact Fact) {
	kept := Facts{Received: r.unconfirmed}
	kept.AddFact(fact)
	r.unconfirmed = kept.Received
}

// Raise has Decide ask an operator to act.
func (r *run[S, P]) Raise(s Stuck) {
	if r.flow.NoAttention {
		return
	}
	r.facts.Stuck = &StuckCall{
		Step: s.Step, Undo: s.Kind == Undo, Error: Describe(s.Cause), Attempts: s.Attempts, NextTry: s.NextTry,
	}
	if row := r.flow.partsRow(); row != nil && row.Parts.follows(s.Step) {
		r.facts.Stuck.Item = s.Item
	}
}

// AttentionAfter is the setting, and shorter while the saga needs attention.
func (r *run[S, P]) AttentionAfter() time.Duration {
	if r.flow.NoAttention {
		return AttentionTimeout
	}
	if r.kit().Attention.Open {
		return min(SlowBatch, r.settings.Attention)
	}
	return r.settings.Attention
}

// Idle shows why the run stays where it is, and publishes what is left meanwhile.
func (r *run[S, P]) Idle(note string) {
	r.show(note)
	r.publishLater()
}

// Drain is what callers see of a run that is about to continue as new.
func (r *run[S, P]) Drain() *Drain { return &r.drain }

// MayContinueAsNew reports whether nothing would be lost by a new run. One that has ended closes instead.
func (r *run[S, P]) MayContinueAsNew() bool { return !r.kit().Ended }

// ContinueAsNew bounds the history of a run that waits for long.
func (r *run[S, P]) ContinueAsNew() error {
	if r.outbox.pending {
		// The next run continues publishing.
		r.outbox.cancel()
	}
	next := r.in
	facts := r.facts
	if r.kit().AnswersCancellation() {
		facts.Cancellations = nil
	}
	next.Resume = &Resume{
		Facts: facts, Seen: r.seen.list(), Published: r.outbox.confirmed, Unconfirmed: r.unconfirmed, Late: r.late, Recover: r.recovering,
	}
	return workflow.NewContinueAsNewError(r.ctx, r.flow.WorkflowType(), next)
}
