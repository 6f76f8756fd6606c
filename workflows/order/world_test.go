package order_test

import (
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/event/eventtest"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// world is everything around one order, as small as it can be: a stream, and two participants with slots.
type world struct {
	t       require.TestingT
	records []event.Record
	now     time.Time
	timing  order.Timing
	facts   order.Facts

	// stock and money are the participants' slots.
	stock, money slots
	// undos lists what was undone, in order.
	undos []order.Step
	// capture is the answer of the gateway to the capture; captured: money was taken.
	capture  order.Effect
	captured bool
}

// slots are the Do slot and the settle slot of one effect.
type slots struct {
	do     order.Effect
	settle string
}

// attempt is what a participant answers to a Do: the recorded outcome, or the answer that the test sets. It never hears of an
// attempt without an answer.
func (s *slots) attempt(answer order.Effect) order.Effect {
	if s.settle == "undone" {
		return order.Undone
	}
	if s.do == "" {
		s.do = answer
	}
	return s.do
}

// undo makes it not so and keeps it so. It returns false for what is committed, which is never undone.
func (s *slots) undo() bool {
	if s.settle == "committed" {
		return false
	}
	if s.do == "" {
		s.do = order.Undone
	}
	s.settle = "undone"
	return true
}

// commit makes it final. It returns false for what is undone, which is never committed.
func (s *slots) commit() bool {
	if s.settle == "undone" {
		return false
	}
	s.settle = "committed"
	return true
}

func newWorld(t require.TestingT, f order.Fulfillment) *world {
	o := valid()
	o.Fulfillment = f
	w := &world{t: t, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), timing: order.DefaultTiming()}
	w.append(order.Accept(o.Normalize(), "corr", "cause", w.now))
	return w
}

func (w *world) state() order.State {
	s, err := order.Fold(w.records)
	require.NoError(w.t, err)
	return s
}

// receive takes in a signal.
func (w *world) receive(payload any) { w.facts.AddFact(order.FactOf("42", payload)) }

// received reports whether an event of the type was heard.
func (w *world) received(eventType string) bool {
	return slices.ContainsFunc(w.facts.Received, func(f saga.Fact) bool { return f.Type == eventType })
}

// takeNotification takes out the payment notification that the gateway is asked about; nil when there is none.
func (w *world) takeNotification() *saga.Fact {
	for _, eventType := range []string{event.PaymentSucceeded, event.PaymentFailed} {
		if n := slices.IndexFunc(w.facts.Received, func(f saga.Fact) bool { return f.Type == eventType }); n >= 0 {
			fact := w.facts.Received[n]
			w.facts.Received = slices.Delete(slices.Clone(w.facts.Received), n, n+1)
			return &fact
		}
	}
	return nil
}

// append writes entries as a log does: a key is written once.
func (w *world) append(entries ...event.Entry) {
	eventtest.CheckEntries(w.t, entries...)
	for _, e := range entries {
		for _, r := range w.records {
			require.NotEqual(w.t, r.Key, e.Key, "slot %s is written twice", e.Key)
		}
		w.records = append(w.records, event.Record{
			Stream: event.OrderStream("42"), Version: int64(len(w.records)) + 1, Entry: e,
		})
	}
}

// outcome appends what a step came to and what follows from it.
func (w *world) outcome(inline bool, entries ...event.Entry) {
	w.append(entries...)
	w.facts.Stuck = nil
	if s := w.state(); inline || s.Decision != "" {
		w.append(order.Decisions(s, order.Facts{}, w.now, w.timing)...)
	}
}

// act does what Next wants, as a driver does; answers come from draw.
func (w *world) act(draw answers) order.Action {
	s := w.state()
	a := order.Next(s, w.facts, w.now, w.timing)
	switch a.Kind {
	case order.Record:
		w.append(order.Decisions(s, w.facts, w.now, w.timing)...)
		w.facts.Stuck = nil
	case order.Do:
		w.do(s, a.Step, draw)
	case order.Undo:
		w.undo(s, a.Step, draw)
	case order.Lookup:
		if a.Step == order.StepCapture {
			w.proveNotCaptured(s, draw)
			return a
		}
		w.lookup(s, a.Step, draw)
	}
	return a
}

// gone notes that a step which must succeed did not come through.
func (w *world) gone(step order.Step, undo bool) {
	w.facts.Stuck = &order.Stuck{Step: step, Undo: undo, Error: "no answer", Attempts: 1}
}

// proveNotCaptured asks the gateway on behalf of an operator. What was captured is adopted.
func (w *world) proveNotCaptured(s order.State, draw answers) {
	d, decided := s.Decided(w.facts)
	require.True(w.t, decided, "no operator has decided")
	if w.captured {
		w.outcome(draw.inline(), s.Captured("p1", w.now))
		return
	}
	w.facts.NotDone = d.ID
}

// answers decides what participants answer.
type answers interface {
	// effect is what a participant answers to an attempt; empty means that the answer is lost.
	effect(step order.Step) (order.Effect, bool)
	// inline: the step runs inside a workflow task.
	inline() bool
	pending() bool
}

func (w *world) do(s order.State, step order.Step, draw answers) {
	answer, lost := draw.effect(step)
	switch step {
	case order.StepReserve:
		effect := w.stock.attempt(answer)
		if lost {
			w.facts.GivenUp = order.StepReserve
			return
		}
		if effect == order.Undone {
			return
		}
		w.reserved(s, effect, draw)
	case order.StepAuthorize:
		if draw.pending() && w.money.do == "" {
			w.outcome(draw.inline(), s.PaymentPending("p1", w.now, w.now.Add(w.timing.PaymentPending)))
			return
		}
		effect := w.money.attempt(answer)
		switch {
		case lost:
			w.facts.GivenUp = order.StepAuthorize
		case effect == order.Done:
			w.outcome(draw.inline(), s.Authorized("p1", w.now))
		case effect == order.Refused:
			w.outcome(draw.inline(), s.Declined("p1", "no", false, w.now))
		}
	case order.StepCapture:
		w.takeMoney(s, answer, lost, draw)
	case order.StepCommit:
		if lost {
			w.gone(step, false)
			return
		}
		require.True(w.t, w.stock.commit(), "nothing is committed after it was undone")
		w.outcome(draw.inline(), s.CommittedStock(w.now))
	case order.StepRefund:
		item, _ := order.Flow.ItemOf(&s, step)
		if lost {
			w.facts.Stuck = &order.Stuck{Step: step, Item: item, Error: "no answer", Attempts: 1}
			return
		}
		entries, err := order.Flow.Entries(saga.StepInput[order.State]{State: s, Item: item}, step, saga.Done(map[string]any{
			"paymentId": "p1", "amount": s.Refunds[0].Amount, "currency": s.Order.Currency,
		}), w.now)
		require.NoError(w.t, err)
		w.outcome(draw.inline(), entries...)
	}
}

func (w *world) takeMoney(s order.State, answer order.Effect, lost bool, draw answers) {
	if w.capture == "" {
		w.capture = answer
	}
	if lost {
		w.gone(order.StepCapture, false)
		return
	}
	if w.capture != order.Done {
		w.outcome(draw.inline(), s.CaptureRefused("no", w.now))
		return
	}
	require.True(w.t, w.money.commit(), "nothing is captured after it was undone")
	w.captured = true
	w.outcome(draw.inline(), s.Captured("p1", w.now))
}

func (w *world) undo(s order.State, step order.Step, draw answers) {
	_, lost := draw.effect("undo/" + step)
	if lost {
		w.gone(step, true)
		return
	}
	if step == order.StepReserve {
		require.True(w.t, w.stock.undo(), "what is committed is never undone")
	}
	if step == order.StepAuthorize && !w.money.undo() {
		// The payment was captured although the decision says that it was not: an operator decides.
		require.True(w.t, compensated(s), "what is captured is never undone")
		w.gone(step, true)
		return
	}
	w.undos = append(w.undos, step)
	w.outcome(draw.inline(), s.Undone(step, w.now))
}

func (w *world) lookup(s order.State, step order.Step, draw answers) {
	if step == order.StepReserve {
		w.findReservation(s, draw)
		return
	}
	hint := w.takeNotification()
	if hint != nil && w.money.do == "" {
		w.money.do = order.Refused
		if hint.Type == event.PaymentSucceeded {
			w.money.do = order.Done
		}
	}
	switch {
	case w.money.settle != "undone" && w.money.do == order.Done:
		w.outcome(draw.inline(), s.Authorized("p1", w.now))
	case w.money.do == order.Refused:
		w.outcome(draw.inline(), s.Declined("p1", "no", true, w.now))
	case hint == nil:
		w.facts.LookedUp = order.StepAuthorize
	}
}

func (w *world) findReservation(s order.State, draw answers) {
	if w.stock.settle == "undone" || w.stock.do != order.Done && w.stock.do != order.Refused {
		w.facts.LookedUp = order.StepReserve
		return
	}
	w.facts.GivenUp = ""
	w.reserved(s, w.stock.do, draw)
}

// reserved records what a reservation came to.
func (w *world) reserved(s order.State, effect order.Effect, draw answers) {
	lines := []order.LineOutcome{{SKU: "tea", Quantity: 2, Reserved: effect == order.Done}}
	if effect == order.Refused {
		lines[0].Reason = order.ReasonOutOfStock
	}
	w.outcome(draw.inline(), s.Reserved(lines, w.now))
}

// check asserts what must hold at the end.
func (w *world) check() {
	s := w.state()
	require.True(w.t, s.Ended)
	require.True(w.t, s.Status.Terminal())
	if s.Status == order.StatusCompleted {
		require.True(w.t, w.stock.settle == "committed" || w.byHand(order.StepCommit, false), "the stock has not left")
		require.True(w.t, w.money.settle == "committed" || w.byHand(order.StepCapture, false), "nothing was captured")
		require.Empty(w.t, w.undos)
		return
	}
	require.NotEmpty(w.t, s.Reason)
	w.checkUndone()
}

// byHand reports whether an operator has settled the step: that is the exception to what must hold.
func (w *world) byHand(step order.Step, undo bool) bool {
	for _, r := range w.records {
		if r.Type != event.OrderStepSkipped && r.Type != event.OrderStepSubstituted {
			continue
		}
		d, err := event.Decode[saga.ResolutionData](r.Event)
		require.NoError(w.t, err)
		if d.Step == step && d.Undo == undo {
			return true
		}
	}
	return false
}

// compensated reports whether an operator had the order turned back.
func compensated(s order.State) bool { return s.Ending.RequestID != "" }

// checkUndone asserts that nothing is held and nothing was taken.
func (w *world) checkUndone() {
	if !w.byHand(order.StepAuthorize, true) {
		require.False(w.t, w.captured, "an order that did not complete has taken no money")
		require.False(w.t, w.money.do == order.Done && w.money.settle != "undone", "an authorization is never voided")
	}
	if !w.byHand(order.StepReserve, true) {
		require.False(w.t, w.stock.do == order.Done && w.stock.settle != "undone", "stock is held for ever")
	}
	for i := 1; i < len(w.undos); i++ {
		require.Less(w.t, rank(w.undos[i]), rank(w.undos[i-1]), "undos run newest first: %v", w.undos)
	}
}

func rank(step order.Step) int {
	return slices.IndexFunc(order.Flow.Steps, func(row saga.Step[order.State, *order.Participants]) bool { return row.Name == step })
}

// happy are the answers of participants that always do what they are asked.
type happy struct{}

func (happy) effect(order.Step) (order.Effect, bool) { return order.Done, false }
func (happy) inline() bool                           { return true }
func (happy) pending() bool                          { return false }
