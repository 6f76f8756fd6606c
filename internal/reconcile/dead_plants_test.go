package reconcile_test

import (
	"encoding/json"
	"time"

	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/event"
	"github.com/ordersaga/ordersaga/internal/reconcile"
)

func init() { plants = append(plants, deadPlants...) }

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
	{name: "a replay that nobody asked for", kind: reconcile.StreamFold, subject: "dead-letter-1", audit: "letter letter-1 was replayed, and nobody has asked for it",
		plant: func(w *world) { w.letter("letter-1", event.DeadReceived, event.DeadReplayed) }},
}
