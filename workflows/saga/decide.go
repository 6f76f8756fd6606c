package saga

import (
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/event"
)

// Decide says what a saga does next. It is pure: the same state, facts and time give the same action, in the workflow, in a
// second run of it, and in a test.
//
// The order of the checks is the order of precedence, for every flow. What the log has recorded comes before what a signal
// says, and what is decided is never decided again.
func (f *Flow[S, P]) Decide(s S, facts Facts, now time.Time, timing Timing) Action {
	return f.decide(&s, &facts, now, timing)
}

func (f *Flow[S, P]) decide(s *S, facts *Facts, now time.Time, timing Timing) Action {
	n := &next[S, P]{flow: f, s: s, k: kitOf(s), facts: facts, now: now, timing: timing}
	k := n.k
	switch {
	case k.Ended, f.Endless && !k.Opened():
		return Action{Kind: Close}
	case facts.Answer != nil && facts.Answer.After == k.Head.Version:
		return Action{Kind: Record, Entry: facts.Answer.Entry}
	case k.Attention.Open && n.attentionIsOver(k.Attention.Step, k.Attention.Undo):
		return n.attentionResolved()
	}
	if r, open := f.Decided(s, facts.Resolutions); open {
		return n.resolve(r)
	}
	if facts.Stuck != nil && !n.isAttentionFor(*facts.Stuck) && !n.settled(facts.Stuck.Step, facts.Stuck.Undo) {
		return n.attention(*facts.Stuck)
	}
	if c, late := n.tooLate(); late {
		return n.refuse(c)
	}
	switch {
	case f.Next != nil:
		return n.loop()
	case f.Endless, k.Decision == GoForward:
		return n.forward()
	case k.Decision == GoBack:
		return n.back()
	}
	return n.undecided()
}

// maxDecisions bounds what is appended together, far below what one append takes.
const maxDecisions = 50

// Decisions returns the events that Decide wants recorded one after the other, from s on, as many as one append takes.
func (f *Flow[S, P]) Decisions(s S, facts Facts, now time.Time, timing Timing) []event.Entry {
	var entries []event.Entry
	for len(entries) < maxDecisions {
		a := f.decide(&s, &facts, now, timing)
		if a.Kind != Record {
			return entries
		}
		entries = append(entries, a.Entry)
		k := kitOf(&s)
		after, err := f.Fold(s, []event.Record{{Stream: f.StreamOf(k.ID), Version: k.Head.Version + 1, Entry: a.Entry}})
		if err != nil {
			return entries
		}
		s = after
	}
	return entries
}

// next is one decision: the flow, the state, the facts, the time.
type next[S, P any] struct {
	flow   *Flow[S, P]
	s      *S
	k      *Saga
	facts  *Facts
	now    time.Time
	timing Timing
}

// Unavailable is the reason of a saga that failed because a step was unavailable past its deadline.
func Unavailable(step string) string { return step + "_unavailable" }

// due reports whether a deadline has passed. Both are workflow time.
func (n *next[S, P]) due(deadline time.Time) bool { return !n.now.Before(deadline) }

// undecided: everything can still be compensated. A refusal comes first, then a cancellation, unless what the saga waits for is
// there, then the first row that is not done.
func (n *next[S, P]) undecided() Action {
	for row := range n.flow.Applicable(n.s) {
		if n.refused(row) {
			e := Ending{Outcome: Rejected, Reason: n.k.Slot(row.slot()).Reason}
			if !n.compensates() {
				return n.end(e, nil)
			}
			return n.turn(SlotDecide, "", e)
		}
	}
	if n.awaited() == nil {
		switch {
		case len(n.facts.Cancellations) > 0:
			c := n.facts.Cancellations[0]
			e := Ending{Outcome: Cancelled, Reason: ReasonRequested, Detail: c.Reason}
			if c.Cause != "" {
				e.EventIdentity = c.Identity
			}
			return n.turn(SlotDecide, c.Cause, e)
		case n.facts.TurnBack != nil:
			return n.turn(SlotDecide, "", *n.facts.TurnBack)
		}
	}
	for row := range n.flow.Applicable(n.s) {
		switch {
		case n.k.Has(row.slot()):
		case row.Kind == Pivot:
			return n.record(SlotDecide, kindSettling, "")
		case row.Kind == Await:
			return n.wait(row)
		case row.Do == nil:
			return n.done(row, nil)
		default:
			return n.attempt(row)
		}
	}
	return n.end(Ending{Outcome: Completed}, n.completed())
}

// attempt: a compensable row with Do that has no outcome yet.
func (n *next[S, P]) attempt(row *Step[S, P]) Action {
	if n.k.Has(row.slot() + slotPending) {
		return n.pending(row)
	}
	later := n.facts.Later
	switch {
	case n.facts.GivenUp == row.Name && row.Lookup != nil && n.facts.LookedUp != row.Name:
		return Action{Kind: Lookup, Step: row.Name}
	case n.facts.GivenUp == row.Name:
		return n.turn(SlotDecide, "", Ending{Outcome: Failed, Reason: Unavailable(row.Name)})
	case later != nil && later.Step == row.Name && n.now.Before(later.At):
		return Action{Kind: Wait, Step: row.Name, Until: later.At, For: later.For}
	}
	return Action{Kind: Do, Step: row.Name}
}

// pending: the participant of a row will notify. A notification is not believed: the participant is asked.
func (n *next[S, P]) pending(row *Step[S, P]) Action {
	rule := row.Pending
	until := n.flow.pendingUntil(n.k, row, n.timing)
	due := n.due(until)
	heard := n.facts.first(rule.On)
	switch {
	case heard != nil && n.due(heard.NotBefore), due && n.facts.LookedUp != row.Name:
		return Action{Kind: Lookup, Step: row.Name}
	case due:
		return n.turn(SlotDecide, "", Ending{Outcome: Failed, Reason: rule.Overdue})
	case heard != nil && heard.NotBefore.Before(until):
		until = heard.NotBefore
	}
	return Action{Kind: Wait, Step: row.Name, Until: until, For: rule.For}
}

// pendingUntil is until when a pending outcome waits for its notification.
func (f *Flow[S, P]) pendingUntil(k *Saga, row *Step[S, P], timing Timing) time.Time {
	return k.Slot(row.slot() + slotPending).until(timing(row.Pending.Deadline))
}

// PendingUntil is until when the step waits for the notification of its participant, in workflow time; zero when it does not.
func (f *Flow[S, P]) PendingUntil(s S, step string, timing Timing) time.Time {
	if row := f.row(&s, step); row != nil && row.Pending != nil && kitOf(&s).Has(row.slot()+slotPending) {
		return f.pendingUntil(kitOf(&s), row, timing)
	}
	return time.Time{}
}

// until is the end of the wait that an event begins: what it says; one of an older version does not, and the wait begins at its time.
func (s Slot) until(wait time.Duration) time.Time {
	if !s.ExpiresAt.IsZero() {
		return s.ExpiresAt
	}
	return s.At.Add(wait)
}

// wait: an Await row without outcome.
func (n *next[S, P]) wait(row *Step[S, P]) Action {
	rule := row.Wait
	if f := n.facts.first(rule.On); f != nil && row.Parts == nil {
		return n.done(row, f)
	}
	began := n.k.Slot(n.flow.slotOf(rule.Since))
	if began.Type == "" {
		began.At = n.k.UpdatedAt // the row does not apply to this saga: the wait begins with its newest event
	}
	until := began.until(n.timing(rule.Deadline))
	switch {
	case row.Parts != nil:
		return n.waitParts(row, until)
	case n.k.Decision == GoForward:
		for _, trouble := range rule.Trouble {
			if n.facts.first([]string{trouble.On}) != nil {
				return n.look(StuckCall{Step: row.Name, Error: trouble.Text})
			}
		}
		if n.due(until) {
			return n.look(StuckCall{Step: row.Name, Error: rule.Overdue})
		}
	case n.due(until):
		return n.turn(SlotDecide, "", Ending{Outcome: Failed, Reason: rule.Overdue})
	}
	return Action{Kind: Wait, Step: row.Name, Until: until, For: rule.For}
}

// forward: the pivot decided that the saga goes through. Nothing is compensated any more, but for a reversible step that is refused.
func (n *next[S, P]) forward() Action {
	past := n.flow.Endless
	if a, ok := n.partEvent(); ok {
		return a
	}
	for row := range n.flow.Applicable(n.s) {
		switch {
		case row.Kind == Pivot:
			past = true
		case !past:
		case n.refused(row) && row.reversible(n.s):
			e := Ending{Outcome: Rejected, Reason: n.k.Slot(row.slot()).Reason}
			if row.Kind == Await {
				e.Outcome = Failed // its time was over
			}
			return n.turn(SlotTurn, "", e)
		case row.Parts != nil && n.lastPart(row) == nil && row.Parts.due(n.s):
			return n.follow(row)
		case n.settled(row.Name, false):
		case n.refused(row):
			return n.look(StuckCall{Step: row.Name, Error: row.RefusedError})
		case row.Kind == Await:
			return n.wait(row)
		case row.Do == nil:
			return n.done(row, nil)
		default:
			return Action{Kind: Do, Step: row.Name}
		}
	}
	if n.flow.Endless {
		return Action{Kind: Close}
	}
	return n.end(Ending{Outcome: Completed}, n.completed())
}

// loop: the flow decides, and the kit waits, asks people, and makes the event.
func (n *next[S, P]) loop() Action {
	a, later := n.flow.Next(n.s, n.now), n.facts.Later
	switch {
	case a.Kind == Ask:
		return n.look(StuckCall{Step: a.Step, Error: a.For})
	case a.Kind == Record:
		a.Entry = n.entry(a.Entry.Key, a.Entry.Type, "", a.data)
	case a.Kind == Do && later != nil && later.about(a) && n.now.Before(later.At):
		return Action{Kind: Wait, Step: a.Step, Item: a.Item, Until: later.At, For: later.For}
	}
	return a
}

// completed is what the event of a completed saga says besides.
func (n *next[S, P]) completed() any {
	if n.flow.Completed == nil {
		return nil
	}
	return n.flow.Completed(n.s)
}

// look requests attention once, and waits for a decision.
func (n *next[S, P]) look(c StuckCall) Action {
	if !n.isAttentionFor(c) {
		return n.attention(c)
	}
	return Action{Kind: Wait, Step: c.Step, Until: n.now.Add(lookAgain), For: "an operator"}
}

// lookAgain is how long a saga waits for an operator before it decides again. Every decision of an operator ends the wait.
const lookAgain = 30 * 24 * time.Hour

// back: the pivot decided that everything is compensated, newest first.
func (n *next[S, P]) back() Action {
	awaited := n.awaited()
	if awaited != nil && awaited.Wait.AfterCancel != nil && !n.k.HappenedAfterCancel {
		return n.attention(StuckCall{Step: awaited.Wait.AfterCancel.Step, Error: awaited.Wait.AfterCancel.Text})
	}
	for _, row := range slices.Backward(slices.Collect(n.flow.Applicable(n.s))) {
		if n.mustUndo(row) {
			return Action{Kind: Undo, Step: row.Name}
		}
	}
	if n.k.HappenedAfterCancel {
		for row := range n.flow.Applicable(n.s) {
			if row.Wait != nil && row.Wait.AfterCancel != nil && !n.settled(row.Wait.AfterCancel.Step, false) {
				return n.look(StuckCall{Step: row.Wait.AfterCancel.Step, Error: row.Wait.AfterCancel.Text})
			}
		}
	}
	e := n.k.Ending
	return n.end(Ending{Outcome: e.Outcome, Reason: e.Reason, Detail: e.Detail}, nil)
}

// mustUndo reports whether a step may have happened and is not compensated. A row that may have been attempted counts as attempted,
// whether or not the log has its outcome: only a recorded refusal that has left nothing, or an earlier row without outcome, says
// that there is nothing to compensate.
func (n *next[S, P]) mustUndo(row *Step[S, P]) bool {
	if row.Kind != Compensable || n.settled(row.Name, true) {
		return false
	}
	switch {
	case row.Do == nil:
		return n.k.Has(row.slot())
	case n.refused(row):
		return row.Held != nil && row.Held(n.s)
	}
	for earlier := range n.flow.Applicable(n.s) {
		if earlier.Name == row.Name {
			return true
		}
		if !n.k.Has(earlier.slot(), earlier.Done) {
			return false
		}
	}
	return false
}

// compensates reports whether there is something to compensate.
func (n *next[S, P]) compensates() bool {
	for row := range n.flow.Applicable(n.s) {
		if n.mustUndo(row) {
			return true
		}
	}
	return false
}

// awaited returns the wait before the pivot that is fulfilled, in the log or by a fact; nil if the saga has not come to it.
func (n *next[S, P]) awaited() *Step[S, P] {
	for row := range n.flow.Applicable(n.s) {
		filled := n.k.Has(row.slot())
		switch {
		case row.Kind == Pivot:
			return nil
		case row.Kind == Await && (filled || n.facts.first(row.Wait.On) != nil):
			return row
		case !filled:
			return nil
		}
	}
	return nil
}

// tooLate returns the first cancellation that can no longer be honoured, unless one was refused before: that is the answer
// to this one too.
func (n *next[S, P]) tooLate() (Cancellation, bool) {
	k := n.k
	if k.Decision == "" || k.Cancelling() || k.CancelRefused || len(n.facts.Cancellations) == 0 {
		return Cancellation{}, false
	}
	return n.facts.Cancellations[0], true
}

// isAttentionFor reports whether a person is being asked to act on exactly this.
func (n *next[S, P]) isAttentionFor(c StuckCall) bool {
	a := n.k.Attention
	return a.Open && a.Step == c.Step && a.Item == c.Item && a.Undo == c.Undo
}

// attentionIsOver reports whether what needed attention has gone through.
func (n *next[S, P]) attentionIsOver(step string, undo bool) bool {
	row := n.flow.row(n.s, step)
	switch {
	case undo || row == nil || row.Kind != Await:
	case row.Parts != nil:
		return n.partSettled(row)
	case n.facts.first(row.Wait.On) != nil:
		return true
	}
	return n.settled(step, undo)
}

// settled reports whether a required step is over: it succeeded, an operator decided, or it is no longer needed.
func (n *next[S, P]) settled(step string, undo bool) bool {
	switch {
	case undo:
		return n.k.Has(UndoSlot(step))
	case n.flow.Item != nil:
		item, open := n.flow.Item(n.s, step)
		return !open || n.isAttentionFor(StuckCall{Step: step}) && item != n.k.AttentionItem
	}
	row := n.flow.row(n.s, step)
	if parts := n.flow.partsRow(); row != nil && parts != nil && parts.Parts.follows(step) {
		item, due := parts.Parts.Due(n.s)
		return !due || n.k.Attention.Open && n.k.Attention.Step == step && item != n.k.Attention.Item
	}
	switch {
	case row == nil:
		return n.flow.troubleAfterCancel(step) != nil && n.k.Has(step)
	case row.Parts != nil && row.Parts.Over(n.s):
		return true
	case row.Kind == Compensable, row.Kind == Pivot:
		return false
	case row.Reversible != nil && n.k.Decision == GoBack:
		return true
	case n.refused(row) && row.Kind != Await:
		return n.k.Has(row.slot() + slotSettled)
	}
	return n.k.Has(row.slot())
}

// refused reports whether a refusal of the row is recorded.
func (n *next[S, P]) refused(row *Step[S, P]) bool {
	return row.Refused != "" && n.k.Has(row.slot(), row.Refused)
}

// cameToNothing reports whether a row is refused, and has left nothing: neither what must be compensated, nor parts with which the saga goes on.
func (n *next[S, P]) cameToNothing(row *Step[S, P]) bool {
	return n.refused(row) && (row.Held == nil || !row.Held(n.s)) && (row.Kind != Await || row.reversible(n.s))
}

// IsUndone reports whether a step that is to be compensated was, or a person has decided about it instead.
func (f *Flow[S, P]) IsUndone(s S, step string) bool { return kitOf(&s).Has(UndoSlot(step)) }
