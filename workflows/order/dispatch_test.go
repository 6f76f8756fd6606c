package order_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// The goods left although the order was being cancelled: the order needs attention.
func TestDispatchAfterCancelNeedsAttention(t *testing.T) {
	w := newWorld(t, order.Shipment)
	for w.state().ConfirmedAt.IsZero() {
		w.act(happy{})
	}
	w.facts.Cancellations = []order.Cancellation{{ID: "c1"}}
	require.Equal(t, order.Record, w.act(happy{}).Kind)
	require.Equal(t, order.Back, w.state().Decision)
	w.receive(order.ShipmentSignal{Kind: order.ShipmentDispatched, ShipmentFact: order.ShipmentFact{ID: "e1"}})
	for range 20 {
		if kind := w.act(happy{}).Kind; kind == order.Close || kind == order.Wait {
			break
		}
	}
	require.Contains(t, timeline(w), event.OrderNeedsAttention)
}

// What is known at the moment of the decision: the goods have left. Nothing can be undone then.
func TestKnownDispatchIsNotCancelled(t *testing.T) {
	w := newWorld(t, order.Shipment)
	for w.state().ConfirmedAt.IsZero() {
		w.act(happy{})
	}
	w.receive(order.ShipmentSignal{Kind: order.ShipmentDispatched, ShipmentFact: order.ShipmentFact{ID: "e1"}})
	w.facts.Cancellations = []order.Cancellation{{ID: "c1"}}
	w.act(happy{})
	require.Equal(t, order.Forward, w.state().Decision, "%v", timeline(w))
	require.True(t, w.state().CancelRefused)
}

// One append takes a limited number of entries.
func TestDecisionsFitOneAppend(t *testing.T) {
	w := newWorld(t, order.Immediate)
	for w.state().Decision == "" {
		w.act(script{step: order.StepCapture, lost: true})
	}
	for n := range 150 {
		w.facts.Cancellations = append(w.facts.Cancellations, order.Cancellation{ID: string(rune('a'+n%26)) + string(rune('a'+n/26))})
	}
	entries := order.Decisions(w.state(), w.facts, w.now, w.timing)
	require.NotEmpty(t, entries)
	require.LessOrEqual(t, len(entries), 100)
}

// Half of the append is in the log, and the run that knew of the dispatch is gone with its facts.
func TestRecordedDispatchIsNotCancelled(t *testing.T) {
	w := newWorld(t, order.Shipment)
	for range 10 {
		if w.act(happy{}).Kind == order.Wait {
			break
		}
	}
	w.receive(order.ShipmentSignal{Kind: order.ShipmentDispatched, ShipmentFact: order.ShipmentFact{ID: "d", Cause: "d"}})
	entries := order.Decisions(w.state(), w.facts, w.now, w.timing)
	require.Equal(t, event.OrderShipped, entries[0].Type)
	w.append(entries[0])
	w.facts = order.Facts{Cancellations: []order.Cancellation{{ID: "c"}}}
	a := order.Next(w.state(), w.facts, w.now.Add(time.Minute), w.timing)
	require.Equal(t, event.OrderSettling, a.Entry.Type)
}
