package latepayment

import "github.com/ordersaga/ordersaga/workflows/saga"

// Allowed is the table of what may be decided when.
var Allowed = Flow.Situations()

// Situation returns what an operator is asked to look at, "" when nothing is open.
func (s State) Situation() string {
	text, _ := Flow.Situation(&s)
	return text
}

// Actions lists what may be decided about what is open; nil when nothing is.
func (s State) Actions() []saga.ResolutionAction { return Allowed[s.Situation()] }

// WhyNotResolvable says for people why a decision does not fit, or "" when it does.
func (s State) WhyNotResolvable(r saga.Resolution) string { return Flow.WhyNotResolvable(&s, r) }
