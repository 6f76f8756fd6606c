package wire

import (
	"cmp"

	"github.com/ordersaga/ordersaga/event"
)

// Identity is what a message says about the event in it. Any field may be empty.
type Identity struct {
	// Type is a name of the catalog, or what the message claims to be.
	Type string
	// ID, Subject and CorrelationID are the sender's, unchecked.
	ID, Subject, CorrelationID string
}

// Identify reads what can be read about the event of a message that Decode refuses, so that a person can find out what was
// lost. Numbers are read as texts. It never fails.
func Identify(m Message) Identity {
	top := skim(m.Body, true)
	envelope, data, pattern := top, top.child("data"), object{}
	attributes, binary := binaryAttributes(m.Headers)
	switch {
	case top.has("specversion"):
	case binary:
		envelope, data = attributes, top
	case top.has("pattern"):
		envelope, data, pattern = data, data.child("data"), top.child("pattern")
	}
	names := []string{envelope.scalar("type"), envelope.scalar("eventType")}
	if len(pattern.fields) == 0 && !binary {
		names = append(names, top.scalar("pattern"))
	}
	for _, name := range patternNames {
		names = append(names, pattern.scalar(name))
	}
	names = append(names, m.Type, m.RoutingKey)
	id := Identity{
		Type:          cmp.Or(names...),
		ID:            cmp.Or(envelope.scalar("id"), top.scalar("id"), m.MessageID),
		CorrelationID: cmp.Or(envelope.scalar("correlationid"), envelope.scalar("correlationId"), m.CorrelationID),
	}
	fields := []string{"orderId"}
	for _, name := range names {
		if typ, known := event.Find(name); known {
			if id.Type = typ.Name; typ.SubjectFields != nil {
				fields = typ.SubjectFields
			}
			break
		}
	}
	for _, name := range fields {
		id.Subject = cmp.Or(id.Subject, data.scalar(name), envelope.scalar(name))
	}
	id.Subject = cmp.Or(id.Subject, envelope.scalar("subject"), envelope.scalar("aggregateId"))
	return id
}
