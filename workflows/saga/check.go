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
	c.require(f.Name != "", "a flow has a name")
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
		c.require(f.Endless || c.pivots == 1, "a flow has one pivot, not %d", c.pivots)
		c.require(f.Queue != "", "a flow has a task queue: Queue")
	}
	f.checkEndless(&c)
	f.checkRules(&c)
	return c.err(f.Name)
}

// checkEndless: an endless flow has what it needs, and no other flow has it.
func (f *Flow[S, P]) checkEndless(c *tableChecker) {
	if !f.Endless {
		c.require(f.Next == nil && f.Begin == nil && f.Bound == nil && f.More == "", "only an endless flow has Next, Begin, Bound and More")
		return
	}
	for i := range f.Steps {
		c.require(f.Steps[i].Kind == Forward, "the steps of an endless flow are of the kind %q", Forward)
	}
	c.require(f.Signals == nil && f.TurnBack == nil && f.Late == nil && f.EarlyStream == nil, "an endless flow hears nothing but More")
	c.require(f.Next == nil || f.Unattended || f.Item != nil, "a flow with Next says what a step is about: Item")
}

// checkRules: what the flow has besides its rows is complete, and no signal is taken for another one.
func (f *Flow[S, P]) checkRules(c *tableChecker) {
	c.seen = add(add(c.seen, "signal/"+SignalCancel), "signal/"+SignalFact)
	if t := f.TurnBack; t != nil {
		c.require(t.Signal != "" && t.Ending != nil, "TurnBack has Signal and Ending")
		c.seen = add(c.seen, "signal/"+t.Signal)
	}
	for _, s := range f.Signals {
		c.require(s.Name != "", "a signal has a name")
		c.require(s.Read != nil, "the signal %q has Read", s.Name)
		c.require(!c.seen["signal/"+s.Name], "the signal %q is taken", s.Name)
		c.seen = add(c.seen, "signal/"+s.Name)
	}
	if l := f.Late; l != nil && l.Workflow != "" {
		c.require(l.WorkflowID != nil && l.Signal != "" && l.Summary != nil && l.Attributes != nil,
			"Late has Workflow, WorkflowID, Signal, Summary and Attributes")
	}
	f.checkInbound(c)
	c.require((f.EarlyStream != nil) == (f.EarlyType != ""), "EarlyStream and EarlyType are both there, or none")
}

// checkInbound: each event from outside does one thing, and what tells a saga something is listened to.
func (f *Flow[S, P]) checkInbound(c *tableChecker) {
	cancels := 0
	for _, in := range f.Inbound {
		c.unique("event", in.Name)
		switch in.Role {
		case RoleStart:
			c.require(f.Start != nil, "the event %q starts sagas: the flow has Start", in.Name)
		case RoleCancel:
			cancels++
			c.require(f.CancelRequested == "" || f.CancelRequested == in.Name, "CancelRequested is %q, and the event that cancels is %q", f.CancelRequested, in.Name)
		case RoleFact:
			c.require(f.listens(in.Name), "no row listens to the event %q", in.Name)
		default:
			c.require(false, "%q is no role of an event", in.Role)
		}
	}
	c.require(cancels <= 1, "one type of events cancels, not %d", cancels)
}

// checkEvents: the run takes no event for which a row listens for something else.
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
		c.require(t != f.cancelRequested() && (f.TurnBack == nil || t != f.TurnBack.Signal), "the flow takes %q for a cancellation", t)
	}
}

// tableChecker collects what is wrong with a table, row by row.
type tableChecker struct {
	checker
	// names are those of all rows, waits those of the rows so far, whose events may begin a wait.
	names, waits map[string]bool
	pivots       int
	// pastPivot reports that the row comes after the pivot, forwards how many rows did so before it; awaits that one before it waits.
	pastPivot bool
	forwards  int
	awaits    bool
	strays    int
	parts     int
}

// checkSlots: every key that a row may write is its own.
func checkSlots[S, P any](c *tableChecker, row *Step[S, P]) {
	c.unique("name", row.Name)
	if row.Kind == Pivot {
		c.require(row.slot() == SlotDecide, "the slot of the pivot is %q", SlotDecide)
		return
	}
	for _, prefix := range []string{slotUndo, slotAttention, "cancel/", SlotDecide + "/"} {
		c.require(!strings.HasPrefix(row.slot(), prefix), "slots that begin with %q are the kit's", prefix)
	}
	c.unique("slot", row.slot())
	c.unique("slot", row.slot()+slotPending)
	c.unique("slot", row.slot()+slotSettled)
	if row.Wait != nil && row.Wait.Stray != nil {
		c.strays++
		c.require(c.strays == 1, "one wait of a flow has Stray")
		c.require(!c.names[row.Wait.Stray.Step], "Stray has a name of its own, not that of the row %q", row.Wait.Stray.Step)
		c.unique("slot", row.Wait.Stray.Step)
	}
}

// checkTypes: the types of a row's outcomes are there, and are not the kit's own.
func (f *Flow[S, P]) checkTypes(c *tableChecker, row *Step[S, P]) {
	c.require(row.Kind == Pivot || row.Done != "" || f.Next != nil, "the outcome has a type: Done")
	c.require(row.Undo == nil || len(row.Undone) > 0, "the compensation has a type: Undone")
	c.require(row.Refused == "" || row.Do != nil, "a row without Do is not refused")
	types := append([]string{row.Done, row.Refused}, row.Undone...)
	if row.Pending != nil {
		types = append(types, row.Pending.Event)
	}
	c.require(row.Done == "" || row.Done != row.Refused && (row.Pending == nil || row.Done != row.Pending.Event),
		"the outcomes have types of their own")
	for _, t := range types {
		kind, prefixed := strings.CutPrefix(t, f.prefix()+".")
		c.require(!prefixed || !slices.Contains(kitKinds, kind), "the type %q is the kit's own", t)
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
		c.require(kind == Lookup || o.Within == 0, "only a lookup says within which time")
		c.require(kind != Lookup || o.Within > 0, "a lookup says within which time")
		if kind == Undo && row.Do == nil {
			c.require(o.Run == nil && o.Name == "", "the compensation of a row without Do records Undone: it has no step function and no name")
			continue
		}
		c.require(o.Run != nil, "an operation has a step function")
		c.unique("activity", f.ActivityOf(row, kind))
	}
	if p := row.Pending; p != nil {
		c.require(row.Kind == Compensable && row.Do != nil && row.Lookup != nil, "only a compensable step with Do and Lookup may be pending")
		c.require(p.Event != "" && len(p.On) > 0 && p.For != "" && p.Deadline != "" && p.Overdue != "",
			"a pending outcome has Event, On, For, Deadline and Overdue")
	}
}

// checkRow: a row has what its kind needs, and comes where its kind belongs.
func checkRow[S, P any](c *tableChecker, row *Step[S, P]) {
	c.require((row.Wait != nil) == (row.Kind == Await), "a row of the kind %q has a wait, and no other", Await)
	switch row.Kind {
	case Compensable:
		c.require(!c.pastPivot, "a compensable step comes before the pivot")
		c.require(!c.awaits, "a compensable step comes before the wait: what is awaited is the last before the pivot")
		c.require(row.Undo != nil, "a compensable step has Undo")
		c.require(row.Do == nil || row.Deadline != "", "a compensable step with Do has a deadline: nothing waits for ever before the pivot")
		c.require(row.Reversible == nil, "a compensable step is compensated, not reversible")
	case Await:
		c.require(row.Do == nil && row.Undo == nil && row.Lookup == nil, "a wait has no calls")
		c.require(c.pastPivot || !c.awaits, "one wait comes before the pivot")
		if row.Wait != nil {
			checkWait(c, row.Wait)
		}
	case Pivot:
		c.require(row.Do == nil && row.Undo == nil && row.Lookup == nil, "the pivot is an event: nothing is done but to record it")
		c.require(row.When == nil, "the pivot applies to every saga")
	case Forward:
		c.require(c.pastPivot, "a forward step comes after the pivot")
		c.require(row.Undo == nil, "a forward step is never undone")
		c.require(row.Deadline == "", "a forward step must succeed: it has no deadline")
		c.require(row.Refused == "" || row.RefusedText != "" && row.RefusedError != "",
			"a refusal that cannot turn the saga back is explained: RefusedText, RefusedError")
		c.require(row.Reversible == nil || c.forwards == 0, "only the first step after the pivot is reversible: what comes before it is not undone")
		c.require(row.Reversible == nil || row.FinalText != "", "a step that is reversible for a time has FinalText")
	default:
		c.require(false, "%q is no kind", row.Kind)
	}
}

func checkWait(c *tableChecker, w *WaitRule) {
	c.require(len(w.On) > 0, "a wait says for which events")
	c.require(w.For != "" && w.Overdue != "" && w.Deadline != "", "a wait has For, Overdue and a deadline")
	c.require(c.waits[w.Since], "the wait begins with the event of an earlier row, not with %q", w.Since)
	if c.pastPivot {
		c.require(w.Stray == nil, "an event strays from a wait before the pivot")
		c.require(w.MissingText != "", "a wait after the pivot has MissingText")
		return
	}
	c.require(len(w.Trouble) == 0, "before the pivot a wait has no trouble: the saga turns back")
	c.require(w.Stray == nil || w.Stray.Step != "" && w.Stray.Text != "" && w.Stray.Situation != "", "Stray has Step, Text and Situation")
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
