package reconcile_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/reconcile"
	"github.com/ordersaga/ordersaga/workflows/order"
)

func init() { plants = append(plants, deadPlants...) }

// refused writes the stream of an open dead letter that holds an event about an order.
func (w *world) refused(id, eventType, orderID string, reason fault.Code) {
	stream := event.DeadStream(id)
	w.edit(stream, func([]event.Record) []event.Record {
		return []event.Record{{Stream: stream, Version: 1, Entry: event.New(stream, "receive", event.DeadReceived, id, now, deadletter.ReceivedData{
			LetterID: id, Reason: reason, PayloadHash: deadletter.HashOf([]byte(id)), Type: eventType, Subject: orderID,
		})}}
	})
	w.at = now.Add(6 * time.Minute)
}

// before stores a cancellation that arrived before its order.
func (w *world) before(orderID string) {
	stream := event.EarlyStream(orderID)
	w.edit(stream, func([]event.Record) []event.Record {
		e := order.Flow.Early(orderID, order.Cancellation{ID: "early", Cause: "evt-0"}, "corr", now)
		return []event.Record{{Stream: stream, Version: 1, Entry: e}}
	})
	w.at = now.Add(20 * time.Minute)
}

// letter writes the stream of a dead letter, an event a type; they all say the same.
func (w *world) letter(id string, types ...string) {
	data, err := json.Marshal(deadletter.ReplayData{LetterID: id, Replay: 1, RequestID: "r-1", PayloadHash: deadletter.HashOf([]byte(id))})
	if err != nil {
		panic(err)
	}
	stream := event.DeadStream(id)
	w.edit(stream, func(records []event.Record) []event.Record {
		for i, kind := range types {
			entry := event.New(stream, string(rune('a'+i)), kind, id, now, json.RawMessage(data))
			records = append(records, event.Record{Stream: stream, Version: int64(i + 1), Entry: entry})
		}
		return records
	})
}

var deadPlants = []plant{
	{name: "a replay that was broken off", kind: reconcile.DeadUnfinished, subject: "letter-1", why: "raw documents do not tell what is on its way",
		plant: func(w *world) {
			w.letter("letter-1", event.DeadReceived, event.DeadReplayRequested)
			w.letter("letter-2", event.DeadReceived, event.DeadReplayRequested, event.DeadReplayed)
			w.letter("letter-3", event.DeadReceived)
			w.at = now.Add(6 * time.Minute)
		}},
	{name: "a retry that was broken off", kind: reconcile.DeadUnfinished, subject: "letter-1", why: "raw documents do not tell what is on its way",
		plant: func(w *world) {
			w.letter("letter-1", event.DeadReceived, event.DeadRetryBegun)
			w.at = now.Add(6 * time.Minute)
		}},
	{name: "a fact that was refused for a remark", kind: reconcile.FactUndelivered, subject: "letter-1", why: serviceAlone,
		plant: func(w *world) { w.refused("letter-1", event.ShipmentDispatched, "back", fault.Invalid) }},
	{name: "a payment whose order came after it was given up", kind: reconcile.FactUndelivered, subject: "letter-1", why: serviceAlone,
		plant: func(w *world) { w.refused("letter-1", event.PaymentSucceeded, "done", fault.OrderUnknown) }},
	{name: "a cancellation whose order was charged", kind: reconcile.CancellationUnanswered, subject: "done", why: serviceAlone,
		plant: func(w *world) { w.before("done") }},
	{name: "a replay without a request", kind: reconcile.StreamFold, subject: "dead-letter-1", audit: "letter letter-1 was replayed without a request",
		plant: func(w *world) { w.letter("letter-1", event.DeadReceived, event.DeadReplayed) }},
}

// TestAnsweredLettersAreNotReported: the same letters and cancellations, about orders that are unknown or have recorded them.
func TestAnsweredLettersAreNotReported(t *testing.T) {
	for name, plant := range map[string]func(w *world){
		"an event that is no fact":            func(w *world) { w.refused("letter-1", event.OrderCreated, "done", fault.Conflict) },
		"a fact about an unknown order":       func(w *world) { w.refused("letter-1", event.PaymentSucceeded, "ghost", fault.OrderUnknown) },
		"a cancellation that was carried out": func(w *world) { w.refused("letter-1", event.OrderCancellationRequested, "back", fault.OrderUnknown) },
		"a letter that cannot be decoded": func(w *world) {
			w.refused("letter-1", event.PaymentSucceeded, "done", fault.Invalid)
			w.at = now.Add(time.Minute)
		},
		"an early cancellation of an unknown order":  func(w *world) { w.before("ghost") },
		"an early cancellation that was carried out": func(w *world) { w.before("back") },
		"an early cancellation that is on its way": func(w *world) {
			w.before("done")
			w.at = now.Add(time.Minute)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			plant(w)
			for _, f := range w.check(reconcile.Options{}).Findings {
				require.NotContains(t, []reconcile.Kind{reconcile.FactUndelivered, reconcile.CancellationUnanswered}, f.Kind, f.Detail)
			}
		})
	}
}
