package order_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// at acts until the order has come to a step, without doing it.
func (w *world) at(step order.Step, undo bool) {
	for range 50 {
		a := order.Next(w.state(), w.facts, w.now, w.timing)
		if a.Step == step && (a.Kind == order.Undo) == undo && (a.Kind == order.Do || a.Kind == order.Undo) {
			return
		}
		w.act(happy{})
	}
	require.FailNow(w.t, "the order does not come to the step", "%s: %v", step, timeline(w))
}

// stuckAt is an order whose step is stuck, and of which an operator knows.
func stuckAt(t *testing.T, f order.Fulfillment, step order.Step, undo bool, prepare func(w *world)) *world {
	w := newWorld(t, f)
	if prepare != nil {
		prepare(w)
	}
	w.at(step, undo)
	w.gone(step, undo)
	require.Equal(t, order.Record, w.act(happy{}).Kind)
	require.Equal(t, order.StatusNeedsAttention, w.state().Status)
	return w
}

// waiting acts until the order waits.
func (w *world) waiting() {
	for range 50 {
		if w.act(happy{}).Kind == order.Wait {
			return
		}
	}
	require.FailNow(w.t, "the order does not wait", "%v", timeline(w))
}

func dispatched(w *world) {
	w.receive(order.ShipmentSignal{Kind: order.ShipmentDispatched, ShipmentFact: order.ShipmentFact{ID: "e1"}})
}

// cancelledAtTheWarehouse is cancelled while it waits for its dispatch.
func cancelledAtTheWarehouse(w *world) {
	w.waiting()
	w.facts.Cancellations = []order.Cancellation{{ID: "c1"}}
}

// situations make an order of every kind that the desk knows.
var situations = map[order.AttentionKind]func(t *testing.T) *world{
	order.UndoStuck: func(t *testing.T) *world {
		return stuckAt(t, order.Shipment, order.StepAuthorize, true, cancelledAtTheWarehouse)
	},
	order.CaptureStuck: func(t *testing.T) *world {
		return stuckAt(t, order.Immediate, order.StepCapture, false, nil)
	},
	order.ShippedCaptureStuck: func(t *testing.T) *world {
		return stuckAt(t, order.Shipment, order.StepCapture, false, dispatched)
	},
	order.ShippedCaptureRefused: func(t *testing.T) *world {
		w := newWorld(t, order.Shipment)
		dispatched(w)
		for w.state().Capture == "" {
			w.act(script{step: order.StepCapture, answer: order.Refused})
		}
		w.waiting()
		return w
	},
	order.CommitStuck: func(t *testing.T) *world {
		return stuckAt(t, order.Immediate, order.StepCommit, false, nil)
	},
	order.DeliveryMissing: func(t *testing.T) *world {
		w := newWorld(t, order.Shipment)
		w.receive(order.ShipmentSignal{Kind: order.ShipmentLost, ShipmentFact: order.ShipmentFact{ID: "e2"}})
		w.waiting()
		return w
	},
	order.RefundStuck: func(t *testing.T) *world {
		w := newWorld(t, order.Shipment)
		w.receive(order.ShipmentSignal{Kind: order.ShipmentLost, ShipmentFact: order.ShipmentFact{ID: "e2"}})
		w.waiting()
		w.decide(order.Resolution{ID: "d-0", Action: order.Refund})
		for order.Next(w.state(), w.facts, w.now, w.timing).Kind != order.Do {
			w.act(happy{})
		}
		w.facts.Stuck = &order.Stuck{Step: order.StepRefund, Item: w.state().Refunds[0].Item, Error: "the gateway does not answer"}
		w.act(happy{})
		return w
	},
	order.GoodsDispatchedAfterCancel: func(t *testing.T) *world {
		w := newWorld(t, order.Shipment)
		cancelledAtTheWarehouse(w)
		w.act(happy{})
		dispatched(w)
		w.waiting()
		return w
	},
}

// complete is a decision with everything that any decision needs.
func complete(action order.ResolutionAction) order.Resolution {
	return order.Resolution{ID: "d-1", Action: action, By: "ada", Note: "called the provider", Reference: "T-7"}
}

// The table: every decision in every situation, allowed or refused, and what comes of it.
func TestAttentionTable(t *testing.T) {
	require.Len(t, situations, len(order.Allowed))
	for situation, make := range situations {
		for _, action := range order.ResolutionActions {
			t.Run(situation+"/"+string(action), func(t *testing.T) {
				w := make(t)
				require.Equal(t, situation, w.state().AttentionKind())
				require.Equal(t, order.Allowed[situation], w.state().Actions())
				before := timeline(w)
				if !slices.Contains(order.Allowed[situation], action) {
					why := w.state().RejectResolution(complete(action))
					require.Contains(t, why, situation)
					require.Contains(t, why, string(order.Allowed[situation][0]), "it says what is allowed")
					w.facts.Resolutions = []order.Resolution{complete(action)}
					w.act(happy{})
					require.NotContains(t, strings.Join(timeline(w)[len(before):], " "), "order.step_", "what does not fit changes nothing")
					return
				}
				require.True(t, w.decide(complete(action)))
				w.act(happy{})
				if action == order.Compensate {
					w.act(happy{})
				}
				require.True(t, w.state().Recorded("d-1"))
				decided := timeline(w)[len(before):]
				switch action {
				case order.Retry:
					require.Equal(t, []string{event.OrderStepRetried}, decided)
					require.Equal(t, situation, w.state().AttentionKind(), "it stays open")
				case order.Skip:
					require.Equal(t, []string{event.OrderStepSkipped, event.OrderAttentionResolved}, decided[:2])
				case order.Substitute:
					require.Equal(t, []string{event.OrderStepSubstituted, event.OrderAttentionResolved}, decided[:2])
				case order.Refund:
					require.Equal(t, []string{event.OrderRefundRequested, event.OrderAttentionResolved}, decided[:2])
				case order.Resend:
					require.Equal(t, []string{event.OrderResendRequested, event.OrderAttentionResolved}, decided[:2])
				case order.Compensate:
					require.Equal(t, []string{event.OrderCompensating, event.OrderAttentionResolved}, decided[:2])
				}
				w.receive(order.ShipmentSignal{Kind: order.ShipmentDelivered, ShipmentFact: order.ShipmentFact{ID: "e9"}})
				drive(w, happy{}, func(order.Action) {
					require.Equal(t, order.GoodsDispatchedAfterCancel, w.state().AttentionKind(), "nothing else waits any more")
					require.True(t, w.decide(order.Resolution{ID: "d-2", Action: order.Substitute, Reference: "sent back"}))
				})
				w.check()
			})
		}
	}
}

// A decision takes the slot of its step: whichever comes second follows the first.
func TestDecisionAndLateSuccessExcludeEachOther(t *testing.T) {
	for situation, slot := range map[order.AttentionKind]string{
		order.UndoStuck: "undo/authorize", order.CaptureStuck: "capture", order.ShippedCaptureStuck: "capture",
		order.CommitStuck: "commit", order.DeliveryMissing: "deliver",
		order.ShippedCaptureRefused: "capture/settled", order.GoodsDispatchedAfterCancel: "dispatch",
	} {
		w := situations[situation](t)
		require.True(t, w.decide(complete(order.Skip)))
		a := order.Next(w.state(), w.facts, w.now, w.timing)
		require.Equal(t, slot, a.Entry.Key, situation)
	}
	w := situations[order.UndoStuck](t)
	d := complete(order.Skip)
	require.True(t, w.decide(d))
	w.append(w.state().Undone(order.StepAuthorize, w.now))
	require.Equal(t, "nothing is stuck: the order is compensating", w.state().RejectResolution(d))
	w.act(happy{})
	require.NotContains(t, timeline(w), event.OrderStepSkipped)
	require.False(t, w.state().Recorded(d.ID))
}

func TestRejectResolution(t *testing.T) {
	stuck := situations[order.CaptureStuck](t).state()
	for name, c := range map[string]struct {
		resolution order.Resolution
		why        string
	}{
		"no note":           {order.Resolution{Action: order.Skip}, "the note is missing: say why the step is skipped"},
		"no reference":      {order.Resolution{Action: order.Substitute, Note: "done"}, "the reference is missing: say what was done instead, such as the number of a transfer"},
		"another attention": {order.Resolution{Action: order.Retry, Attention: 2}, "attention 2 is not open; the open one is 1: the capture is stuck"},
		"no such action": {order.Resolution{Action: "pray"},
			`the capture is stuck: allowed actions are retry, skip, substitute and compensate, not "pray"`},
		"fits":            {order.Resolution{Action: order.Retry}, ""},
		"fits by number":  {order.Resolution{Action: order.Retry, Attention: 1}, ""},
		"nothing needed":  {order.Resolution{Action: order.Compensate}, ""},
		"note given":      {order.Resolution{Action: order.Skip, Note: "paid in cash"}, ""},
		"reference given": {order.Resolution{Action: order.Substitute, Reference: "T-7"}, ""},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.why, stuck.RejectResolution(c.resolution)) })
	}
	w := newWorld(t, order.Immediate)
	require.Equal(t, "nothing is stuck: the order is accepted", w.state().RejectResolution(complete(order.Skip)))
	require.Nil(t, w.state().Actions())
	drive(w, happy{}, nil)
	require.Equal(t, "the order has ended: it is completed", w.state().RejectResolution(complete(order.Skip)))
}

// Money that was taken is not given back by a decision that nothing was taken.
func TestCompensateIsRefusedAfterCapture(t *testing.T) {
	w := stuckAt(t, order.Immediate, order.StepCapture, false, nil)
	w.money.settle, w.captured = "committed", true
	d := complete(order.Compensate)
	require.True(t, w.decide(d))
	require.Equal(t, order.Action{Kind: order.Lookup, Step: order.StepCapture}, w.act(happy{}))
	require.NotEmpty(t, w.state().RejectResolution(d))
	drive(w, happy{}, nil)
	require.Equal(t, order.StatusCompleted, w.state().Status)
	w.check()
}

func TestCompensateRecordsAuthorAndReason(t *testing.T) {
	w := stuckAt(t, order.Immediate, order.StepCapture, false, nil)
	d := complete(order.Compensate)
	require.True(t, w.decide(d))
	drive(w, happy{}, nil)
	s := w.state()
	require.Equal(t, order.StatusFailed, s.Status)
	require.Equal(t, "capture_unavailable", s.Reason)
	require.Equal(t, "called the provider", s.Detail)
	require.Equal(t, saga.Ending{
		Outcome: order.StatusFailed, Reason: "capture_unavailable", Detail: "called the provider", By: "ada", RequestID: "d-1",
	}, s.Ending)
	w.check()
}

// The proof is asked for again when the run that had it is gone.
func TestLookupBelongsToItsDecision(t *testing.T) {
	w := stuckAt(t, order.Immediate, order.StepCapture, false, nil)
	w.facts.NotDone = "another"
	require.True(t, w.decide(complete(order.Compensate)))
	require.Equal(t, order.Lookup, order.Next(w.state(), w.facts, w.now, w.timing).Kind)
}

func TestAttentionView(t *testing.T) {
	w := newWorld(t, order.Immediate)
	w.at(order.StepCapture, false)
	next := w.now.Add(time.Minute)
	w.facts.Stuck = &order.Stuck{Step: order.StepCapture, Error: "no answer", Attempts: 1, NextTry: next}
	w.act(happy{})
	want := order.AttentionState{
		Open: true, Step: order.StepCapture, Count: 1, Error: "no answer", Attempts: 1, NextTry: next, Since: w.now,
	}
	require.Equal(t, want, w.state().Attention)

	w.now = w.now.Add(time.Second)
	require.True(t, w.decide(order.Resolution{ID: "d-1", Action: order.Retry}))
	w.act(happy{})
	want.NextTry, want.Retries = w.now, 1
	require.Equal(t, want, w.state().Attention)
}

func TestProgressShowsInterventions(t *testing.T) {
	for _, c := range []struct {
		situation order.AttentionKind
		action    order.ResolutionAction
		step      order.Step
		state     saga.StepState
	}{
		{order.UndoStuck, order.Skip, order.StepAuthorize, saga.StepUndoSkippedByHand},
		{order.UndoStuck, order.Substitute, order.StepAuthorize, saga.StepUndoSubstituted},
		{order.CaptureStuck, order.Skip, order.StepCapture, saga.StepSkippedByHand},
		{order.ShippedCaptureRefused, order.Substitute, order.StepCapture, saga.StepSubstituted},
		{order.DeliveryMissing, order.Skip, order.StepDeliver, saga.StepSkippedByHand},
		{order.GoodsDispatchedAfterCancel, order.Substitute, order.StepDispatch, saga.StepSubstituted},
	} {
		w := situations[c.situation](t)
		require.True(t, w.decide(complete(c.action)))
		w.act(happy{})
		require.Contains(t, w.state().Progress(), order.StepProgress{Step: c.step, State: c.state}, c.situation)
	}
	require.Contains(t, situations[order.GoodsDispatchedAfterCancel](t).state().Progress(),
		order.StepProgress{Step: order.StepDispatch, State: saga.StepNow})
}

// What was skipped was not taken; what was substituted was, elsewhere.
func TestTerminalEventHasTheCapturedAmount(t *testing.T) {
	for action, amount := range map[order.ResolutionAction]int64{order.Skip: 0, order.Substitute: 3800} {
		w := situations[order.CaptureStuck](t)
		require.True(t, w.decide(complete(action)))
		drive(w, happy{}, nil)
		end, err := event.Decode[order.Ending](w.records[len(w.records)-1].Event)
		require.NoError(t, err)
		require.Equal(t, order.StatusCompleted, end.Outcome)
		require.Equal(t, amount, end.TotalAmount)
	}
}

func TestEqualDecisionsAreOne(t *testing.T) {
	w := situations[order.CaptureStuck](t)
	s := w.state()
	skip := order.Resolution{Action: order.Skip, Note: "paid in cash"}
	first := skip.Identified("order-42", s.Attention, "")
	require.Equal(t, 1, first.Attention)
	require.True(t, event.ValidID(first.ID))
	require.Equal(t, first, skip.Identified("order-42", s.Attention, ""))
	by := skip
	by.By = "ada"
	require.Equal(t, first.ID, by.Identified("order-42", s.Attention, "").ID, "the ID does not depend on the sender")

	other := []order.Resolution{skip.Identified("order-42", s.Attention, "k"), {Action: order.Skip, Note: "paid"}, {Action: order.Substitute, Reference: "paid in cash"}}
	for i, d := range other[1:] {
		other[i+1] = d.Identified("order-42", s.Attention, "")
	}
	for _, d := range other {
		require.NotEqual(t, first.ID, d.ID)
	}

	about := skip
	about.Attention = 2
	require.NotEqual(t, first.ID, about.Identified("order-42", s.Attention, "").ID, "another attention")
	require.Equal(t, 2, about.Identified("order-42", s.Attention, "").Attention)
	require.Equal(t, skip.Identified("order-42", s.Attention, "k").ID, about.Identified("order-42", s.Attention, "k").ID, "a key makes it one")

	retry := order.Resolution{Action: order.Retry}.Identified("order-42", s.Attention, "")
	require.Equal(t, retry, order.Resolution{Action: order.Retry}.Identified("order-42", s.Attention, ""), "not yet tried again")
	require.True(t, w.decide(retry))
	w.act(happy{})
	require.NotEqual(t, retry.ID, order.Resolution{Action: order.Retry}.Identified("order-42", w.state().Attention, "").ID, "again, after it was")
	require.Equal(t, order.Resolution{Action: order.Retry}.Identified("order-42", s.Attention, "k").ID,
		order.Resolution{Action: order.Retry}.Identified("order-42", w.state().Attention, "k").ID, "a key makes it one")
}

func TestValidateNamesEveryField(t *testing.T) {
	pointers := func(r order.Resolution) []string {
		var list []string
		for _, f := range fault.FieldsOf(r.Validate()) {
			list = append(list, f.Pointer)
		}
		return list
	}
	require.Equal(t, []string{"/action", "/note", "/reference", "/attention", "/by"}, pointers(order.Resolution{
		Action: "pray", Attention: -1, Note: strings.Repeat("é", order.MaxNote+1), Reference: strings.Repeat("é", order.MaxReference+1), By: "a b",
	}))
	require.Equal(t, []string{"/note"}, pointers(order.Resolution{Action: order.Skip}))
	require.Equal(t, []string{"/reference"}, pointers(order.Resolution{Action: order.Substitute}))
	for _, action := range order.ResolutionActions {
		require.NoError(t, complete(action).Validate())
	}
}
