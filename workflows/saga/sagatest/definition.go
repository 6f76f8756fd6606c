package sagatest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Definition checks the flow's table and, on random sagas of it, its hooks. Start is the one of Model.
//
// Check of the flow finds nothing. Every type of the table, and every one of the kit's own that the flow may write, is in the event catalog,
// if one of them is. Data of events fits the schemas then. A state survives JSON: what follows from it is the same. Own, Data, When, Held,
// Reversible, KeepsStatus, Completed, RejectCancellation and Reverted say the same when they are called twice and on a state that went
// through JSON, and change nothing. Fold leaves the state before alone. When says what it said after the first event.
func Definition[S, P any](t testing.TB, flow *saga.Flow[S, P], start Start[S]) {
	t.Helper()
	if err := check(flow); err != nil {
		t.Fatalf("%v", err)
	}
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, flow, flow, start)
		w.live()
		w.examine()
	})
}

// check is what can be said without a saga.
func check[S, P any](flow *saga.Flow[S, P]) error {
	if err := flow.Check(); err != nil {
		return err
	}
	if len(flow.Steps) == 0 {
		return fmt.Errorf("the flow %s has no table", flow.Name)
	}
	types := typesOf(flow)
	var missing []error
	for _, t := range types {
		if _, found := event.Find(t); !found {
			missing = append(missing, fmt.Errorf("the type %s of the flow %s is not in the event catalog", t, flow.Name))
		}
	}
	if len(missing) == len(types) {
		return nil // a flow of a test
	}
	return errors.Join(missing...)
}

// prefixOf is the prefix of the types of the kit's own events.
func prefixOf[S, P any](flow *saga.Flow[S, P]) string {
	accepted := flow.Accept(saga.OpenInput{ID: sagaID, Data: json.RawMessage("{}")}, someTime)
	return strings.TrimSuffix(accepted.Type, ".accepted")
}

// isRegistered reports whether the flow's events are in the catalog.
func isRegistered[S, P any](flow *saga.Flow[S, P]) bool {
	_, found := event.Find(prefixOf(flow) + ".accepted")
	return found
}

// typesOf are the types of all events that sagas of the flow write.
func typesOf[S, P any](flow *saga.Flow[S, P]) []string {
	var types []string
	for _, kind := range []string{
		"accepted", "settling", "compensating", "completed", "rejected", "cancelled", "failed", "cancellation_refused", "needs_attention",
		"attention_resolved", "step_retried", "step_skipped", "step_substituted",
	} {
		types = append(types, prefixOf(flow)+"."+kind)
	}
	for row := range flow.Operated() {
		types = append(append(types, row.Done, row.Refused), row.Undone...)
		if row.Pending != nil {
			types = append(types, row.Pending.Event)
		}
		if row.Parts != nil {
			types = slices.AppendSeq(types, maps.Values(row.Parts.Decisions))
		}
	}
	return slices.DeleteFunc(types, func(t string) bool { return t == "" })
}

// examine examines every state of the saga.
func (w *world[S, P]) examine() {
	var states []S
	var s S
	for i := range w.records {
		before := w.json(s)
		next := w.fold(s, w.records[i:i+1])
		if after := w.json(s); after != before {
			w.fail("the fold of %s changes the state before it:\n%s\n%s", w.records[i].Type, before, after)
		}
		if again := w.fold(s, w.records[i:i+1]); w.json(again) != w.json(next) {
			w.fail("the fold of %s is another one the second time:\n%s\n%s", w.records[i].Type, w.json(next), w.json(again))
		}
		var survived S
		if err := json.Unmarshal([]byte(w.json(s)), &survived); err != nil {
			w.fail("the state does not survive JSON: %v", err)
		}
		if other := w.fold(survived, w.records[i:i+1]); w.json(other) != w.json(next) {
			w.fail("the state does not survive JSON: the fold of %s differs:\n%s\n%s", w.records[i].Type, w.json(next), w.json(other))
		}
		s = next
		states = append(states, s)
	}
	for i := range states {
		w.examineState(states[0], states[i])
	}
}

// examineState examines what hooks say of a state.
func (w *world[S, P]) examineState(first, s S) {
	before := w.json(s)
	says := w.hooks(&s)
	if after := w.json(s); after != before {
		w.fail("a hook changes the state:\n%s\n%s", before, after)
	}
	if again := w.hooks(&s); !reflect.DeepEqual(says, again) {
		w.fail("a hook says something else the second time: %s", difference(says, again))
	}
	var survived S
	if err := json.Unmarshal([]byte(before), &survived); err != nil {
		w.fail("the state does not survive JSON: %v", err)
	}
	if other := w.hooks(&survived); w.json(survived) != before || !reflect.DeepEqual(says, other) {
		w.fail("the state does not survive JSON: %s", difference(says, other))
	}
	for i := range w.table.Steps {
		if row := &w.table.Steps[i]; row.When != nil && row.When(&s) != row.When(&first) {
			w.fail("When of %s looks at more than the first event", row.Name)
		}
	}
}

// hooks are what the flow's hooks say of a state, in words.
func (w *world[S, P]) hooks(s *S) []string {
	var says []string
	say := func(what string, value any) { says = append(says, what+": "+w.json(value)) }
	f := w.table
	for i := range f.Steps {
		row := &f.Steps[i]
		for name, hook := range map[string]func(*S) bool{"When": row.When, "Held": row.Held, "Reversible": row.Reversible} {
			if hook != nil {
				say(name+" of "+row.Name, hook(s))
			}
		}
		if row.Data != nil {
			say("Data of "+row.Name, w.dataOf(row, s))
		}
		if f.Reverted != nil {
			say("Reverted of "+row.Name, f.Reverted(s, row.Name))
		}
		if f.KeepsStatus != nil {
			say("KeepsStatus of "+row.Name, f.KeepsStatus(s, row.Status))
		}
	}
	if f.Completed != nil {
		say("Completed", f.Completed(s))
	}
	if f.RejectCancellation != nil {
		say("RejectCancellation", f.RejectCancellation(s))
	}
	a := f.Decide(*s, saga.Facts{}, w.now, w.settings.Of)
	say("Decide", a)
	slices.Sort(says)
	return says
}

// dataOf is the data of the outcome of a row, without a fact and for a fact of each type.
func (w *world[S, P]) dataOf(row *saga.Step[S, P], s *S) []any {
	if row.Wait == nil {
		return []any{row.Data(s, nil)}
	}
	var all []any
	for _, t := range row.Wait.On {
		all = append(all, row.Data(s, &saga.Fact{Type: t, ID: "e"}))
	}
	return all
}

// difference is the first thing that two lists say differently.
func difference(a, b []string) string {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return a[i] + ", then " + b[i]
		}
	}
	return "JSON of the state differs"
}

func (w *world[S, P]) fold(s S, records []event.Record) S {
	next, err := w.table.Fold(s, records)
	if err != nil {
		w.fail("the log cannot be folded: %v", err)
	}
	return next
}

func (w *world[S, P]) json(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		w.fail("%T has no form in JSON: %v", v, err)
	}
	return string(raw)
}
