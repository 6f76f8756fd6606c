package wire

import (
	"bytes"
	"mime"
	"slices"
	"strings"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Decode returns the event that a message carries.
//
// What the body does not have is taken from the message's properties: the type falls back to the AMQP type and then to the
// routing key, the id to message_id, the time to the timestamp, the source to app_id, the correlation to
// correlation_id and then to the header x-correlation-id. An event without any id gets one that is derived from
// its type and body: the same bytes have the same id, so that a redelivery is still recognized, and two events
// that are meant to be different must carry ids. Additive events (event.Type.IDField) are refused without one: two receipts
// of the same quantity are the same bytes.
//
// Type is the catalog's name, whatever alias the message used. Any type of the catalog is decoded; whether it
// may come from the bus is the caller's question. A name that is not in the catalog is passed over, wherever it is given:
// payloads have fields named type, and clients put the names of classes into the AMQP type.
//
// Facts about an order (event.Type.Fact) are decoded whenever their type and their order can be determined. What else is
// wrong with one is mended or passed over: bytes that are not UTF-8, names that occur twice, attributes of another kind than
// a string, ids and times that cannot be used.
//
// Time is zero when the message says none, or none that can be read in an event whose time is not used. Data is compact
// JSON, an object, in the newest version of the type; it is empty when the message has no data. Its meaning is not checked
// here.
//
// Errors: TooLarge over MaxBody; UnsupportedMediaType for compressed bodies, batches and data that is not JSON;
// Malformed; UnknownType; UnknownVersion; Invalid for ids that break event.IDRule or are missing.
func Decode(m Message) (event.Event, error) {
	if len(m.Body) > MaxBody {
		return event.Event{}, fault.New(fault.TooLarge, "the body has %d bytes; at most %d are read", len(m.Body), MaxBody)
	}
	if isAMQP10(m.Body) {
		return event.Event{}, fault.New(fault.UnsupportedMediaType,
			"the body is a value or a sequence of AMQP 1.0: send the JSON as bytes, in a data section")
	}
	// RFC 8259 lets a reader pass over a byte order mark, which senders on Windows like to put there.
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

// isAMQP10 reports whether a body is encoded as AMQP 1.0. The broker hands over the bytes of a data section, and any other
// section as it came: a described type, whose descriptor is a number or a symbol (AMQP 1.0, part 1, sections 1.2 and 1.6).
func isAMQP10(body []byte) bool {
	return len(body) > 1 && body[0] == 0x00 && (body[1] == 0x53 || body[1] == 0x80 || body[1] == 0xa3)
}

var byteOrderMark = []byte("\xef\xbb\xbf")

// plainEncodings are content encodings that leave the bytes as they are; utf-8 is a common mistake for one.
var plainEncodings = map[string]bool{"": true, "identity": true, "utf-8": true, "utf8": true, "8bit": true, "binary": true}

// checkContent reads content type and encoding; structured reports whether the body must be a CloudEvent. Other
// content types are ignored: most senders set none, or a wrong one.
func checkContent(m Message) (structured bool, err error) {
	if !plainEncodings[strings.ToLower(strings.TrimSpace(m.ContentEncoding))] {
		return false, fault.New(fault.UnsupportedMediaType, "content encoding %q is not supported", shorten(m.ContentEncoding))
	}
	kind := mediaType(m.ContentType)
	if kind == "application/cloudevents-batch+json" {
		return false, fault.New(fault.UnsupportedMediaType, "batches are not read: send events one by one")
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

// mayBeJSON reports whether data of this content type is read. No content type means JSON. Text and bytes do not say what is
// in them: Dapr calls JSON so that an application publishes without a content type.
func mayBeJSON(contentType string) bool {
	switch kind := mediaType(contentType); kind {
	case "", "application/json", "text/json", "text/plain", "application/octet-stream":
		return true
	default:
		return strings.HasSuffix(kind, "+json")
	}
}
