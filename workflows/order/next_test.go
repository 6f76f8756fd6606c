package order_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// script answers one step in its own way, everything else happily.
type script struct {
	happy
	step   order.Step
	answer order.Effect
	lost   bool
	pend   bool
}

func (s script) effect(step order.Step) (order.Effect, bool) {
	if step == s.step {
		return s.answer, s.lost
	}
	return order.Done, false
}
func (s script) pending() bool { return s.pend }

// drive acts until the order ends; at a wait, and before the first act, it calls meanwhile.
func drive(w *world, draw answers, meanwhile func(a order.Action)) {
	for range 100 {
		a := w.act(draw)
		switch a.Kind {
		case order.Close:
			return
		case order.Wait:
			meanwhile(a)
		}
	}
	require.FailNow(w.t, "the order does not end")
}

func timeline(w *world) []string {
	names := make([]string, len(w.records))
	for i, r := range w.records {
		names[i] = r.Type
	}
	return names
}

// count counts the events of a type.
func count(w *world, eventType string) (n int) {
	for _, r := range w.records {
		if r.Type == eventType {
			n++
		}
	}
	return n
}

func TestTimelines(t *testing.T) {
	noWait := func(*world) func(order.Action) {
		return func(a order.Action) { panic(fmt.Sprintf("waits for %s", a.For)) }
	}
	overdue := func(w *world) func(order.Action) { return func(a order.Action) { w.now = a.Until } }
	cases := []struct {
		name        string
		fulfillment order.Fulfillment
		draw        answers
		prepare     func(*world)
		wait        func(*world) func(order.Action)
		status      order.Status
		reason      string
		timeline    []string
	}{
		{"immediate", order.Immediate, happy{}, nil, noWait, order.StatusCompleted, "", []string{
			"order.accepted", "inventory.reserved", "payment.authorized", "order.settling", "payment.captured",
			"inventory.committed", "order.completed"}},
		{"shipment", order.Shipment, happy{}, nil, func(w *world) func(order.Action) {
			return func(a order.Action) {
				if !w.heard(event.ShipmentDispatched) {
					w.hear(order.ShipmentSignal{Kind: order.ShipmentDispatched, ShipmentFact: order.ShipmentFact{ID: "e1", Carrier: "dhl"}})
				} else {
					w.hear(order.ShipmentSignal{Kind: order.ShipmentDelivered, ShipmentFact: order.ShipmentFact{ID: "e2"}})
				}
			}
		}, order.StatusCompleted, "", []string{
			"order.accepted", "inventory.reserved", "payment.authorized", "order.confirmed", "order.shipped",
			"order.settling", "payment.captured", "inventory.committed", "order.delivered", "order.completed"}},
		{"delivered implies dispatched", order.Shipment, happy{}, nil, func(w *world) func(order.Action) {
			return func(order.Action) {
				w.hear(order.ShipmentSignal{Kind: order.ShipmentDelivered, ShipmentFact: order.ShipmentFact{ID: "e2"}})
			}
		}, order.StatusCompleted, "", []string{
			"order.accepted", "inventory.reserved", "payment.authorized", "order.confirmed", "order.shipped",
			"order.settling", "payment.captured", "inventory.committed", "order.delivered", "order.completed"}},
		{"out of stock", order.Immediate, script{step: order.StepReserve, answer: order.Refused}, nil, noWait,
			order.StatusRejected, order.ReasonOutOfStock,
			[]string{"order.accepted", "inventory.rejected", "order.rejected"}},
		{"unknown reservation is adopted", order.Immediate, script{step: order.StepReserve, answer: order.Done, lost: true}, nil, noWait,
			order.StatusCompleted, "", []string{"order.accepted", "inventory.reserved", "payment.authorized", "order.settling",
				"payment.captured", "inventory.committed", "order.completed"}},
		{"reserve unavailable", order.Immediate, script{step: order.StepReserve, lost: true}, nil, noWait,
			order.StatusFailed, "reserve_unavailable",
			[]string{"order.accepted", "order.compensating", "inventory.released", "order.failed"}},
		{"declined", order.Immediate, script{step: order.StepAuthorize, answer: order.Refused}, nil, noWait,
			order.StatusRejected, order.ReasonPaymentDeclined, []string{"order.accepted", "inventory.reserved",
				"payment.declined", "order.compensating", "inventory.released", "order.rejected"}},
		{"unknown authorization is adopted", order.Immediate, script{step: order.StepAuthorize, answer: order.Done, lost: true}, nil, noWait,
			order.StatusCompleted, "", []string{"order.accepted", "inventory.reserved", "payment.authorized", "order.settling",
				"payment.captured", "inventory.committed", "order.completed"}},
		{"capture refused before shipping", order.Immediate, script{step: order.StepCapture, answer: order.Refused}, nil, noWait,
			order.StatusRejected, order.ReasonCaptureRefused, []string{"order.accepted", "inventory.reserved",
				"payment.authorized", "order.settling", "payment.capture_refused", "order.compensating", "payment.voided",
				"inventory.released", "order.rejected"}},
		{"cancelled before anything", order.Immediate, happy{}, func(w *world) {
			w.facts.Cancellations = []order.Cancellation{{ID: "c1", Reason: "changed my mind"}}
		}, noWait, order.StatusCancelled, order.ReasonRequested,
			[]string{"order.accepted", "order.compensating", "inventory.released", "order.cancelled"}},
		{"pending too long", order.Immediate, script{pend: true}, nil, overdue, order.StatusFailed, order.ReasonPaymentTimeout,
			[]string{"order.accepted", "inventory.reserved", "payment.pending", "order.compensating", "payment.voided",
				"inventory.released", "order.failed"}},
		{"pending then paid", order.Immediate, script{pend: true}, nil, func(w *world) func(order.Action) {
			return func(order.Action) { w.hear(order.PaymentHint{ID: "h", Succeeded: true}) }
		}, order.StatusCompleted, "", []string{"order.accepted", "inventory.reserved", "payment.pending", "payment.authorized",
			"order.settling", "payment.captured", "inventory.committed", "order.completed"}},
		{"pending then failed", order.Immediate, script{pend: true}, nil, func(w *world) func(order.Action) {
			return func(order.Action) { w.hear(order.PaymentHint{ID: "h"}) }
		}, order.StatusRejected, order.ReasonPaymentFailed, []string{"order.accepted", "inventory.reserved", "payment.pending",
			"payment.declined", "order.compensating", "inventory.released", "order.rejected"}},
		{"never dispatched", order.Shipment, happy{}, nil, overdue, order.StatusFailed, order.ReasonShipmentTimeout,
			[]string{"order.accepted", "inventory.reserved", "payment.authorized", "order.confirmed", "order.compensating",
				"order.fulfillment_withdrawn", "payment.voided", "inventory.released", "order.failed"}},
		{"cancelled while it waits for the warehouse", order.Shipment, happy{}, nil, func(w *world) func(order.Action) {
			return func(order.Action) { w.facts.Cancellations = []order.Cancellation{{ID: "c1"}} }
		}, order.StatusCancelled, order.ReasonRequested,
			[]string{"order.accepted", "inventory.reserved", "payment.authorized", "order.confirmed", "order.compensating",
				"order.fulfillment_withdrawn", "payment.voided", "inventory.released", "order.cancelled"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, c.fulfillment)
			if c.prepare != nil {
				c.prepare(w)
			}
			drive(w, c.draw, c.wait(w))
			require.Equal(t, c.timeline, timeline(w))
			require.Equal(t, c.status, w.state().Status)
			require.Equal(t, c.reason, w.state().Reason)
			w.check()
		})
	}
}

func TestALateCancellationIsRefusedWithAnEvent(t *testing.T) {
	w := newWorld(t, order.Shipment)
	w.hear(order.ShipmentSignal{Kind: order.ShipmentDispatched, ShipmentFact: order.ShipmentFact{ID: "e1"}})
	drive(w, happy{}, func(order.Action) {
		if len(w.facts.Cancellations) == 0 {
			w.facts.Cancellations = []order.Cancellation{{ID: "c1", Reason: "too slow"}, {ID: "c2"}}
			return
		}
		w.hear(order.ShipmentSignal{Kind: order.ShipmentDelivered, ShipmentFact: order.ShipmentFact{ID: "e2"}})
	})
	s := w.state()
	require.Equal(t, order.StatusCompleted, s.Status)
	require.True(t, s.CancelRefused)
	require.Equal(t, 1, count(w, event.OrderCancellationRefused), "the first refusal answers every request: %v", timeline(w))
}

// Logs of older versions have a refusal for each request.
func TestRefusalsOfOlderLogsFold(t *testing.T) {
	w := newWorld(t, order.Immediate)
	for w.state().Decision == "" {
		w.act(script{step: order.StepCapture, lost: true})
	}
	w.facts.Cancellations = []order.Cancellation{{ID: "c1"}}
	old := order.Decisions(w.state(), w.facts, w.now, w.timing)[0]
	require.Equal(t, "cancel/refused", old.Key)
	for _, id := range []string{"c1", "c2"} {
		old.Key = "cancel/" + id
		w.append(old)
	}
	require.True(t, w.state().CancelRefused)
	w.facts.Cancellations = append(w.facts.Cancellations, order.Cancellation{ID: "c3"})
	for _, e := range order.Decisions(w.state(), w.facts, w.now, w.timing) {
		require.NotEqual(t, event.OrderCancellationRefused, e.Type)
	}
}

func TestALostParcelNeedsAttentionAndMayStillArrive(t *testing.T) {
	w := newWorld(t, order.Shipment)
	w.hear(order.ShipmentSignal{Kind: order.ShipmentDispatched, ShipmentFact: order.ShipmentFact{ID: "e1"}})
	drive(w, happy{}, func(order.Action) {
		if !w.heard(event.ShipmentLost) {
			w.hear(order.ShipmentSignal{Kind: order.ShipmentLost, ShipmentFact: order.ShipmentFact{ID: "e2"}})
			return
		}
		require.Equal(t, order.StatusNeedsAttention, w.state().Status)
		w.hear(order.ShipmentSignal{Kind: order.ShipmentDelivered, ShipmentFact: order.ShipmentFact{ID: "e3"}})
	})
	require.Equal(t, order.StatusCompleted, w.state().Status)
	require.Contains(t, timeline(w), event.OrderAttentionResolved)
}

func TestFoldAtTellsHowItStood(t *testing.T) {
	w := newWorld(t, order.Shipment)
	start := w.now
	w.now = w.now.Add(time.Second)
	for range 4 {
		w.act(happy{})
	}
	require.Equal(t, order.StatusAwaitingShipment, w.state().Status)
	then, err := order.FoldAt(w.records, start)
	require.NoError(t, err)
	require.Equal(t, order.StatusAccepted, then.Status)
	before, err := order.FoldAt(w.records, start.Add(-time.Second))
	require.NoError(t, err)
	require.False(t, before.Opened())
}

func TestFoldRefusesAGap(t *testing.T) {
	w := newWorld(t, order.Immediate)
	w.act(happy{})
	w.records[1].Version = 3
	_, err := order.Fold(w.records)
	require.Error(t, err)
}

// decide lets an operator decide, as the driver does: what does not fit is refused, what fits is about the attention
// that is open.
func (w *world) decide(r order.Resolution) bool {
	s := w.state()
	if s.RejectResolution(r) != "" {
		return false
	}
	r.Attention = s.Attention.Count
	w.facts.Resolutions = append(w.facts.Resolutions, r)
	return true
}
