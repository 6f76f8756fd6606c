package saga

import (
	"encoding/json"
	"time"
)

// MaxCancellations bounds how many cancellations a run keeps. The first one decides; the others get the same answer.
const MaxCancellations = 16

// Collected are the facts that runs of a saga have received, for the run that takes over from them. Facts merge as they do in a run, so
// that the result is bounded however many signals there were. Of a saga that has ended, every fact is kept, without its data: each one
// is late, and is recorded.
type Collected[S, P any] struct {
	flow  *Flow[S, P]
	id    string
	ended bool
	every []Fact
	facts Facts
	turn  *Fact
}

// Collect returns a collection of nothing.
func (f *Flow[S, P]) Collect(id string, ended bool) *Collected[S, P] {
	return &Collected[S, P]{flow: f, id: id, ended: ended}
}

// Len is how many facts are collected.
func (c *Collected[S, P]) Len() int {
	n := len(c.every) + len(c.facts.Cancellations) + len(c.facts.Received)
	if c.turn != nil {
		n++
	}
	return n
}

// Signal adds a signal. Names that no run listens to are passed over. The error says that the payload cannot be read.
func (c *Collected[S, P]) Signal(name string, payload json.RawMessage) error {
	fact, known, err := c.flow.FactOf(c.id, name, payload)
	if known && err == nil {
		c.Add(fact)
	}
	return err
}

// Before adds the facts that a run got from the one before it: those that were received, not those that it found out itself.
func (c *Collected[S, P]) Before(r Resume) {
	for _, cancellation := range r.Facts.Cancellations {
		c.Add(cancellation.fact(c.flow.cancelRequested()))
	}
	for _, facts := range [][]Fact{r.Unconfirmed, r.Facts.Received, r.Missed} {
		for _, fact := range facts {
			c.Add(fact)
		}
	}
	if r.Facts.TurnBack != nil && c.flow.TurnBack != nil {
		c.Add(turnBackFact(c.flow.TurnBack.Signal, *r.Facts.TurnBack))
	}
	for _, late := range r.Late {
		// It has no data: it says nothing about a part to a saga that is open.
		c.Add(Fact{Type: late.Type, ID: late.ID, Cause: late.EventID, Identity: late.Identity, Unused: c.flow.hasParts(late.Type)})
	}
}

// Add adds a fact.
func (c *Collected[S, P]) Add(fact Fact) {
	fact.Asked, fact.NotBefore = 0, time.Time{}
	turns := c.flow.turnsBack(fact)
	switch {
	case turns && c.ended: // nothing to a saga that has ended
	case turns:
		if c.turn == nil {
			c.turn = &fact
		}
	case c.ended:
		fact.Data, fact.Unused = nil, false
		c.every = append(c.every, fact)
	case fact.Unused || !c.flow.merge(&c.facts, fact):
		fact.Data, fact.Unused = nil, true
		c.every = append(c.every, fact)
	}
}

// Facts are what was collected.
func (c *Collected[S, P]) Facts() []Fact {
	facts := c.every
	for _, cancellation := range c.facts.Cancellations {
		facts = append(facts, cancellation.fact(c.flow.cancelRequested()))
	}
	facts = append(facts, c.facts.Received...)
	if c.turn != nil {
		facts = append(facts, *c.turn)
	}
	return facts
}

// Merged are the facts as a run has them, of a saga that has not ended.
func (c *Collected[S, P]) Merged() Facts {
	merged := c.facts
	if c.turn != nil {
		if ending, err := DataOf[Ending](c.turn); err == nil {
			merged.TurnBack = &ending
		}
	}
	return merged
}

// Cancels reports whether a fact is a request to cancel.
func (f *Flow[S, P]) Cancels(fact Fact) bool { return fact.Type == f.cancelRequested() }

// turnsBack reports whether a fact has an undecided saga turn back; it is no event.
func (f *Flow[S, P]) turnsBack(fact Fact) bool {
	return f.TurnBack != nil && fact.Type == f.TurnBack.Signal
}
