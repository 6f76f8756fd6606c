package order

import (
	"time"

	"github.com/ordersaga/ordersaga/workflows/saga"
)

// RejectCancellation says for people why a cancellation cannot be honoured any more, or "" when it can.
func (s State) RejectCancellation() string { return Flow.RefusalText(&s) }

// Progress returns the state of each step of the order; see saga.Flow.Progress.
func (s State) Progress() []StepProgress { return Flow.Progress(&s) }

// StepProgress is a step and how far it is.
type StepProgress = saga.StepProgress

// IsUndone reports whether a step was compensated, or an operator has decided about its compensation.
func (s State) IsUndone(step Step) bool { return Flow.IsUndone(s, step) }

// PaymentDeadline is until when a pending payment waits for its payer.
func (s State) PaymentDeadline(t Timing) time.Time {
	return Flow.PendingUntil(s, StepAuthorize, t.Settings(false).Of)
}

// ActionKind says what kind of thing is to be done.
type ActionKind = saga.ActionKind

// RejectResolution says for people why a decision does not apply, or "" when it does.
func (s State) RejectResolution(r Resolution) string { return Flow.RejectResolution(&s, r) }

// Decided returns the first decision that applies and is not recorded yet.
func (s State) Decided(f Facts) (Resolution, bool) { return Flow.Decided(&s, f.Resolutions) }

// MaxNote and MaxReference bound the texts of a decision, in characters.
const (
	MaxNote      = saga.MaxNote
	MaxReference = saga.MaxReference
)
