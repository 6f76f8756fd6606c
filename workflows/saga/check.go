package saga

import (
	"regexp"
	"slices"
	"strings"
)

// streamPattern is the form of a flow's stream prefix: the first hyphen of a stream's name separates it from the ID.
var streamPattern = regexp.MustCompile(`^[a-z][a-z0-9.]*$`)

// Check reports everything that is wrong with the flow's table; nil when nothing is. It looks at the definition only: whether
// the activities are registered is the worker's to check.
func (f *Flow[S, P]) Check() error {
	c := tableChecker{names: make(map[string]bool), waits: map[string]bool{SlotAccept: true}}
	for _, own := range ownActivities {
		c.seen = add(c.seen, "activity/"+f.Activity(own))
	}
	c.require(f.Name != "", "a flow must have a Name")
	c.require(streamPattern.MatchString(f.Stream), "the stream %q must be lower-case letters, digits and dots", f.Stream)
	var s S
	_, embeds := any(&s).(interface{ kit() *Saga })
	c.require(embeds, "the state %T must embed saga.Saga", s)
	for _, own := range []string{SlotAccept, SlotDecide, SlotTurn, SlotEnd, SlotCancelRefused} {
		c.seen = add(c.seen, "slot/"+own)
	}
	for i := range f.Steps {
		c.names[f.Steps[i].Name] = true
	}
	for i := range f.Steps {
		row := &f.Steps[i]
		c.step = row.Name
		c.pastPivot = f.Endless || c.pivots > 0
		if row.Kind == Pivot {
			c.pivots++
		}
		checkSlots(&c, row)
		f.checkTypes(&c, row)
		f.checkEvents(&c, row)
		f.checkCalls(&c, row)
		checkRow(&c, row)
		checkParts(&c, row)
		c.waits[row.Name] = true
		c.awaits = c.awaits || row.Kind == Await
		if c.pastPivot {
			c.forwards++
		}
	}
	c.step = ""
	if len(f.Steps) > 0 {
		c.require(f.Endless || c.pivots == 1, "a flow must have one pivot, not %d", c.pivots)
		c.require(f.Queue != "", "a flow must have a task queue: Queue")
	}
	f.checkEndless(&c)
	f.checkRules(&c)
	return c.err(f.Name)
}

// checkEndless: an endless flow has what it needs, and no other flow has it.
func (f *Flow[S, P]) checkEndless(c *tableChecker) {
	if !f.Endless {
		c.require(f.Next == nil && f.Begin == nil && f.Bound == nil && f.More == "", "only an endless flow may have Next, Begin, Bound and More")
		return
	}
	for i := range f.Steps {
		c.require(f.Steps[i].Kind == Forward, "every step of an endless flow must be of kind %q", Forward)
	}
	c.require(f.Signals == nil && f.TurnBack == nil && f.Late == nil && f.EarlyStream == nil, "an endless flow must have no Signals, TurnBack, Late or EarlyStream: it only receives More")
	c.require(f.Next == nil || f.NoAttention || f.Item != nil, "a flow with Next must have Item, which returns what a step is about")
}

// checkRules: the fields of the flow besides its steps are complete, and signal names are unique.
func (f *Flow[S, P]) checkRules(c *tableChecker) {
	c.seen = add(add(c.seen, "signal/"+SignalCancel), "signal/"+SignalFact)
	if t := f.TurnBack; t != nil {
		c.require(t.Signal != "" && t.Ending != nil, "TurnBack must have Signal and Ending")
		c.seen = add(c.seen, "signal/"+t.Signal)
	}
	for _, s := range f.Signals {
		c.require(s.Name != "", "a signal must have a Name")
		c.require(s.Read != nil, "the signal %q must have Read", s.Name)
		c.require(!c.seen["signal/"+s.Name], "the signal %q is declared twice or used by the kit", s.Name)
		c.seen = add(c.seen, "signal/"+s.Name)
	}
	if l := f.Late; l != nil && l.Workflow != "" {
		c.require(l.WorkflowID != nil && l.Signal != "" && l.Summary != nil && l.Attributes != nil,
			"Late must have Workflow, WorkflowID, Signal, Summary and Attributes")
	}
	f.checkInbound(c)
	c.require((f.EarlyStream != nil) == (f.EarlyType != ""), "EarlyStream and EarlyType must both be set, or neither")
}

// checkInbound: each event from outside has one role, and a step waits for each fact.
func (f *Flow[S, P]) checkInbound(c *tableChecker) {
	cancels := 0
	for _, in := range f.Inbound {
		c.unique("event", in.Name)
		switch in.Role {
		case RoleStart:
			c.require(f.Start != nil, "the event %q starts sagas: the flow must have Start", in.Name)
		case RoleCancel:
			cancels++
			c.require(f.CancelRequested == "" || f.CancelRequested == in.Name, "CancelRequested is %q, but the event that cancels is %q", f.CancelRequested, in.Name)
		case RoleFact:
			c.require(f.listens(in.Name), "no step waits for the event %q", in.Name)
		default:
			c.require(false, "%q is not a role of an event", in.Role)
		}
	}
	c.require(cancels <= 1, "at most one event type may cancel, not %d", cancels)
}

// checkEvents: no step waits for an event that cancels the saga.
func (f *Flow[S, P]) checkEvents(c *tableChecker, row *Step[S, P]) {
	var types []string
	if row.Pending != nil {
		types = append(types, row.Pending.On...)
	}
	if row.Wait != nil {
		types = append(types, row.Wait.On...)
		for _, t := range row.Wait.Trouble {
			types = append(types, t.On)
		}
	}
	for _, t := range types {
		c.require(t != f.cancelRequested() && (f.TurnBack == nil || t != f.TurnBack.Signal), "a step must not wait for %q: it cancels the saga", t)
	}
}

// tableChecker collects what is wrong with a table, row by row.
type tableChecker struct {
	checker
	// names are those of all rows, waits those of the rows so far, whose events may begin a wait.
	names, waits map[string]bool
	pivots       int
	// pastPivot reports that the row comes after the pivot, forwards how many rows did so before it; awaits that one before it waits.
	pastPivot   bool
	forwards    int
	awaits      bool
	afterCancel int
	parts       int
}

// checkSlots: every key that a row may write is its own.
func checkSlots[S, P any](c *tableChecker, row *Step[S, P]) {
	c.unique("name", row.Name)
	if row.Kind == Pivot {
		c.require(row.slot() == SlotDecide, "the slot of the pivot must be %q", SlotDecide)
		return
	}
	for _, prefix := range []string{slotUndo, slotAttention, "cancel/", SlotDecide + "/"} {
		c.require(!strings.HasPrefix(row.slot(), prefix), "slots that begin with %q are reserved", prefix)
	}
	c.unique("slot", row.slot())
	c.unique("slot", row.slot()+slotPending)
	c.unique("slot", row.slot()+slotSettled)
	if row.Wait != nil && row.Wait.AfterCancel != nil {
		c.afterCancel++
		c.require(c.afterCancel == 1, "only one wait of a flow may have AfterCancel")
		c.require(!c.names[row.Wait.AfterCancel.Step], "AfterCancel must not have the name of the step %q", row.Wait.AfterCancel.Step)
		c.unique("slot", row.Wait.AfterCancel.Step)
	}
}

// checkTypes: the types of a row's outcomes are there, and are not the kit's own.
func (f *Flow[S, P]) checkTypes(c *tableChecker, row *Step[S, P]) {
	c.require(row.Kind == Pivot || row.Done != "" || f.Next != nil, "the outcome must have a type: Done")
	c.require(row.Undo == nil || len(row.Undone) > 0, "the compensation must have a type: Undone")
	c.require(row.Refused == "" || row.Do != nil || row.Parts != nil, "a step without Do must not have Refused, unless it is a wait in parts")
	types := append([]string{row.Done, row.Refused}, row.Undone...)
	if row.Pending != nil {
		types = append(types, row.Pending.Event)
	}
	c.require(row.Done == "" || row.Done != row.Refused && (row.Pending == nil || row.Done != row.Pending.Event),
		"the outcomes must have different types")
	for _, t := range types {
		kind, prefixed := strings.CutPrefix(t, f.prefix()+".")
		c.require(!prefixed || !slices.Contains(kitKinds, kind), "the type %q is reserved", t)
	}
}

// kitKinds are the types of the kit's own events, after the prefix of the flow.
var kitKinds = []string{
	kindAccepted, kindSettling, kindCompensating, kindCancellationRefused, kindNeedsAttention, kindAttentionResolved, kindStepRetried,
	kindStepSkipped, kindStepSubstituted, kindLate, kindKept, string(Completed), string(Rejected), string(Cancelled), string(Failed),
}

// ownActivities are the kit's activities of a flow, see Activity.
var ownActivities = []string{"Open", "Record", "Publish", "List", "Late", "Recover"}

func (f *Flow[S, P]) checkCalls(c *tableChecker, row *Step[S, P]) {
	for _, kind := range []ActionKind{Do, Lookup, Undo} {
		o := row.Operation(kind)
		if o == nil {
			continue
		}
		c.require(kind == Lookup || o.Within == 0, "only a lookup may have Within")
		c.require(kind != Lookup || o.Within > 0, "a lookup must have Within")
		if kind == Undo && row.Do == nil {
			c.require(o.Run == nil && o.Name == "", "the compensation of a step without Do only records Undone: it must have no Run and no Name")
			continue
		}
		c.require(o.Run != nil, "an operation must have a step function: Run")
		c.unique("activity", f.ActivityOf(row, kind))
	}
	if p := row.Pending; p != nil {
		c.require(row.Kind == Compensable && row.Do != nil && row.Lookup != nil, "only a compensable step with Do and Lookup may be pending")
		c.require(p.Event != "" && len(p.On) > 0 && p.For != "" && p.Deadline != "" && p.Overdue != "",
			"a pending outcome must have Event, On, For, Deadline and Overdue")
	}
}

// checkRow: a row has what its kind needs, and comes where its kind belongs.
func checkRow[S, P any](c *tableChecker, row *Step[S, P]) {
	c.require((row.Wait != nil) == (row.Kind == Await), "a step of kind %q, and no other, must have a Wait", Await)
	switch row.Kind {
	case Compensable:
		c.require(!c.pastPivot, "a compensable step must come before the pivot")
		c.require(!c.awaits, "a compensable step must come before the wait: the wait is the last step before the pivot")
		c.require(row.Undo != nil, "a compensable step must have Undo")
		c.require(row.Do == nil || row.Deadline != "", "a compensable step with Do must have a Deadline: steps before the pivot must not wait forever")
		c.require(row.Reversible == nil, "a compensable step must not have Reversible")
	case Await:
		c.require(row.Do == nil && row.Undo == nil && row.Lookup == nil, "a wait must not have Do, Undo or Lookup")
		c.require(c.pastPivot || !c.awaits, "only one wait may come before the pivot")
		if row.Wait != nil {
			checkWait(c, row.Wait)
		}
	case Pivot:
		c.require(row.Do == nil && row.Undo == nil && row.Lookup == nil, "the pivot must not have Do, Undo or Lookup: it is only recorded")
		c.require(row.When == nil, "the pivot must not have When: it applies to every saga")
	case Forward:
		c.require(c.pastPivot, "a forward step must come after the pivot")
		c.require(row.Undo == nil, "a forward step must not have Undo: it is never compensated")
		c.require(row.Deadline == "", "a forward step must not have a Deadline: it must succeed")
		c.require(row.Refused == "" || row.RefusedText != "" && row.RefusedError != "",
			"a forward step that can be refused must have RefusedText and RefusedError")
		c.require(row.Reversible == nil || c.forwards == 0, "only the first step after the pivot may be reversible: forward steps before it are not compensated")
		c.require(row.SkipReason == "" || row.Reversible != nil, "only a reversible step may have SkipReason")
		c.require(row.Reversible == nil || row.FinalText != "", "a reversible step must have FinalText")
	default:
		c.require(false, "%q is not a kind of step", row.Kind)
	}
}

func checkWait(c *tableChecker, w *WaitRule) {
	c.require(len(w.On) > 0, "a wait must name its events: On")
	c.require(w.For != "" && w.Overdue != "" && w.Deadline != "", "a wait must have For, Overdue and Deadline")
	c.require(c.waits[w.Since], "Since of a wait must name an earlier step, not %q", w.Since)
	if c.pastPivot {
		c.require(w.AfterCancel == nil, "only a wait before the pivot may have AfterCancel")
		c.require(w.MissingText != "", "a wait after the pivot must have MissingText")
		return
	}
	c.require(len(w.Trouble) == 0, "a wait before the pivot must not have Trouble: the saga turns back instead")
	c.require(w.AfterCancel == nil || w.AfterCancel.Step != "" && w.AfterCancel.Text != "" && w.AfterCancel.AttentionKind != "", "AfterCancel must have Step, Text and AttentionKind")
}

// Deadlines are the settings that bound the waits of the table, in its order.
func (f *Flow[S, P]) Deadlines() []Deadline {
	var all []Deadline
	for i := range f.Steps {
		row := &f.Steps[i]
		of := []Deadline{row.Deadline}
		if row.Pending != nil {
			of = append(of, row.Pending.Deadline)
		}
		if row.Wait != nil {
			of = append(of, row.Wait.Deadline)
		}
		for _, d := range of {
			if d != "" && !slices.Contains(all, d) {
				all = append(all, d)
			}
		}
	}
	return all
}

func add(set map[string]bool, key string) map[string]bool {
	if set == nil {
		set = make(map[string]bool)
	}
	set[key] = true
	return set
}
