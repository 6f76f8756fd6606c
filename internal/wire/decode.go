package wire

import (
	"bytes"
	"mime"
	"slices"
	"strings"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Decode returns the event in a message.
//
// Fields that the body does not have are taken from the properties of the message: the type from the AMQP type and then the routing key, the ID
// from message_id, the time from timestamp, the source from app_id, the correlation ID from correlation_id and then the header
// x-correlation-id. An event without an ID gets one that is derived from its type and body: equal bytes have the same ID, so that a
// redelivery is recognized; different events with equal bytes must have IDs. Additive events (event.Type.IDField) without an ID are
// refused: two receipts of the same quantity have equal bytes.
//
// Type is the name in the catalog, also if the message has an alias. All types of the catalog are decoded; the caller checks whether a type
// may come from the bus. A name that is not in the catalog is skipped: bodies have other fields named type, and clients put class names
// into the AMQP type.
//
// Facts about an order (event.Type.Fact) are decoded if their type and order can be determined. Other errors in them are repaired or
// ignored: invalid UTF-8, duplicate names, attributes that are not strings, invalid IDs and times.
//
// Time is zero if the message has none, or an invalid one in an event whose time is not used. Data is compact JSON, an object, in the newest
// version of the type; it is empty if the message has no data. Its content is not checked here.
//
// Errors: TooLarge over MaxBody; UnsupportedMediaType for compressed bodies, batches and data that is not JSON; Malformed; UnknownType;
// UnknownVersion; Invalid for IDs that violate event.IDRule or are missing.
func Decode(m Message) (event.Event, error) {
	if len(m.Body) > MaxBody {
		return event.Event{}, fault.New(fault.TooLarge, "the body has %d bytes; the maximum is %d", len(m.Body), MaxBody)
	}
	if isAMQP10(m.Body) {
		return event.Event{}, fault.New(fault.UnsupportedMediaType,
			"the body is an AMQP 1.0 value or sequence section: send the JSON in a data section")
	}
	// RFC 8259 permits ignoring a byte order mark, which some senders on Windows add.
	m.Body = bytes.TrimPrefix(m.Body, byteOrderMark)
	structured, err := checkContent(m)
	if err != nil {
		return event.Event{}, err
	}
	attributes, binary := binaryAttributes(m.Headers)
	raw, err := jsonIn("", m.Body)
	if err != nil {
		return event.Event{}, err
	}
	if binary && !structured && absent(raw) {
		raw = emptyObject
	}
	body, raw, defect, err := parse("", raw, 0)
	if err != nil {
		return event.Event{}, err
	}
	var d draft
	switch {
	case structured || body.has("specversion"):
		d = fromCloudEvent(body)
	case binary:
		d = fromBinary(attributes, m, body, raw)
	case body.has("pattern"):
		d = fromNest(body)
	default:
		d = fromPlain(body)
	}
	if d.outer = body; defect != nil {
		d.defects = slices.Insert(d.defects, 0, defect)
	}
	return d.finish(m)
}

// isAMQP10 reports whether a body is encoded in AMQP 1.0. The broker passes on the bytes of a data section, and all other sections unchanged: a
// described type, whose descriptor is a number or a symbol (AMQP 1.0, part 1, sections 1.2 and 1.6).
func isAMQP10(body []byte) bool {
	return len(body) > 1 && body[0] == 0x00 && (body[1] == 0x53 || body[1] == 0x80 || body[1] == 0xa3)
}

var byteOrderMark = []byte("\xef\xbb\xbf")

// plainEncodings are content encodings that do not change the bytes; utf-8 is a common mistake.
var plainEncodings = map[string]bool{"": true, "identity": true, "utf-8": true, "utf8": true, "8bit": true, "binary": true}

// checkContent checks content type and encoding; structured reports whether the body must be a CloudEvent. Other content types are ignored: most
// senders set none, or a wrong one.
func checkContent(m Message) (structured bool, err error) {
	if !plainEncodings[strings.ToLower(strings.TrimSpace(m.ContentEncoding))] {
		return false, fault.New(fault.UnsupportedMediaType, "content encoding %q is not supported", shorten(m.ContentEncoding))
	}
	kind := mediaType(m.ContentType)
	if kind == "application/cloudevents-batch+json" {
		return false, fault.New(fault.UnsupportedMediaType, "batches are not supported: send events one by one")
	}
	if strings.HasPrefix(kind, "application/cloudevents") && kind != ContentType {
		return false, fault.New(fault.UnsupportedMediaType, "content type %q is not supported", shorten(m.ContentType))
	}
	return kind == ContentType, nil
}

// mediaType returns a content type without its parameters, in lower case.
func mediaType(contentType string) string {
	if kind, _, err := mime.ParseMediaType(contentType); err == nil {
		return kind
	}
	kind, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(kind))
}

// mayBeJSON reports whether data of this content type may be JSON. An empty content type is accepted. So are text and bytes: Dapr uses them for
// JSON that an application publishes without a content type.
func mayBeJSON(contentType string) bool {
	switch kind := mediaType(contentType); kind {
	case "", "application/json", "text/json", "text/plain", "application/octet-stream":
		return true
	default:
		return strings.HasSuffix(kind, "+json")
	}
}
