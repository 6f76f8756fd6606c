package saga

import (
	"regexp"
)

// streamPattern is the form of a flow's stream prefix: the first hyphen of a stream's name separates it from the ID.
var streamPattern = regexp.MustCompile(`^[a-z][a-z0-9.]*$`)

// Check reports everything that is wrong with the flow's table; nil when nothing is. It looks at the definition only: whether
// the activities are registered is the worker's to check.
func (f *Flow[S]) Check() error {
	c := checker{}
	c.require(f.Name != "", "a flow has a name")
	c.require(streamPattern.MatchString(f.Stream), "the stream %q must be lower-case letters, digits and dots", f.Stream)
	var s S
	_, embeds := any(&s).(interface{ kit() *Saga })
	c.require(embeds, "the state %T must embed saga.Saga", s)
	pivots := 0
	earlier := map[string]bool{SlotAccept: true}
	for _, reserved := range []string{SlotAccept, SlotDecide, SlotTurn, SlotEnd} {
		c.seen = add(c.seen, "slot/"+reserved)
	}
	for i := range f.Steps {
		row := &f.Steps[i]
		c.step = row.Name
		c.unique("name", row.Name)
		if row.Kind == Pivot {
			pivots++
			c.require(row.slot() == SlotDecide, "the slot of the pivot is %q", SlotDecide)
		} else {
			c.unique("slot", row.slot())
		}
		f.checkRow(&c, row, pivots)
		if row.Wait != nil {
			c.require(earlier[row.Wait.Since], "the wait begins with the event of an earlier row, not with %q", row.Wait.Since)
		}
		earlier[row.Name] = true
	}
	c.step = ""
	if len(f.Steps) > 0 {
		c.require(pivots == 1, "a flow has one pivot, not %d", pivots)
	}
	return c.err(f.Name)
}

func (f *Flow[S]) checkRow(c *checker, row *Step[S], pivots int) {
	done := row.Kind == Pivot || row.Done != ""
	c.require(done, "the outcome has a type: Done")
	c.require((row.Wait != nil) == (row.Kind == Await), "a row of the kind %q has a wait, and no other", Await)
	c.require(row.Undo == nil || len(row.Undone) > 0, "the compensation has a type: Undone")
	c.require(row.Lookup == nil || row.Lookup.Within > 0, "a lookup says within which time")
	c.require(row.Pending == nil || row.Lookup != nil, "a pending outcome is looked up")
	switch row.Kind {
	case Compensable:
		c.require(pivots == 0, "a compensable step comes before the pivot")
		c.require(row.Undo != nil, "a compensable step has Undo")
		c.require(row.Do == nil || row.Deadline != "", "a compensable step with Do has a deadline: nothing waits for ever before the pivot")
		c.require(row.Reversible == nil, "a compensable step is compensated, not reversible")
	case Await:
		c.require(row.Do == nil && row.Undo == nil && row.Lookup == nil, "a wait has no calls")
		if row.Wait != nil {
			c.require(len(row.Wait.On) > 0, "a wait says for which events")
			c.require(row.Wait.For != "" && row.Wait.Overdue != "" && row.Wait.Deadline != "", "a wait has For, Overdue and a deadline")
			c.require(row.Wait.Stray == nil || pivots == 0 && row.Wait.Stray.Step != "", "an event that strays is one of a wait before the pivot, and has a name")
			c.require(pivots == 0 || row.Wait.MissingText != "", "a wait after the pivot has MissingText")
			c.require(pivots > 0 || len(row.Wait.Trouble) == 0, "before the pivot a wait has no trouble: the saga turns back")
		}
	case Pivot:
		c.require(row.Do == nil && row.Undo == nil && row.Lookup == nil, "the pivot is an event: nothing is done but to record it")
	case Forward:
		c.require(pivots > 0, "a forward step comes after the pivot")
		c.require(row.Undo == nil, "a forward step is never undone")
		c.require(row.Deadline == "", "a forward step must succeed: it has no deadline")
		c.require(row.Refused == "" || row.RefusedText != "" && row.RefusedError != "", "a refusal that cannot turn the saga back is explained: RefusedText, RefusedError")
		c.require(row.Reversible == nil || row.FinalText != "", "a step that is reversible for a time has FinalText")
	default:
		c.require(false, "%q is no kind", row.Kind)
	}
}

func add(set map[string]bool, key string) map[string]bool {
	if set == nil {
		set = make(map[string]bool)
	}
	set[key] = true
	return set
}
