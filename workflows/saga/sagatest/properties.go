package sagatest

import (
	"slices"
	"strings"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// checkAction checks what a run wants to do, from what the log says that it knows.
func (w *world[S, P]) checkAction(a saga.Action) {
	l := w.known()
	row := w.row(a.Step)
	if a.Kind != saga.Close && l.has(saga.SlotEnd) {
		w.fail("%s after the end", a)
	}
	switch a.Kind {
	case saga.Do, saga.Undo, saga.Lookup:
		if row == nil || row.Operation(a.Kind) == nil {
			w.fail("the table has no operation for %s", a)
		}
	case saga.Wait:
		if !a.Until.After(w.now) {
			w.fail("%s: the wait is over before it begins", a)
		}
	case saga.Close:
		if !l.has(saga.SlotEnd) {
			w.fail("the run closes, and the saga has not ended")
		}
	}
	switch a.Kind {
	case saga.Do:
		w.checkDo(l, row, a)
	case saga.Undo:
		w.checkUndo(l, row)
	}
}

// judgeDo: rows are attempted in their order, on their side of the pivot, and not after their outcome or their compensation.
func (w *world[S, P]) checkDo(l log, row *saga.Step[S, P], a saga.Action) {
	want := saga.Decision("")
	if row.Kind == saga.Forward {
		want = saga.GoForward
	}
	switch {
	case w.decision(l) != want:
		w.fail("%s is attempted although the saga has decided %q", row.Name, w.decision(l))
	case l.has(slotOf(row)), a.Item != "" && l.has(slotOf(row)+"/"+a.Item):
		w.fail("%s is attempted after its outcome", row.Name)
	case l.has(saga.UndoSlot(row.Name)):
		w.fail("%s is attempted after its compensation", row.Name)
	}
	for _, earlier := range w.before(row) {
		if !w.through(l, earlier) {
			w.fail("%s is attempted before %s is done", row.Name, earlier.Name)
		}
	}
}

// judgeUndo: what may have happened is compensated, newest first, once the saga has turned back.
func (w *world[S, P]) checkUndo(l log, row *saga.Step[S, P]) {
	switch {
	case w.decision(l) != saga.GoBack:
		w.fail("%s is compensated although the saga has decided %q", row.Name, w.decision(l))
	case l.has(saga.UndoSlot(row.Name)):
		w.fail("%s is compensated again", row.Name)
	case !w.owed(l, row):
		w.fail("%s is compensated although it has not happened", row.Name)
	}
	for _, later := range w.after(row) {
		if w.owed(l, later) && !l.has(saga.UndoSlot(later.Name)) {
			w.fail("%s is compensated before %s", row.Name, later.Name)
		}
	}
}

// before are the rows before a row, and after those after it.
func (w *world[S, P]) before(row *saga.Step[S, P]) []*saga.Step[S, P] {
	rows := w.rows()
	return rows[:max(0, slices.Index(rows, row))]
}

func (w *world[S, P]) after(row *saga.Step[S, P]) []*saga.Step[S, P] {
	rows := w.rows()
	return rows[slices.Index(rows, row)+1:]
}

// through reports whether a row is done, or a person has settled it.
func (w *world[S, P]) through(l log, row *saga.Step[S, P]) bool {
	slot := slotOf(row)
	switch row.Kind {
	case saga.Pivot:
		return l.has(slot)
	case saga.Forward, saga.Await:
		if w.decision(l) != "" && (w.byHand(l, slot) || w.byHand(l, slot+"/settled")) {
			return true
		}
		if row.Parts != nil && w.decision(l) == saga.GoForward && (row.Parts.Over(&w.run.state) || l.has(slot, row.Refused) && row.Refused != "") {
			return true // with its time over, it goes on with what was received
		}
	}
	return l.has(slot, row.Done)
}

// owed reports whether a row may have happened, and must be compensated when the saga turns back. An attempt that the log does not know
// of counts.
func (w *world[S, P]) owed(l log, row *saga.Step[S, P]) bool {
	slot := slotOf(row)
	switch {
	case row.Kind != saga.Compensable:
		return false
	case row.Do == nil:
		return l.has(slot)
	case row.Refused != "" && l.has(slot, row.Refused):
		return w.participants[row.Name].held
	}
	return !slices.ContainsFunc(w.before(row), func(earlier *saga.Step[S, P]) bool { return !l.has(slotOf(earlier), earlier.Done) })
}

// checkCancelled: a run that knows of a cancellation does not complete the saga without an answer.
func (w *world[S, P]) checkCancelled(entries []event.Entry) {
	if len(w.run.facts.Cancellations) == 0 || w.kit().AnswersCancellation() {
		return
	}
	answered := false
	for _, e := range entries {
		answered = answered || e.Key == saga.SlotCancelRefused
		if e.Key == saga.SlotEnd && e.Type == w.prefix+".completed" && !answered {
			w.fail("the saga completes, and a cancellation has no answer")
		}
	}
}

// checkEnd checks a saga that has ended.
func (w *world[S, P]) checkEnd() {
	l := log(w.records)
	last := l[len(l)-1]
	status, own := strings.CutPrefix(last.Type, w.prefix+".")
	if last.Key != saga.SlotEnd || !own || !saga.Status(status).Terminal() {
		w.fail("the saga ends with %s in the slot %q", last.Type, last.Key)
	}
	k := w.kit()
	switch {
	case !k.Ended || string(k.Status) != status:
		w.fail("the saga ends with %s, and its status is %s", last.Type, k.Status)
	case k.Attention.Open:
		w.fail("the saga ends, and a person is asked to act")
	}
	w.checkPivot(l)
	if (w.decision(l) == saga.GoForward) != (k.Status == saga.Completed) {
		w.fail("the saga has decided %q, and is %s", w.decision(l), k.Status)
	}
	for _, row := range w.rows() {
		w.checkEffect(l, row)
		if k.Status == saga.Completed {
			w.checkThrough(l, row)
		} else {
			w.checkBack(l, row)
		}
	}
	if k.Status == saga.Completed {
		return
	}
	if k.Reason == "" {
		w.fail("the saga is %s for no reason", k.Status)
	}
	w.checkOrder(l)
}

// checkPivot: one event decides; a saga that has not done anything may end without. A saga that has decided to complete turns back only
// because of a refusal, or because a person says so.
func (w *world[S, P]) checkPivot(l log) {
	decided, turned := l.has(saga.SlotDecide), l.has(saga.SlotTurn)
	refusedOrPerson := w.kit().Ending.RequestID != "" || slices.ContainsFunc(w.rows(), func(row *saga.Step[S, P]) bool {
		return (row.Kind == saga.Forward || row.Kind == saga.Await) && row.Refused != "" && l.has(slotOf(row), row.Refused)
	})
	switch {
	case !decided && slices.ContainsFunc(w.rows(), func(row *saga.Step[S, P]) bool { return w.owed(l, row) }):
		w.fail("the saga ends undecided, and something must be compensated")
	case turned && !l.has(saga.SlotDecide, w.prefix+".settling"):
		w.fail("the saga turns back twice")
	case turned && !refusedOrPerson:
		w.fail("the saga turns back after it has decided to complete")
	}
}

// checkEffect: what the log says about a step is what its participant did.
func (w *world[S, P]) checkEffect(l log, row *saga.Step[S, P]) {
	p, slot := w.participants[row.Name], slotOf(row)
	if row.Do == nil {
		return
	}
	switch {
	case p.times > 1:
		w.fail("%s happened %d times", row.Name, p.times)
	case l.has(slot, row.Done) && p.effect != happened:
		w.fail("the log says that %s is done, and it is %q", row.Name, p.effect)
	case row.Refused != "" && l.has(slot, row.Refused) && p.effect != refusal:
		w.fail("the log says that %s is refused, and it is %q", row.Name, p.effect)
	case row.Undo != nil && l.has(saga.UndoSlot(row.Name), row.Undone...) && !p.undone:
		w.fail("the log says that %s is compensated, and it is not", row.Name)
	}
}

// checkThrough checks a row of a completed saga.
func (w *world[S, P]) checkThrough(l log, row *saga.Step[S, P]) {
	p := w.participants[row.Name]
	switch {
	case !w.through(l, row):
		w.fail("the saga is completed, and %s is not done", row.Name)
	case l.has(saga.UndoSlot(row.Name)) || p.undone:
		w.fail("the saga is completed, and %s is compensated", row.Name)
	}
}

// checkBack checks a row of a saga that turned back.
func (w *world[S, P]) checkBack(l log, row *saga.Step[S, P]) {
	p, undo := w.participants[row.Name], saga.UndoSlot(row.Name)
	compensated := row.Undo != nil && l.has(undo, row.Undone...)
	byHand := w.byHand(l, undo)
	switch {
	case w.owed(l, row) && !compensated && !byHand:
		w.fail("the saga has turned back, and %s is not compensated", row.Name)
	case !w.owed(l, row) && l.has(undo):
		w.fail("%s is compensated although it has not happened", row.Name)
	case row.Kind == saga.Compensable && p.left() && !byHand:
		w.fail("the saga has turned back, and something of %s is left", row.Name)
	case row.Kind == saga.Forward && p.effect == happened && w.kit().Ending.RequestID == "":
		w.fail("the saga has turned back, and %s is done", row.Name)
	case row.Wait != nil && row.Wait.AfterCancel != nil && l.has(slotOf(row), row.Done):
		w.fail("the saga has turned back after %s, from where it cannot", row.Name)
	case row.Wait != nil && row.Wait.AfterCancel != nil && w.kit().HappenedAfterCancel && !w.byHand(l, row.Wait.AfterCancel.Step):
		w.fail("the saga has ended, and no person has decided about %s", row.Wait.AfterCancel.Step)
	}
}

// checkOrder: compensations are recorded newest first, and none before the saga has turned back.
func (w *world[S, P]) checkOrder(l log) {
	rows := w.rows()
	rank := len(rows)
	turned := false
	for _, r := range l {
		turned = turned || r.Type == w.prefix+".compensating"
		n := slices.IndexFunc(rows, func(row *saga.Step[S, P]) bool { return r.Key == saga.UndoSlot(row.Name) })
		switch {
		case n < 0:
			continue
		case !turned:
			w.fail("%s is compensated before the saga has turned back", rows[n].Name)
		case n > rank:
			w.fail("%s is compensated after %s", rows[n].Name, rows[rank].Name)
		}
		rank = n
	}
}
