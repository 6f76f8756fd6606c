package wire

import (
	"strings"
	"time"
)

// MaxBody is the maximum size of a body, in bytes. It is far below the limits of the broker (16 MiB by default since RabbitMQ 4) and of a Temporal
// payload (2 MiB).
const MaxBody = 1 << 20

// ContentType is the content type of encoded messages.
const ContentType = "application/cloudevents+json"

// AppID is the AMQP app_id of encoded messages.
const AppID = "ordersaga"

// Exchange is the default topic exchange for events.
const Exchange = "domain_events"

// HeaderCorrelationID is a header that is used if a message has no other correlation ID.
const HeaderCorrelationID = "x-correlation-id"

// Message is an AMQP 0-9-1 message: properties, exchange and routing key, and body.
type Message struct {
	ContentType, ContentEncoding string
	// MessageID is usually the ID of the event.
	MessageID     string
	CorrelationID string
	// ReplyTo is the queue in which the sender of a received message waits for a reply. It is not sent.
	ReplyTo string
	// Type is the type of the event.
	Type string
	// AppID is the name of the producer.
	AppID string
	// Timestamp has whole seconds.
	Timestamp time.Time
	// Headers may have strings, numbers, booleans, times, byte slices, nil, []any and map[string]any.
	Headers map[string]any
	// RoutingKey and Exchange are those of the sender.
	RoutingKey, Exchange string
	// Redelivered is set by the broker for a redelivery.
	Redelivered bool
	Body        []byte
}

// Header returns the text of a header, ignoring case; the exact name has precedence, then the first name in byte order.
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
