package rabbitmq

import (
	"maps"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
)

const (
	// maxShort is the length of AMQP's short strings. The client finds a longer one half way through a frame and
	// closes the whole connection.
	maxShort = 255
	// maxHeaders bounds the headers: properties must fit into one frame, 128 KiB unless configured otherwise, and
	// a larger one ends the connection too.
	maxHeaders = 96 << 10
)

// FromDelivery returns the message as it came, headers as plain Go values.
func FromDelivery(d *amqp.Delivery) wire.Message {
	headers, _ := convert[amqp.Table, map[string]any](d.Headers).(map[string]any)
	return wire.Message{
		ContentType: d.ContentType, ContentEncoding: d.ContentEncoding, MessageID: d.MessageId, CorrelationID: d.CorrelationId,
		ReplyTo: d.ReplyTo, Type: d.Type, AppID: d.AppId, Timestamp: d.Timestamp, Headers: headers,
		RoutingKey: d.RoutingKey, Exchange: d.Exchange, Redelivered: d.Redelivered, Body: d.Body,
	}
}

// ToPublishing returns what the client sends, always persistent. The error is Invalid: such a message can never
// be sent.
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

// convert returns a header value with every table in it, all the way down, as the other type. Times are in UTC: the client has them
// in the zone of this machine.
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

// sizeOf returns about how many bytes a header value takes in a frame, rather too many.
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

// timeText is how times travel in headers: AMQP's own have seconds only.
func timeText(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
