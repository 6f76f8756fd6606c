package order

import "github.com/ordersaga/ordersaga/workflows/saga"

// Resolution is a person's decision about what is stuck.
type Resolution = saga.Resolution

// ResolutionAction is what may be decided.
type ResolutionAction = saga.ResolutionAction

// AttentionKind is what a person is asked to act on, in words for people.
type AttentionKind = string

// ResolutionActions lists every decision, and Allowed what may be decided when.
var (
	ResolutionActions = saga.ResolutionActions
	Allowed           = Flow.AttentionKinds()
)

// The decisions.
const (
	Retry      = saga.Retry
	Skip       = saga.Skip
	Substitute = saga.Substitute
	Compensate = saga.Compensate
	Refund     = saga.Refund
	Resend     = saga.Resend
)

// Actions lists what may be decided about what is open; nil when nothing is.
func (s State) Actions() []ResolutionAction {
	_, allowed := Flow.AttentionKind(&s)
	return allowed
}

// AttentionKind says for people what is open; "" when nothing is, or when it settles by itself.
func (s State) AttentionKind() string {
	text, _ := Flow.AttentionKind(&s)
	return text
}
