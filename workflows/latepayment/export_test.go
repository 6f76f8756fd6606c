package latepayment

import "github.com/ordersaga/ordersaga/workflows/saga"

// Allowed is the table of what may be decided when.
var Allowed = Flow.AttentionKinds()

// Situation returns what an operator is asked to look at, "" when nothing is open.
func (s State) Situation() string {
	text, _ := Flow.AttentionKind(&s)
	return text
}

// Actions lists what may be decided about what is open; nil when nothing is.
func (s State) Actions() []saga.ResolutionAction { return Allowed[s.Situation()] }

// RejectResolution says for people why a decision does not fit, or "" when it does.
func (s State) RejectResolution(r saga.Resolution) string { return Flow.RejectResolution(&s, r) }
