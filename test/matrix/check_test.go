package matrix

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/test/audit"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// violations returns what is wrong with orders that share no SKU with other orders.
func (l *environment) violations(orders []order.Order) []string {
	var documents []audit.Document
	want := map[string]int64{}
	for _, o := range orders {
		for _, stream := range []string{event.OrderStream(o.ID), event.PaymentStream(o.ID), event.RefundsStream(o.ID), event.LateStream(o.ID)} {
			documents = append(documents, l.documents(stream)...)
		}
		for _, line := range o.Lines {
			if _, seen := want[line.SKU]; !seen {
				documents = append(documents, l.documents(event.StockStream(line.SKU))...)
				want[line.SKU] = 0
			}
			if l.state(o.ID).Status == order.StatusCompleted && line.IsStocked() {
				want[line.SKU] += line.Quantity
			}
		}
	}
	report := audit.Examine(documents)
	report.Described()
	wrong := report.Violations
	for sku, quantity := range want {
		if report.Committed[sku] != quantity {
			wrong = append(wrong, fmt.Sprintf("%d of %s were dispatched, but the completed orders have %d", report.Committed[sku], sku, quantity))
		}
	}
	for _, o := range orders {
		wrong = append(wrong, l.violationsOf(o, report)...)
	}
	for _, o := range orders {
		wrong = append(wrong, l.unanswered(o.ID)...)
	}
	l.bus.mu.Lock()
	defer l.bus.mu.Unlock()
	wrong = append(wrong, l.bus.skipped...)
	l.bus.skipped = nil
	return wrong
}

// violationsOf returns what is wrong with one order apart from the audit's findings in the documents.
func (l *environment) violationsOf(o order.Order, report *audit.Report) []string {
	var wrong []string
	complain := func(format string, args ...any) {
		wrong = append(wrong, fmt.Sprintf("order %s ", o.ID)+fmt.Sprintf(format, args...))
	}
	s := l.state(o.ID)
	if report.Orders[o.ID] == "" && s.Status != order.StatusNeedsAttention {
		complain("has neither ended nor needs attention: %s", s.Status)
	}
	if s.DispatchedAfterCancel() && report.Net[o.ID] != 0 {
		complain("is being undone and was charged")
	}
	// Undos run newest first.
	last := -1
	for _, eventType := range report.Timeline(o.ID) {
		if eventType == event.PaymentRefunded {
			eventType = event.PaymentVoided
		}
		for n, undo := range []string{event.OrderFulfillmentWithdrawn, event.PaymentVoided, event.InventoryReleased} {
			if eventType == undo {
				if n < last {
					complain("was not compensated newest first: %v", report.Timeline(o.ID))
				}
				last = n
			}
		}
	}
	if published := l.bus.of(o.ID); published != s.Head.Version {
		complain("has %d events, and the bus got %d of them", s.Head.Version, published)
	}
	l.list.mu.Lock()
	listed := l.list.states[o.ID]
	l.list.mu.Unlock()
	if listed.Status != s.Status || listed.Head != s.Head {
		complain("is %s at version %d, and is listed as %s at version %d", s.Status, s.Head.Version, listed.Status, listed.Head.Version)
	}
	return wrong
}

// unanswered returns cancellations and dispatches of an order that have no answer. A cancellation is answered if the order
// is cancelled, by the event with the refusal, which answers all of them, or by its record as a late event. Goods that have left although the order
// is being compensated need attention, or came late.
func (l *environment) unanswered(orderID string) []string {
	l.mu.Lock()
	cancels, dispatches := l.cancels[orderID], l.dispatches[orderID]
	l.mu.Unlock()
	s := l.state(orderID)
	answers := map[string]bool{}
	for _, stream := range []string{event.OrderStream(orderID), event.LateStream(orderID)} {
		for _, r := range l.records(stream) {
			answers[r.CausationID] = true
		}
	}
	var wrong []string
	for _, id := range cancels {
		if !s.Cancelled() && !s.CancelRefused && !answers[id] {
			wrong = append(wrong, fmt.Sprintf("the cancellation %s has no answer: the order is %s", id, s.Status))
		}
	}
	// A second dispatch of the same goods has no new information.
	handled := s.Decision != order.Back || s.DispatchedAfterCancel() || len(dispatches) == 0
	for _, id := range dispatches {
		handled = handled || answers[id]
	}
	if !handled {
		wrong = append(wrong, fmt.Sprintf("the dispatch of %s is lost: the order is %s", orderID, s.Status))
	}
	return wrong
}

// story lists all records of an order, for failure messages.
func (l *environment) story(o order.Order) string {
	streams := []string{event.OrderStream(o.ID), event.PaymentStream(o.ID), event.RefundsStream(o.ID), event.LateStream(o.ID)}
	for _, line := range o.Lines {
		streams = append(streams, event.StockStream(line.SKU))
	}
	var b strings.Builder
	for _, stream := range streams {
		for _, r := range l.records(stream) {
			fmt.Fprintf(&b, "\n%s %s %d %s %s %s", r.Time.Format("05.000"), r.Stream, r.Version, r.Key, r.Type, r.Data)
		}
	}
	return b.String()
}

// documents are the raw documents that a stream would be in the collection.
func (l *environment) documents(stream string) []audit.Document {
	var documents []audit.Document
	for _, r := range l.records(stream) {
		data, _ := raw(r.Data).(bson.D)
		documents = append(documents, audit.Document{
			ID: fmt.Sprintf("%s@%010d", r.Stream, r.Version), Stream: r.Stream, Version: r.Version, Key: r.Key,
			EventID: r.ID, Type: r.Type, Source: r.Source, Subject: r.Subject, Time: r.Time,
			CorrelationID: r.CorrelationID, CausationID: r.CausationID, SchemaVersion: int32(r.SchemaVersion),
			Data: data, Hash: r.Hash, PrevHash: r.PrevHash,
		})
	}
	return documents
}

// raw converts JSON to the values that a driver reads from the collection.
func raw(data json.RawMessage) any {
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) == nil && fields != nil {
		d := bson.D{}
		for name, value := range fields {
			d = append(d, bson.E{Key: name, Value: raw(value)})
		}
		return d
	}
	var items []json.RawMessage
	if json.Unmarshal(data, &items) == nil && items != nil {
		a := bson.A{}
		for _, item := range items {
			a = append(a, raw(item))
		}
		return a
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var value any
	_ = decoder.Decode(&value)
	if n, ok := value.(json.Number); ok {
		i, _ := n.Int64()
		return i
	}
	return value
}
