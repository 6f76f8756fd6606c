package sagatest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/event/eventtest"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// checkCall checks that a step function is called when it may be.
func (t *trial[S, P]) checkCall(e *execution[S, P], row string, rowKind saga.Kind, kind saga.ActionKind) {
	k, l := t.kit(), log(t.records())
	switch {
	case kind == saga.Undo && k.Decision != saga.GoBack:
		t.fail("the compensation of %s is called although the saga has decided %q", row, k.Decision)
	case kind == saga.Do && rowKind == saga.Forward && !e.gone() && !l.has(saga.SlotDecide, prefixOf(t.plan.Flow)+".settling"):
		t.fail("the forward step %s is called although the saga has decided %q", row, k.Decision)
	}
}

// holds checks what must hold when everything is over.
func (t *trial[S, P]) holds() error {
	errs := slices.Clone(t.wrong)
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	records := t.records()
	state, err := t.plan.Flow.Fold(t.state, records)
	if err != nil {
		return fmt.Errorf("the stream cannot be folded: %w", err)
	}
	t.state = state
	k := t.plan.Flow.Kit(&t.state)
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(t.cell.fault == "" || t.injected, "the fault has not struck: the saga did not come to its point")
	reason := t.cell.journey.Reason
	check(reason == "" || t.cell.fault != "" || t.cell.scenario != scenario{} || k.Reason == reason, "the saga ends because of %q, and not of %q", k.Reason, reason)
	check(k.Ended, "the saga has not ended: it is %s", k.Status)
	check(slices.Contains(t.cell.ends, k.Status), "the saga is %s (%s), and not %s", k.Status, k.Reason, anyOf(t.cell.ends))
	check(!t.cancelled || k.Cancelled() || k.CancelRefused || slices.Contains(t.lateTypes, t.cancelType()), "the cancellation has no answer")
	check(len(t.listed) > 0 && slices.Contains(t.listed, k.Status), "the list does not show that the saga is %s", k.Status)
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	l := ledger[S, P]{flow: t.plan.Flow, prefix: prefixOf(t.plan.Flow), log: records, state: &t.state}
	errs = append(errs, l.check(), t.checkPublished(records))
	if isRegistered(t.plan.Flow) {
		for _, r := range records {
			if err := eventtest.Validate(r.Event); err != nil {
				errs = append(errs, fmt.Errorf("the event %s with %s: %w", r.Type, r.Data, err))
			}
		}
	}
	if t.world.Holds != nil {
		if err := t.world.Holds(t.state); err != nil {
			errs = append(errs, fmt.Errorf("the world is wrong: %w", err))
		}
	}
	if t.world.Audit != nil {
		if err := t.world.Audit(records); err != nil {
			errs = append(errs, fmt.Errorf("the audit of the stream: %w", err))
		}
	}
	return errors.Join(errs...)
}

// cancelType is the type of a cancellation as an event.
func (t *trial[S, P]) cancelType() string {
	return t.plan.Flow.Cancellation(t.cell.journey.ID, saga.Cancellation{ID: "c"}).Type
}

func anyOf(ends []saga.Status) string {
	words := make([]string, len(ends))
	for i, end := range ends {
		words[i] = string(end)
	}
	return strings.Join(words, " or ")
}

// checkPublished: every event is on the bus, in the order of the stream but for repetitions.
func (t *trial[S, P]) checkPublished(records []event.Record) error {
	newest := int64(0)
	for _, r := range t.published {
		if r.Version > newest+1 {
			return fmt.Errorf("version %d is published before version %d", r.Version, newest+1)
		}
		newest = max(newest, r.Version)
	}
	if newest != int64(len(records)) {
		return fmt.Errorf("the stream has %d events, and %d are published", len(records), newest)
	}
	return nil
}

// ledger is the stream of a saga that has ended.
type ledger[S, P any] struct {
	flow   *saga.Flow[S, P]
	prefix string
	log    log
	state  *S
	errs   []error
}

func (l *ledger[S, P]) require(ok bool, format string, args ...any) {
	if !ok {
		l.errs = append(l.errs, fmt.Errorf(format, args...))
	}
}

// check checks everything that the stream says.
func (l *ledger[S, P]) check() error {
	k := l.flow.Kit(l.state)
	last := l.log[len(l.log)-1]
	l.require(last.Key == saga.SlotEnd, "the stream ends with %s in the slot %q", last.Type, last.Key)
	for i, r := range l.log {
		for _, before := range l.log[:i] {
			l.require(before.Key != r.Key, "the slot %q is taken twice", r.Key)
		}
	}
	rows := slices.Collect(l.flow.Applicable(l.state))
	forward := k.Decision == saga.GoForward
	l.require(forward == (k.Status == saga.Completed), "the saga has decided %q, and is %s", k.Decision, k.Status)
	l.require(forward || k.Reason != "", "the saga is %s for no reason", k.Status)
	l.checkOrder(rows)
	through := true
	for _, row := range rows {
		if forward {
			l.require(l.through(row), "the saga is completed, and %s is not done", row.Name)
			l.require(!l.log.has(saga.UndoSlot(row.Name)), "the saga is completed, and %s is compensated", row.Name)
			l.checkParts(row)
			continue
		}
		l.checkBack(row, through)
		through = through && l.log.has(slotOf(row), row.Done)
	}
	return errors.Join(l.errs...)
}

// through reports whether a row is done, or a person has settled it.
func (l *ledger[S, P]) through(row *saga.Step[S, P]) bool {
	slot := slotOf(row)
	if row.Kind == saga.Pivot {
		return l.log.has(slot)
	}
	if row.Parts != nil && (row.Parts.Over(l.state) || row.Refused != "" && l.log.has(slot, row.Refused)) {
		return true
	}
	byHand := l.byHand(slot) || l.byHand(slot+"/settled")
	return l.log.has(slot, row.Done) || byHand && (row.Kind == saga.Forward || row.Kind == saga.Await)
}

// checkParts checks the parts of a completed saga: each was decided about, and what follows from the decisions is done.
func (l *ledger[S, P]) checkParts(row *saga.Step[S, P]) {
	if row.Parts == nil {
		return
	}
	if part, text := row.Parts.Missing(l.state); !l.byHand(slotOf(row)) {
		l.require(part == "", "the saga is completed, and no person has decided about %s: %s", part, text)
	}
	if row.Parts.Follow == nil {
		return
	}
	item, due := row.Parts.Due(l.state)
	l.require(!due, "the saga is completed, and %s of %s is not done", row.Parts.Follow.Name, item)
}

// byHand reports whether a person has settled what a slot is for.
func (l *ledger[S, P]) byHand(slot string) bool {
	return l.log.has(slot, l.prefix+".step_skipped", l.prefix+".step_substituted")
}

// checkBack checks a row of a saga that turned back. Through reports that every row before it was done: it may have been attempted.
func (l *ledger[S, P]) checkBack(row *saga.Step[S, P], through bool) {
	slot, undo := slotOf(row), saga.UndoSlot(row.Name)
	k := l.flow.Kit(l.state)
	if row.Kind == saga.Forward {
		l.require(k.Ending.RequestID != "" || !l.log.has(slot, row.Done), "the saga has turned back, and %s is done", row.Name)
	}
	if row.Wait != nil && row.Wait.AfterCancel != nil {
		l.require(!l.log.has(slot, row.Done), "the saga has turned back after %s, from where it cannot", row.Name)
		l.require(!k.HappenedAfterCancel || l.byHand(row.Wait.AfterCancel.Step), "the saga has ended, and no person has decided about %s", row.Wait.AfterCancel.Step)
	}
	if row.Kind != saga.Compensable {
		return
	}
	owed := through
	switch {
	case row.Do == nil:
		owed = l.log.has(slot)
	case row.Refused != "" && l.log.has(slot, row.Refused):
		owed = row.Held != nil && row.Held(l.state)
	}
	compensated := l.log.has(undo, row.Undone...) || l.byHand(undo)
	l.require(!owed || compensated, "the saga has turned back, and %s is not compensated", row.Name)
	l.require(owed || !compensated, "%s is compensated although it has not happened", row.Name)
}

// checkOrder: outcomes come in the order of the rows, on their side of the pivot, and compensations newest first.
func (l *ledger[S, P]) checkOrder(rows []*saga.Step[S, P]) {
	newest, oldest, decided, turned := -1, len(rows), false, false
	for _, r := range l.log {
		decided = decided || r.Key == saga.SlotDecide
		turned = turned || r.Type == l.prefix+".compensating"
		for n, row := range rows {
			switch {
			case r.Key == slotOf(row) && row.Kind != saga.Pivot:
				l.require(n > newest, "the outcome of %s is recorded after that of a later row", row.Name)
				l.require(!decided || row.Kind != saga.Compensable, "the outcome of %s is recorded after the pivot", row.Name)
				l.require(decided || row.Kind != saga.Forward, "the outcome of %s is recorded before the pivot", row.Name)
				newest = n
			case row.Parts != nil && isOfPart(row, r.Key):
				l.require(decided && !turned, "%s is recorded of a part, and the saga does not go forward", r.Type)
			case r.Key == saga.UndoSlot(row.Name):
				l.require(turned, "%s is compensated before the saga has turned back", row.Name)
				l.require(n < oldest, "%s is compensated after an earlier row", row.Name)
				oldest = n
			}
		}
	}
}

// isOfPart reports whether a slot is that of an event about a part of a row, or of what follows from a decision about one.
func isOfPart[S, P any](row *saga.Step[S, P], key string) bool {
	follow := row.Parts.Follow
	return strings.HasPrefix(key, row.Parts.Slot+"/") || follow != nil && strings.HasPrefix(key, slotOf(follow)+"/")
}

// line is something that happened.
type line struct {
	at   time.Time
	run  int
	what string
}

// note adds a line to what is printed when the cell fails.
func (t *trial[S, P]) note(e *execution[S, P], format string, args ...any) {
	l := line{what: fmt.Sprintf(format, args...)}
	if e != nil {
		l.at, l.run = e.env.Now(), e.n
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.story = append(t.story, l)
}

// maxLines bounds what is printed at each end of what happened.
const maxLines = 60

// timeline is what happened, as a table.
func (t *trial[S, P]) timeline() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "  after\trun\t%s\n", t.cell)
	for i, l := range t.story {
		if i == maxLines && len(t.story) > 2*maxLines {
			fmt.Fprintf(table, "  …\t\t%d lines more\n", len(t.story)-2*maxLines)
		}
		if i >= maxLines && i < len(t.story)-maxLines {
			continue
		}
		after, run := "", ""
		if l.run > 0 {
			after, run = l.at.Sub(beginning).Round(time.Millisecond).String(), fmt.Sprint(l.run)
		}
		fmt.Fprintf(table, "  %s\t%s\t%s\n", after, run, l.what)
	}
	_ = table.Flush()
	return strings.TrimRight(b.String(), "\n")
}
