package order

// StepState says how far a step is.
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

// StepProgress is a step and how far it is.
type StepProgress struct {
	Step  Step
	State StepState
}

// Steps lists the steps of an order, in their order. The wait for the dispatch belongs to the step that asks for it.
func (o Order) Steps() []Step {
	steps := []Step{StepAccept}
	for row := range Flow.Applicable(&State{Order: o}) {
		if row.Name != StepShip {
			steps = append(steps, row.Name)
		}
	}
	return append(steps, StepComplete)
}

// Progress says how far each step of the order is: what is done, what runs now, what is to come, what was
// undone. It is for people.
func (s State) Progress() []StepProgress {
	var progress []StepProgress
	running := false
	for _, step := range s.Order.Steps() {
		state := s.stepState(step)
		if state == StepToDo {
			switch {
			case s.Ended || s.goesBack():
				state = StepSkipped
			case !running:
				state, running = StepNow, true
			}
		}
		progress = append(progress, StepProgress{Step: step, State: state})
	}
	if s.Strayed {
		progress = append(progress, StepProgress{Step: StepDispatch, State: s.atLargeState()})
	}
	return progress
}

// atLargeState is what became of goods that were dispatched although the order is being undone.
func (s State) atLargeState() StepState {
	if state, ok := s.handState(StepDispatch); ok {
		return state
	}
	return StepNow
}

// handState is the state of a step that an operator has settled.
func (s State) handState(step Step) (StepState, bool) {
	for _, h := range s.ByHand {
		switch {
		case h.Step != step:
		case h.Undo && h.Action == Skip:
			return StepUndoSkippedByHand, true
		case h.Undo:
			return StepUndoSubstituted, true
		case h.Action == Skip:
			return StepSkippedByHand, true
		default:
			return StepSubstituted, true
		}
	}
	return "", false
}

// goesBack reports whether the order is being undone, or will be.
func (s State) goesBack() bool {
	return s.Decision == Back || s.Inventory == InventoryRejected || s.Payment == PaymentDeclined
}

func (s State) stepState(step Step) StepState {
	if state, ok := s.handState(step); ok {
		return state
	}
	switch step {
	case StepAccept:
		return doneIf(s.Opened())
	case StepReserve:
		return undoable(s.Inventory == InventoryReserved, s.Inventory == InventoryRejected && !s.Held, s.Released)
	case StepAuthorize:
		return undoable(s.Payment == PaymentAuthorized, s.Payment == PaymentDeclined, s.Voided)
	case StepConfirm:
		return undoable(!s.ShippedAt.IsZero(), false, s.Withdrawn)
	case StepDecide:
		return doneIf(s.Decision != "")
	case StepCapture:
		return undoable(s.Capture == CaptureDone, s.Capture == CaptureRefused, s.Refunded)
	case StepCommit:
		return doneIf(s.Committed)
	case StepDeliver:
		return doneIf(!s.DeliveredAt.IsZero())
	default:
		return doneIf(s.Ended && s.Decision == Forward && s.Status == StatusCompleted)
	}
}

func undoable(done, refused, undone bool) StepState {
	switch {
	case undone:
		return StepUndone
	case refused:
		return StepRefused
	}
	return doneIf(done)
}

func doneIf(done bool) StepState {
	if done {
		return StepDone
	}
	return StepToDo
}
