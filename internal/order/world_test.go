package order_test

import (
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ordersaga/ordersaga/internal/event"
	"github.com/ordersaga/ordersaga/internal/order"
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
	// capture is the answer of the gateway to the capture; captured tells that money was taken.
	capture  order.Effect
	captured bool
}

// slots are the Do slot and the settle slot of one effect.
type slots struct {
	do     order.Effect
	settle string
}

// attempt is what a participant answers to a Do: what stands, or what it is told to answer now. It never hears of an
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

// undo makes it not so and keeps it so.
func (s *slots) undo(t require.TestingT) {
	require.NotEqual(t, "committed", s.settle, "what is committed is never undone")
	if s.do == "" {
		s.do = order.Undone
	}
	s.settle = "undone"
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

// append writes entries as a log does: a key is written once.
func (w *world) append(entries ...event.Entry) {
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
	case order.Do:
		w.do(s, a.Step, draw)
	case order.Undo:
		w.undo(s, a.Step, draw)
	case order.Lookup:
		w.lookup(s, a.Step, draw)
	}
	return a
}

// answers decides what participants answer.
type answers interface {
	// effect is what a participant answers to an attempt; empty means that the answer is lost.
	effect(step order.Step) (order.Effect, bool)
	// inline tells that the step runs inside a workflow task.
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
			w.outcome(draw.inline(), s.PaymentPending("p1", w.now))
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
		require.NotEqual(w.t, "undone", w.money.settle, "nothing is captured after it was undone")
		if w.capture == "" {
			w.capture = answer
		}
		switch {
		case w.capture == order.Done:
			w.money.settle, w.captured = "committed", true
			if !lost {
				w.outcome(draw.inline(), s.Captured("p1", w.now))
			}
		case !lost:
			w.outcome(draw.inline(), s.CaptureRefused("no", w.now))
		}
	case order.StepCommit:
		require.NotEqual(w.t, "undone", w.stock.settle, "nothing is committed after it was undone")
		w.stock.settle = "committed"
		if !lost {
			w.outcome(draw.inline(), s.CommittedStock(w.now))
		}
	}
}

func (w *world) undo(s order.State, step order.Step, draw answers) {
	_, lost := draw.effect("undo/" + step)
	switch step {
	case order.StepReserve:
		w.stock.undo(w.t)
	case order.StepAuthorize:
		w.money.undo(w.t)
	}
	if !lost {
		w.undos = append(w.undos, step)
		w.outcome(draw.inline(), s.Undone(step, w.now))
	}
}

func (w *world) lookup(s order.State, step order.Step, draw answers) {
	if step == order.StepReserve {
		w.findReservation(s, draw)
		return
	}
	hint := w.facts.Hint
	w.facts.Hint = nil
	if hint != nil && w.money.do == "" {
		w.money.do = order.Refused
		if hint.Succeeded {
			w.money.do = order.Done
		}
	}
	switch {
	case w.money.settle != "undone" && w.money.do == order.Done:
		w.outcome(draw.inline(), s.Authorized("p1", w.now))
	case w.money.do == order.Refused:
		w.outcome(draw.inline(), s.Declined("p1", "no", true, w.now))
	case hint == nil:
		w.facts.LookedUp = true
	}
}

func (w *world) findReservation(s order.State, draw answers) {
	if w.stock.settle == "undone" || w.stock.do != order.Done && w.stock.do != order.Refused {
		w.facts.LookedUp = true
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
		require.Equal(w.t, "committed", w.stock.settle)
		require.Equal(w.t, "committed", w.money.settle)
		require.Empty(w.t, w.undos)
		return
	}
	require.NotEmpty(w.t, s.Reason)
	w.checkUndone()
}

// checkUndone asserts that nothing is held and nothing was taken.
func (w *world) checkUndone() {
	require.False(w.t, w.captured, "an order that did not complete has taken no money")
	require.False(w.t, w.stock.do == order.Done && w.stock.settle != "undone", "stock is held for ever")
	require.False(w.t, w.money.do == order.Done && w.money.settle != "undone", "an authorization stands for ever")
	for i := 1; i < len(w.undos); i++ {
		require.Less(w.t, rank(w.undos[i]), rank(w.undos[i-1]), "undos run newest first: %v", w.undos)
	}
}

func rank(step order.Step) int {
	for i, s := range (order.Order{Fulfillment: order.Shipment}).Steps() {
		if s == step {
			return i
		}
	}
	return -1
}

// drawn are answers that rapid draws.
type drawn struct{ t *rapid.T }

func (d drawn) effect(step order.Step) (order.Effect, bool) {
	answer := rapid.SampledFrom([]order.Effect{order.Done, order.Done, order.Done, order.Refused}).Draw(d.t, string(step))
	return answer, rapid.IntRange(0, 3).Draw(d.t, "lost") == 0
}
func (d drawn) inline() bool  { return rapid.Bool().Draw(d.t, "inline") }
func (d drawn) pending() bool { return rapid.IntRange(0, 3).Draw(d.t, "pending") == 0 }

// happy are the answers of participants that always do what they are asked.
type happy struct{}

func (happy) effect(order.Step) (order.Effect, bool) { return order.Done, false }
func (happy) inline() bool                           { return true }
func (happy) pending() bool                          { return false }
