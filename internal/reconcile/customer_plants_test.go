package reconcile_test

import (
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/reconcile"
	secret "github.com/ordersaga/ordersaga/internal/sealed"
	"github.com/ordersaga/ordersaga/workflows/notification"
	"github.com/ordersaga/ordersaga/workflows/onboarding"
)

// stream writes a stream of entries, each created from the entries before it.
func (w *world) stream(name string, entries ...event.Entry) {
	w.edit(name, func([]event.Record) []event.Record {
		var records []event.Record
		for i, e := range entries {
			records = append(records, event.Record{Stream: name, Version: int64(i + 1), Entry: e})
		}
		return records
	})
}

// registers writes a customer's stream as it is before their saga has done anything, an hour ago.
func (w *world) registers(id string) {
	w.stream("customer-"+id, onboarding.State{}.Registered(onboarding.Registration{
		ID: "evt-1", CustomerID: id, OccurredAt: now, Profile: secret.Sealed{KeyID: "k", Text: "AAAA"},
	}, now))
	w.at = now.Add(time.Hour)
}

// intends writes the stream of a welcome message whose sending began an hour ago.
func (w *world) intends(id string) {
	s := notification.State{Subject: notification.Subject{Kind: notification.Welcome, CustomerID: id}}
	w.stream("notice-"+s.Subject.ID(), s.Request("corr", "cause", now.Add(24*time.Hour), now), notification.Flow.Entry(&s, notification.SlotIntent+"1", event.NoticeIntended, now, notification.Intent{Attempt: 1, Token: "token"}))
	w.at = now.Add(time.Hour)
}

var customerPlants = []plant{
	{name: "a customer whose saga never began", kind: reconcile.CustomerUnsettled, subject: "c-1", why: temporalAlone,
		plant: func(w *world) { w.registers("c-1") }},
	{name: "a customer whose saga was terminated", kind: reconcile.CustomerUnsettled, subject: "c-1", why: temporalAlone,
		plant: func(w *world) {
			w.registers("c-1")
			w.others["customer-c-1"] = reconcile.Run{Found: true, Status: "terminated"}
		}},
	{name: "a message without an outcome", kind: reconcile.NoticeUnsettled, subject: "welcome-c-1", why: temporalAlone,
		plant: func(w *world) {
			w.intends("c-1")
			w.others["notice-welcome-c-1"] = reconcile.Run{Found: true, Status: "terminated"}
		}},
}
