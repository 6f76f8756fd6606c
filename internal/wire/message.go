package wire

import (
	"strings"
	"time"
)

// MaxBody is the largest body that is decoded or encoded, in bytes. It is far below the limits of the broker
// (16 MiB by default from RabbitMQ 4) and of a Temporal payload (2 MiB).
const MaxBody = 1 << 20

// ContentType is the content type of everything that Encode makes.
const ContentType = "application/cloudevents+json"

// AppID is the AMQP app_id of everything that Encode makes.
const AppID = "ordersaga"

// Exchange is the topic exchange that events are published to unless the broker is configured otherwise.
const Exchange = "domain_events"

// HeaderCorrelationID is the header that is the last place where a correlation id is looked for.
const HeaderCorrelationID = "x-correlation-id"

// Message is a message of a broker that speaks AMQP 0-9-1: its properties, where it came from or goes to, and
// its body.
type Message struct {
	ContentType, ContentEncoding string
	// MessageID is the id of the event in it, unless its sender had other ideas.
	MessageID     string
	CorrelationID string
	// ReplyTo names the queue in which the sender of a received message waits for a reply. It is not sent.
	ReplyTo string
	// Type is the event's type.
	Type string
	// AppID names the producer.
	AppID string
	// Timestamp has seconds only.
	Timestamp time.Time
	// Headers may hold strings, numbers, booleans, times, byte slices, nil, []any and map[string]any.
	Headers map[string]any
	// RoutingKey and Exchange are those that the sender chose.
	RoutingKey, Exchange string
	// Redelivered reports that the broker delivered the message before and did not see it acknowledged.
	Redelivered bool
	Body        []byte
}

// Header returns the text of the header with this name, whatever its case; the exact name comes first,
// then the first in byte order.
func (m Message) Header(name string) (string, bool) {
	if text, ok := headerText(m.Headers[name]); ok {
		return text, true
	}
	found := ""
	for key := range m.Headers {
		if _, ok := headerText(m.Headers[key]); ok && strings.EqualFold(key, name) && (found == "" || key < found) {
			found = key
		}
	}
	return headerText(m.Headers[found])
}

func headerText(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case []byte:
		return string(v), true
	}
	return "", false
}
