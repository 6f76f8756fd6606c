package saga

import "strings"

// StepState is the state of a step, for people.
type StepState string

// The states of a step.
const (
	StepToDo    StepState = "to do"
	StepNow     StepState = "now"
	StepDone    StepState = "done"
	StepRefused StepState = "refused"
	StepUndone  StepState = "undone"
	StepSkipped StepState = "not needed"

	StepSkippedByHand     StepState = "skipped by hand"
	StepSubstituted       StepState = "substituted"
	StepUndoSkippedByHand StepState = "undo skipped by hand"
	StepUndoSubstituted   StepState = "undo substituted"
)

// StepProgress is a step and its state.
type StepProgress struct {
	Step  string
	State StepState
}

// StepComplete names the end of a saga among its steps.
const StepComplete = "complete"

// Progress returns the state of each step of a saga: done, running, to do, undone. It begins with
// SlotAccept and ends with StepComplete. The wait before the pivot belongs to the step before it.
func (f *Flow[S, P]) Progress(s *S) []StepProgress {
	n := next[S, P]{flow: f, s: s, k: kitOf(s), facts: &Facts{}}
	var rows []*Step[S, P]
	progress := []StepProgress{{SlotAccept, doneIf(n.k.Opened())}}
	back := n.k.Decision == GoBack
	for row := range f.Applicable(s) {
		back = back || row.Kind == Compensable && n.refused(row)
		rows = append(rows, row)
	}
	past := false
	for i, row := range rows {
		if past = past || row.Kind == Pivot; row.Kind == Await && !past {
			continue
		}
		var awaited *Step[S, P]
		if i+1 < len(rows) && !past && rows[i+1].Kind == Await {
			awaited = rows[i+1]
		}
		progress = append(progress, StepProgress{row.Name, n.stepState(row, awaited)})
	}
	progress = append(progress, StepProgress{StepComplete, doneIf(n.k.Ended && n.k.Decision == GoForward && n.k.Status == Completed)})
	running := false
	for i := range progress {
		switch p := &progress[i]; {
		case p.State != StepToDo:
		case n.k.Ended || back:
			p.State = StepSkipped
		case !running:
			p.State, running = StepNow, true
		}
	}
	if n.k.HappenedAfterCancel {
		for _, row := range rows {
			if row.Wait != nil && row.Wait.AfterCancel != nil {
				progress = append(progress, StepProgress{row.Wait.AfterCancel.Step, n.k.byHand(row.Wait.AfterCancel.Step, StepNow)})
			}
		}
	}
	return progress
}

// stepState is the state of a row. Awaited is the wait before the pivot that belongs to it, if there is one.
func (n *next[S, P]) stepState(row, awaited *Step[S, P]) StepState {
	done := n.isThrough(row)
	if row.Kind == Pivot {
		done = n.k.Decision != ""
	}
	if awaited != nil {
		done = n.k.Has(awaited.slot())
	}
	state := doneIf(done)
	switch {
	case n.flow.Reverted != nil && n.flow.Reverted(n.s, row.Name), len(row.Undone) > 0 && n.k.Has(UndoSlot(row.Name), row.Undone...):
		state = StepUndone
	case n.cameToNothing(row):
		state = StepRefused
	}
	return n.k.byHand(row.Name, state)
}

// byHand is the state of a step that a person has settled, else state.
func (s *Saga) byHand(step string, state StepState) StepState {
	for _, h := range s.ByHand {
		switch {
		case h.Step != step:
		case h.Undo && h.Action == Skip:
			return StepUndoSkippedByHand
		case h.Undo:
			return StepUndoSubstituted
		case h.Action == Skip:
			return StepSkippedByHand
		default:
			return StepSubstituted
		}
	}
	return state
}

func doneIf(done bool) StepState {
	if done {
		return StepDone
	}
	return StepToDo
}

// marks are how a step's state is drawn in the Temporal Web UI: characters that every font has.
var marks = map[StepState]string{
	StepDone: "✓", StepNow: "▶", StepToDo: "○",
	StepRefused: "✗", StepUndone: "↩", StepSkipped: "–",
	StepSkippedByHand: "»", StepSubstituted: "≈", StepUndoSkippedByHand: "»", StepUndoSubstituted: "≈",
}

// DetailsOf shows a saga to people, as Markdown: its status, the note, and each step with how far it is.
func (f *Flow[S, P]) DetailsOf(s *S, note string) string {
	k := kitOf(s)
	if f.Details != nil {
		return f.Details(s, note)
	}
	var b strings.Builder
	b.WriteString("**" + string(k.Status) + "**")
	if k.Reason != "" {
		b.WriteString(" (" + k.Reason + ")")
	}
	if note != "" {
		b.WriteString(", " + note)
	}
	b.WriteString("\n\n")
	for _, p := range f.Progress(s) {
		b.WriteString("- " + marks[p.State] + " " + p.Step + ": " + string(p.State) + "\n")
	}
	return b.String()
}
