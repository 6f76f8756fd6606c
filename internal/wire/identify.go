package wire

import (
	"cmp"

	"github.com/ordersaga/ordersaga/event"
)

// Identity identifies the event in a message. All fields may be empty.
type Identity struct {
	// Type is a type of the catalog, or the text in the message.
	Type string
	// ID, Subject and CorrelationID are as sent, unchecked.
	ID, Subject, CorrelationID string
}

// Identify returns what is readable about the event in a message that Decode refuses, for operators. Numbers are returned as text. It never
// fails.
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
