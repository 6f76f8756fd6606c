package latepayment

import (
	"time"

	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Facts are what a run has seen besides the log.
type Facts struct {
	// Resolutions are operators' decisions that are not recorded yet.
	Resolutions []order.Resolution `json:"resolutions,omitempty"`
	// Stuck is the step that must succeed and does not.
	Stuck *order.Stuck `json:"stuck,omitempty"`
	// Asked counts how often the gateway was asked about the oldest open payment and did not know of any money yet; AskAfter
	// is when it is asked again.
	Asked    int       `json:"asked,omitempty"`
	AskAfter time.Time `json:"askAfter,omitzero"`
}

// Unconfirmed takes in that the gateway does not know of any money yet, although somebody has paid.
func (f *Facts) Unconfirmed(now time.Time) {
	f.Asked++
	f.AskAfter = now.Add(saga.AskAgainAfter(f.Asked))
}

// maxAsks bounds how often the gateway is asked about one payment: over about nine minutes, which is less than what reconcile
// takes for a standstill.
const maxAsks = 10

// MayAskAgain reports whether the gateway would be asked again if it does not know of any money.
func (f Facts) MayAskAgain() bool { return f.Asked+1 < maxAsks }

// lookAgain is how long a run waits for people before it looks at the clock again.
const lookAgain = 30 * 24 * time.Hour

// atLarge is what an operator is asked to look at when goods have left.
var atLarge = order.Stuck{Step: StepDispatch, Error: "the goods were dispatched although the order had ended without them"}

// Next decides what to do about what came late. It is pure.
func Next(s State, f Facts, now time.Time) saga.Action {
	p, open := s.open()
	decision, decided := s.Decided(f)
	switch {
	case decided:
		return saga.Action{Kind: order.Record, Entry: s.resolution(decision, now)}
	case s.Attention.Open && s.settled():
		return saga.Action{Kind: order.Record, Entry: s.attentionResolved(now)}
	case f.Stuck != nil && open && f.Stuck.Step == p.step() && !s.attends(f.Stuck.Step):
		return saga.Action{Kind: order.Record, Entry: s.attention(*f.Stuck, now)}
	case open && !p.Judged && now.Before(f.AskAfter):
		return saga.Action{Kind: order.Wait, Step: StepJudge, Item: p.ID, Until: f.AskAfter, For: "the gateway to know of the payment"}
	case open && !p.Judged:
		return saga.Action{Kind: order.Lookup, Step: StepJudge, Item: p.ID}
	case open:
		return saga.Action{Kind: order.Do, Step: StepRefund, Item: p.ID}
	case s.goodsOpen() && !s.attends(StepDispatch):
		return saga.Action{Kind: order.Record, Entry: s.attention(atLarge, now)}
	case s.goodsOpen():
		return saga.Action{Kind: order.Wait, Step: StepDispatch, Until: now.Add(lookAgain), For: "somebody to look after the goods"}
	}
	return saga.Action{Kind: order.Close}
}

// Payment returns the payment of an action's item.
func (s State) Payment(id string) Matter {
	for _, p := range s.Payments {
		if p.ID == id {
			return p
		}
	}
	return Matter{}
}

// Open reports whether something is left to be settled.
func (s State) Open() bool {
	return s.Unsettled() || s.goodsOpen() || s.Attention.Open
}

// Unsettled reports whether a payment is left to be looked up or given back.
func (s State) Unsettled() bool {
	_, open := s.open()
	return open || s.More
}

// open returns the oldest payment that is not settled.
func (s State) open() (Matter, bool) {
	for _, p := range s.Payments {
		if p.open() {
			return p, true
		}
	}
	return Matter{}, false
}

// Asked is the ID of the payment about which the gateway is asked next: the oldest one that is open. It is empty when none is.
func (s State) Asked() string {
	p, _ := s.open()
	return p.ID
}

func (s State) goodsOpen() bool { return s.Goods && !s.GoodsSettled }

// attends reports whether an operator is being asked to look at the step.
func (s State) attends(step order.Step) bool { return s.Attention.Open && s.Attention.Step == step }

// settled reports whether what an operator was asked to look at has gone through.
func (s State) settled() bool {
	if s.Attention.Step == StepDispatch {
		return !s.goodsOpen()
	}
	for _, p := range s.Payments {
		if p.ID == s.About {
			return !p.open() || p.step() != s.Attention.Step
		}
	}
	return true
}
