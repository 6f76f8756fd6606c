package rabbitmq

import (
	"maps"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
)

const (
	// maxShort is the maximum length of an AMQP short string. The client detects a longer one in the middle of a frame and closes the
	// connection.
	maxShort = 255
	// maxHeaders bounds the size of headers: the properties must fit into one frame, by default 128 KiB; a larger one closes the
	// connection.
	maxHeaders = 96 << 10
)

// FromDelivery returns a delivered message, with headers as plain Go values.
func FromDelivery(d *amqp.Delivery) wire.Message {
	headers, _ := convert[amqp.Table, map[string]any](d.Headers).(map[string]any)
	return wire.Message{
		ContentType: d.ContentType, ContentEncoding: d.ContentEncoding, MessageID: d.MessageId, CorrelationID: d.CorrelationId,
		ReplyTo: d.ReplyTo, Type: d.Type, AppID: d.AppId, Timestamp: d.Timestamp, Headers: headers,
		RoutingKey: d.RoutingKey, Exchange: d.Exchange, Redelivered: d.Redelivered, Body: d.Body,
	}
}

// ToPublishing returns a persistent message for the client. The error is Invalid: the message can never be sent.
func ToPublishing(m wire.Message) (amqp.Publishing, error) {
	headers, _ := convert[map[string]any, amqp.Table](m.Headers).(amqp.Table)
	var p problems
	for at, text := range map[string]string{"/contentType": m.ContentType, "/contentEncoding": m.ContentEncoding,
		"/messageId": m.MessageID, "/correlationId": m.CorrelationID, "/type": m.Type, "/appId": m.AppID, "/routingKey": m.RoutingKey} {
		p.require(len(text) <= maxShort, at, "must have at most %d bytes", maxShort)
	}
	for name := range headers {
		p.require(len(name) <= maxShort, "/headers", "names must have at most %d bytes", maxShort)
	}
	if err := headers.Validate(); err != nil {
		p.require(false, "/headers", "%v", err)
	}
	p.require(sizeOf(m.Headers) <= maxHeaders, "/headers", "must have at most %d bytes", maxHeaders)
	return amqp.Publishing{
		ContentType: m.ContentType, ContentEncoding: m.ContentEncoding, MessageId: m.MessageID, CorrelationId: m.CorrelationID,
		Type: m.Type, AppId: m.AppID, Timestamp: m.Timestamp, DeliveryMode: amqp.Persistent, Headers: headers, Body: m.Body,
	}, fault.NewInvalid("message", p)
}

// convert returns a header value with all its tables, at any depth, converted to the other type. Times are converted to UTC: the client
// returns local times.
func convert[From, To ~map[string]any](value any) any {
	switch v := value.(type) {
	case From:
		if v == nil {
			return To(nil)
		}
		table := make(To, len(v))
		for name, element := range v {
			table[name] = convert[From, To](element)
		}
		return table
	case []any:
		list := make([]any, len(v))
		for i, element := range v {
			list[i] = convert[From, To](element)
		}
		return list
	case time.Time:
		return v.UTC()
	}
	return value
}

// sizeOf returns an upper estimate of the bytes of a header value in a frame.
func sizeOf(value any) int {
	size := 16
	switch v := value.(type) {
	case string:
		size += len(v)
	case []byte:
		size += len(v)
	case []any:
		for _, element := range v {
			size += sizeOf(element)
		}
	case map[string]any:
		for name, element := range v {
			size += len(name) + sizeOf(element)
		}
	}
	return size
}

// withHeaders returns a copy of the message with more headers.
func withHeaders(m wire.Message, more map[string]any) wire.Message {
	headers := make(map[string]any, len(m.Headers)+len(more))
	maps.Copy(headers, m.Headers)
	maps.Copy(headers, more)
	m.Headers = headers
	return m
}

// timeText returns a time for a header. AMQP's own timestamps have whole seconds.
func timeText(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
