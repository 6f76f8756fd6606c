package sagatest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/event/eventtest"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// someTime is when each saga begins.
var someTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// sagaID is the ID of each saga.
const sagaID = "42"

// world is everything around one saga: its log, its participants, its clock, and the run that drives it.
type world[S, P any] struct {
	t *rapid.T
	// table is what must hold, flow is what decides.
	table    *saga.Flow[S, P]
	flow     decider[S]
	start    Start[S]
	settings saga.Settings
	// prefix is that of the kit's own events; registered reports that the flow's events are in the catalog, and have schemas.
	prefix     string
	registered bool

	records      []event.Record
	now          time.Time
	participants map[string]*participant
	run          run[S]
	// late are attempts that may still come, or come again.
	late []attempt[S]
	// quiet reports that everything works.
	quiet bool
	// count gives facts their IDs.
	count int
	story []string
}

// run is what one run of the workflow knows.
type run[S any] struct {
	state S
	facts saga.Facts
	// rounds counts the attempts of a call that must succeed.
	rounds int
}

func newWorld[S, P any](t *rapid.T, table *saga.Flow[S, P], flow decider[S], start Start[S]) *world[S, P] {
	w := &world[S, P]{
		t: t, table: table, flow: flow, start: start, prefix: prefixOf(table), registered: isRegistered(table),
		now: someTime, participants: make(map[string]*participant),
		settings: saga.Settings{Waits: make(map[saga.Deadline]time.Duration), Attention: time.Minute},
	}
	for row := range table.Operated() {
		w.participants[row.Name] = &participant{said: make(map[string]any)}
		for _, d := range deadlines(row) {
			w.settings.Waits[d] = time.Hour
		}
	}
	raw, err := json.Marshal(start.data(t))
	if err != nil {
		w.fail("the data of the first event: %v", err)
	}
	w.append(0, []event.Entry{table.Accept(saga.OpenInput{ID: sagaID, Data: raw, CorrelationID: "correlation"}, w.now)})
	w.continueAsNewRun()
	return w
}

// deadlines are the settings that bound the waits of a row.
func deadlines[S, P any](row *saga.Step[S, P]) []saga.Deadline {
	list := []saga.Deadline{row.Deadline}
	if row.Pending != nil {
		list = append(list, row.Pending.Deadline)
	}
	if row.Wait != nil {
		list = append(list, row.Wait.Deadline)
	}
	return list
}

// draw draws a number from 0 below n. 0 is what is simplest.
func (w *world[S, P]) draw(label string, n int) int { return rapid.IntRange(0, n-1).Draw(w.t, label) }

// note adds a line to what is printed when the saga fails.
func (w *world[S, P]) note(format string, args ...any) {
	w.story = append(w.story, fmt.Sprintf(format, args...))
}

// fail ends the saga: something does not hold.
func (w *world[S, P]) fail(format string, args ...any) {
	w.t.Helper()
	w.t.Logf("what happened:\n  %s\nthe log:\n  %s", strings.Join(w.story, "\n  "), strings.Join(timeline(w.records), "\n  "))
	w.t.Fatalf(format, args...)
}

// kit is the kit's part of the run's state.
func (w *world[S, P]) kit() *saga.Saga { return w.table.Kit(&w.run.state) }

// rows are the rows that apply.
func (w *world[S, P]) rows() []*saga.Step[S, P] {
	return slices.Collect(w.table.Applicable(&w.run.state))
}

// row returns the row of a name that applies; nil if there is none.
func (w *world[S, P]) row(step string) *saga.Step[S, P] {
	for row := range w.table.Applicable(&w.run.state) {
		switch {
		case row.Name == step:
			return row
		case row.Parts != nil && row.Parts.Follow != nil && row.Parts.Follow.Name == step:
			return row.Parts.Follow
		}
	}
	return nil
}

// participant is what a call of a step is about: of a step that follows from decisions, there is one for each item.
func (w *world[S, P]) participant(step, item string) *participant {
	if item != "" {
		step += "/" + item
	}
	if w.participants[step] == nil {
		w.participants[step] = &participant{said: make(map[string]any)}
	}
	return w.participants[step]
}

// continueAsNewRun begins another run, which knows nothing but the log.
func (w *world[S, P]) continueAsNewRun() {
	w.run = run[S]{}
	w.take(w.records)
}

// take folds what the log has after the run's state.
func (w *world[S, P]) take(tail []event.Record) {
	before := len(w.kit().Slots)
	state, err := w.flow.Fold(w.run.state, tail)
	if err != nil {
		w.fail("the log cannot be folded: %v", err)
	}
	w.run.state = state
	if len(w.kit().Slots) != before {
		w.run.facts.GivenUp, w.run.facts.LookedUp, w.run.rounds = "", "", 0
	}
}

// append writes entries after a version, as a log does: a key is written once, and the first writer wins. Who finds the first of the
// entries written by another one adds the rest. It returns what the log has after the version.
func (w *world[S, P]) append(version int64, entries []event.Entry) []event.Record {
	tail := w.records[version:]
	for i, e := range entries {
		if old := slices.IndexFunc(w.records[:version], func(r event.Record) bool { return r.Key == e.Key }); old >= 0 {
			w.fail("the slot %q is taken twice: by %s, and by %s", e.Key, w.records[old].Type, e.Type)
		}
		if i < len(tail) && !event.Same(tail[i].Entry, e) {
			return tail
		}
	}
	if len(tail) >= len(entries) {
		return tail
	}
	for _, e := range entries[len(tail):] {
		if version > 0 && e.Time.Before(w.records[version-1].Time) {
			w.fail("the time of %s is before that of %s", e.Type, w.records[version-1].Type)
		}
		w.checkEntry(e)
		w.note("    + %s: %s", e.Key, e.Type)
		w.records = append(w.records, event.Record{Stream: w.table.StreamOf(sagaID), Version: int64(len(w.records)) + 1, Entry: e})
	}
	return w.records[version:]
}

// checkEntry checks an event by itself.
func (w *world[S, P]) checkEntry(e event.Entry) {
	for _, r := range w.records {
		if r.Key == e.Key {
			w.fail("the slot %q is taken twice: by %s, and by %s", e.Key, r.Type, e.Type)
		}
	}
	if w.registered {
		if err := eventtest.Validate(e.Event); err != nil {
			w.fail("the event %s with %s: %v", e.Type, e.Data, err)
		}
	}
}

// known is the log up to the version that the run knows.
func (w *world[S, P]) known() log { return w.records[:w.kit().Head.Version] }

// log is what a log says about slots.
type log []event.Record

// has reports whether a slot is taken by an event of one of the types; without types, by any.
func (l log) has(slot string, types ...string) bool {
	return slices.ContainsFunc(l, func(r event.Record) bool {
		return r.Key == slot && (len(types) == 0 || slices.Contains(types, r.Type))
	})
}

// slotOf is the slot of a row.
func slotOf[S, P any](row *saga.Step[S, P]) string {
	if row.Slot != "" {
		return row.Slot
	}
	return row.Name
}

// byHand reports whether a person has settled what a slot is for.
func (w *world[S, P]) byHand(l log, slot string) bool {
	return l.has(slot, w.prefix+".step_skipped", w.prefix+".step_substituted")
}

// decision is what the pivot has decided.
func (w *world[S, P]) decision(l log) saga.Decision {
	back := w.prefix + ".compensating"
	switch {
	case l.has(saga.SlotTurn, back), l.has(saga.SlotDecide, back):
		return saga.GoBack
	case l.has(saga.SlotDecide):
		return saga.GoForward
	}
	return ""
}
