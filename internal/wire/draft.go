package wire

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// maxID bounds IDs that are not part of stream names: they are sent as AMQP short strings of at most 255 bytes.
const maxID = 255

// maxSource bounds the source, which is a URI.
const maxSource = 4 * maxID

// located is a text with its JSON pointer, or the pointer where it is missing, for error messages.
type located struct{ text, at string }

// draft is the content of one of the formats, before missing fields are taken from the message's properties.
type draft struct {
	typ, id, source, subject, correlationID, causationID located
	time                                                 json.RawMessage
	timeAt                                               string
	schema                                               located // dataschema
	version                                              int     // valid if versioned
	versioned                                            bool
	data                                                 object
	raw                                                  json.RawMessage
	// outer is the whole body.
	outer object
	// defects are errors in fields other than type and subject, in order; facts are accepted despite them. unnamed is an error in a field
	// with the type.
	defects []error
	unnamed error
}

// defect records an error in a field.
func (d *draft) defect(name string, err error) {
	switch name {
	case "type", "eventType", "pattern":
		d.unnamed = cmp.Or(d.unnamed, err)
	default:
		d.defects = append(d.defects, err)
	}
}

// finish takes missing fields from the message's properties, and checks required fields.
func (d draft) finish(m Message) (event.Event, error) {
	typ, err := d.findType(m)
	if len(d.defects) > 0 && (err != nil || !typ.Fact) {
		err = d.defects[0]
	}
	if err != nil {
		return event.Event{}, err
	}
	e := event.Event{Type: typ.Name, Source: cmp.Or(d.source.text, m.AppID), CausationID: d.causationID.text}
	var errs [5]error
	e.SchemaVersion, errs[0] = d.findVersion(typ)
	e.Subject, errs[1] = d.findSubject(typ)
	e.ID, errs[2] = d.findID(typ, m)
	e.Time, errs[3] = d.findTime(typ, m)
	e.CorrelationID, errs[4] = d.findCorrelation(typ, m)
	for _, err := range errs {
		if err != nil {
			return event.Event{}, err
		}
	}
	if len(e.CausationID) > maxID {
		if !typ.Fact {
			return event.Event{}, invalid(d.causationID.at, "must be at most 255 bytes")
		}
		e.CausationID = ""
	}
	if len(e.Source) > maxSource {
		if !typ.Fact {
			return event.Event{}, invalid(d.source.at, "must be at most 1020 bytes")
		}
		e.Source = "urn:uuid:" + event.DerivedID("source", e.Source)
	}
	if typ.Fact && checkObject("", d.raw, 1) != nil {
		d.raw = d.data.scalars()
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, d.raw); err != nil {
		return event.Event{}, malformed(d.data.at, "is not valid JSON")
	}
	e.Data = compact.Bytes()
	return e.Newest()
}

// findType returns the first known type of: the body, the AMQP type, the routing key.
func (d draft) findType(m Message) (event.Type, error) {
	for _, name := range []string{d.typ.text, m.Type, m.RoutingKey} {
		if typ, ok := event.Find(name); ok {
			return typ, nil
		}
	}
	if d.unnamed != nil {
		return event.Type{}, d.unnamed
	}
	if name := cmp.Or(d.typ.text, m.Type); name != "" {
		unknown := &fault.Error{Code: fault.UnknownType, Message: fmt.Sprintf("the event type %q is not known", shorten(name))}
		if d.typ.text != "" {
			unknown.Fields = []fault.Field{{Pointer: d.typ.at, Detail: "is not a known event type"}}
		}
		return event.Type{}, unknown
	}
	return event.Type{}, malformed(d.typ.at, "is missing, and the routing key is not an event type")
}

// findVersion returns the schema version of the data, 1 by default. A dataschema in another format belongs to another registry and is ignored.
func (d draft) findVersion(typ event.Type) (int, error) {
	version := 1
	if d.versioned && (d.version > 0 || !typ.Fact) {
		version = d.version
	}
	if tail, ours := strings.CutPrefix(d.schema.text, schemaPrefix); ours {
		name, number, _ := strings.Cut(tail, "/")
		if named, known := event.Find(name); known && named.Name == typ.Name && isDigits(number) {
			version, _ = strconv.Atoi(number) // an overflow is not a valid version
		}
	}
	if version < 1 || version > typ.Version {
		return 0, &fault.Error{Code: fault.UnknownVersion, Message: fmt.Sprintf("the version of %s is not known: it must be from 1 to %d", typ.Name, typ.Version),
			Fields: []fault.Field{{Pointer: d.schema.at, Detail: "is not a known version"}}}
	}
	return version, nil
}

// findSubject returns the subject. Other services have the order ID in a field of the data, which the catalog names; events of this service have
// it in the subject.
func (d draft) findSubject(typ event.Type) (string, error) {
	fields := typ.SubjectFields
	if fields == nil {
		fields = []string{"orderId"}
	}
	if typ.Fact {
		return d.findOrder(fields[0])
	}
	subject := d.subject
	if subject.text == "" || typ.Direction == event.Inbound {
		// The first field has precedence, and none may be invalid: read backwards.
		for _, name := range slices.Backward(fields) {
			inData, err := d.data.text(name)
			if err != nil {
				return "", err
			}
			if inData != "" {
				subject = located{inData, d.data.pointer(name)}
			}
			if inData != "" && !event.ValidID(inData) {
				break
			}
		}
	}
	return subject.validID(d.data.pointer(fields[0]))
}

// validID returns the text if it is a valid ID. missing is the pointer for the error if it is empty.
func (l located) validID(missing string) (string, error) {
	switch {
	case l.text == "":
		return "", invalid(missing, "is missing")
	case !event.ValidID(l.text):
		return "", invalid(l.at, event.IDRule)
	}
	return l.text, nil
}

// findOrder returns the order of a fact: from the data, otherwise the envelope, otherwise the field next to the data.
func (d draft) findOrder(field string) (string, error) {
	order := located{d.data.scalar(field), d.data.pointer(field)}
	for _, next := range []located{d.subject, {d.outer.scalar(field), d.outer.pointer(field)}} {
		if order.text == "" {
			order = next
		}
	}
	return order.validID(d.data.pointer(field))
}

// findID returns the event ID, or derives one if equal bytes are the same event.
func (d draft) findID(typ event.Type, m Message) (string, error) {
	id := cmp.Or(d.id.text, m.MessageID)
	if id == "" && typ.IDField != "" {
		id = d.data.scalar(typ.IDField)
		if d.id.at = d.data.pointer(typ.IDField); id == "" {
			return "", invalid("/id", "is missing: without an ID, or "+d.id.at+", a redelivery cannot be distinguished from another "+typ.Name)
		}
	}
	if id == "" {
		return event.DerivedID(typ.Name, string(m.Body)), nil
	}
	switch {
	case printable(id):
		return id, nil
	case typ.Fact:
		return event.DerivedID("id", id), nil
	}
	return "", invalid(cmp.Or(d.id.at, "/id"), "must be at most 255 bytes without control characters")
}

// findCorrelation returns the correlation ID. In the body it must be valid; elsewhere an invalid one is ignored.
func (d draft) findCorrelation(typ event.Type, m Message) (string, error) {
	switch {
	case d.correlationID.text == "":
	case printable(d.correlationID.text):
		return d.correlationID.text, nil
	case !typ.Fact:
		return "", invalid(d.correlationID.at, "must be at most 255 bytes without control characters")
	}
	header, _ := m.Header(HeaderCorrelationID)
	for _, id := range []string{m.CorrelationID, header} {
		if id != "" && printable(id) {
			return id, nil
		}
	}
	return "", nil
}

// isDigits reports whether a text consists of digits.
func isDigits(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }

// validYear reports whether the year of a time, in UTC, has at most four digits, as RFC 3339 requires.
func validYear(t time.Time) bool { year := t.UTC().Year(); return year >= 1 && year <= 9999 }

// printable reports whether an ID is valid in AMQP properties and logs. U+FFFD is refused because it replaces unpaired surrogates: different IDs
// would become equal.
func printable(id string) bool {
	return len(id) <= maxID && utf8.ValidString(id) && !strings.ContainsFunc(id, func(r rune) bool {
		return r == utf8.RuneError || unicode.IsControl(r)
	})
}
