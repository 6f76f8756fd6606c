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
	// gives the whole connection up.
	maxShort = 255
	// maxHeaders bounds the headers: properties must fit into one frame, 128 KiB unless configured otherwise, and
	// a larger one ends the connection too.
	maxHeaders = 96 << 10
)

// FromDelivery returns the message as it came, headers as plain Go values.
func FromDelivery(d *amqp.Delivery) wire.Message {
	return wire.Message{
		ContentType: d.ContentType, ContentEncoding: d.ContentEncoding, MessageID: d.MessageId, CorrelationID: d.CorrelationId,
		ReplyTo: d.ReplyTo, Type: d.Type, AppID: d.AppId, Timestamp: d.Timestamp, Headers: plainTable(d.Headers),
		RoutingKey: d.RoutingKey, Exchange: d.Exchange, Redelivered: d.Redelivered, Body: d.Body,
	}
}

// ToPublishing returns what the client sends, always persistent. The error is Invalid: such a message can never
// be sent.
func ToPublishing(m wire.Message) (amqp.Publishing, error) {
	p := amqp.Publishing{
		ContentType: m.ContentType, ContentEncoding: m.ContentEncoding, MessageId: m.MessageID, CorrelationId: m.CorrelationID,
		Type: m.Type, AppId: m.AppID, Timestamp: m.Timestamp, DeliveryMode: amqp.Persistent,
		Headers: amqpTable(m.Headers), Body: m.Body,
	}
	var fields []fault.Field
	for at, text := range map[string]string{"/contentType": p.ContentType, "/contentEncoding": p.ContentEncoding,
		"/messageId": p.MessageId, "/correlationId": p.CorrelationId, "/type": p.Type, "/appId": p.AppId, "/routingKey": m.RoutingKey} {
		if len(text) > maxShort {
			fields = append(fields, fault.Fieldf(at, "must have at most %d bytes", maxShort))
		}
	}
	for name := range p.Headers {
		if len(name) > maxShort {
			fields = append(fields, fault.Fieldf("/headers", "names must have at most %d bytes", maxShort))
		}
	}
	if err := p.Headers.Validate(); err != nil {
		fields = append(fields, fault.Fieldf("/headers", "%v", err))
	}
	if sizeOf(p.Headers) > maxHeaders {
		fields = append(fields, fault.Fieldf("/headers", "must have at most %d bytes", maxHeaders))
	}
	return p, fault.NewInvalid("message", fields)
}

// plainTable returns a table of the client as a map, all the way down.
func plainTable(t amqp.Table) map[string]any {
	if t == nil {
		return nil
	}
	plain := make(map[string]any, len(t))
	for name, value := range t {
		plain[name] = plainValue(value)
	}
	return plain
}

func plainValue(value any) any {
	switch v := value.(type) {
	case amqp.Table:
		return plainTable(v)
	case []any:
		plain := make([]any, len(v))
		for i := range v {
			plain[i] = plainValue(v[i])
		}
		return plain
	case time.Time:
		return v.UTC() // the client has it in the zone of this machine
	}
	return value
}

// amqpTable is the inverse of plainTable.
func amqpTable(m map[string]any) amqp.Table {
	if m == nil {
		return nil
	}
	table := make(amqp.Table, len(m))
	for name, value := range m {
		table[name] = amqpValue(value)
	}
	return table
}

func amqpValue(value any) any {
	switch v := value.(type) {
	case map[string]any:
		return amqpTable(v)
	case []any:
		values := make([]any, len(v))
		for i := range v {
			values[i] = amqpValue(v[i])
		}
		return values
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
	case amqp.Table:
		for name, element := range v {
			size += len(name) + sizeOf(element)
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

// stamp is how times travel in headers: AMQP's own have seconds only.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
