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

// maxID bounds ids that are not part of stream names: an AMQP short string has at most 255 bytes, and ids
// travel in them.
const maxID = 255

// maxSource bounds the source, which is a URI.
const maxSource = 4 * maxID

// located is a text, and the JSON pointer of where it was or is missing, for error messages.
type located struct{ text, at string }

// draft is what one of the formats says, before the message's properties fill the gaps.
type draft struct {
	typ, id, source, subject, correlationID, causationID located
	time                                                 json.RawMessage
	timeAt                                               string
	schema                                               located // dataschema
	version                                              int     // when versioned
	versioned                                            bool
	data                                                 object
	raw                                                  json.RawMessage
	// outer is the whole body.
	outer object
	// defects are what is wrong with the message, in the order found, apart from its type and its subject: facts are accepted all
	// the same. unnamed is what is wrong with the fields that name the type.
	defects []error
	unnamed error
}

// defect notes what is wrong with a field.
func (d *draft) defect(name string, err error) {
	switch name {
	case "type", "eventType", "pattern":
		d.unnamed = cmp.Or(d.unnamed, err)
	default:
		d.defects = append(d.defects, err)
	}
}

// finish fills the gaps from the message's properties and checks what every event must have.
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

// findType looks the type up: the body's, the AMQP type, the routing key; the first that is known counts.
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
			unknown.Fields = []fault.Field{{Pointer: d.typ.at, Detail: "is no type that is known"}}
		}
		return event.Type{}, unknown
	}
	return event.Type{}, malformed(d.typ.at, "is missing, and the routing key names no event type")
}

// findVersion returns the version of the data's schema, 1 unless the message says so. A dataschema that is not exactly of
// this service's form belongs to another registry, whose versions mean nothing here.
func (d draft) findVersion(typ event.Type) (int, error) {
	version := 1
	if d.versioned && (d.version > 0 || !typ.Fact) {
		version = d.version
	}
	if tail, ours := strings.CutPrefix(d.schema.text, schemaPrefix); ours {
		name, number, _ := strings.Cut(tail, "/")
		if named, known := event.Find(name); known && named.Name == typ.Name && isDigits(number) {
			version, _ = strconv.Atoi(number) // what is too large is no version either
		}
	}
	if version < 1 || version > typ.Version {
		return 0, &fault.Error{Code: fault.UnknownVersion, Message: fmt.Sprintf("the version of %s is not known: 1 to %d are", typ.Name, typ.Version),
			Fields: []fault.Field{{Pointer: d.schema.at, Detail: "is no version that is known"}}}
	}
	return version, nil
}

// findSubject returns what the event is about. Other services put the order id into a field of the data, which the catalog names;
// this service's own events have it in the subject.
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
		// The first one counts, and none may be wrong: fields are read backwards.
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

// validID returns the text if it is an id. missing is the place that is named when there is none.
func (l located) validID(missing string) (string, error) {
	switch {
	case l.text == "":
		return "", invalid(missing, "is missing")
	case !event.ValidID(l.text):
		return "", invalid(l.at, event.IDRule)
	}
	return l.text, nil
}

// findOrder returns the order that a fact is about: what the data names, else the envelope, else the field beside the data.
func (d draft) findOrder(field string) (string, error) {
	order := located{d.data.scalar(field), d.data.pointer(field)}
	for _, next := range []located{d.subject, {d.outer.scalar(field), d.outer.pointer(field)}} {
		if order.text == "" {
			order = next
		}
	}
	return order.validID(d.data.pointer(field))
}

// findID returns the event's id, or derives one where the same bytes mean the same event.
func (d draft) findID(typ event.Type, m Message) (string, error) {
	id := cmp.Or(d.id.text, m.MessageID)
	if id == "" && typ.IDField != "" {
		id = d.data.scalar(typ.IDField)
		if d.id.at = d.data.pointer(typ.IDField); id == "" {
			return "", invalid("/id", "is missing: without an id, or "+d.id.at+", a redelivery cannot be told from another "+typ.Name)
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

// findCorrelation returns the correlation id. What the body says must be usable; elsewhere it is a hint, and
// one that is not is left out.
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

// isDigits reports whether a text has digits and nothing else.
func isDigits(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }

// sane reports whether a time has four digits for its year in UTC, as RFC 3339 wants.
func sane(t time.Time) bool { year := t.UTC().Year(); return year >= 1 && year <= 9999 }

// printable reports whether an id can travel in AMQP properties and logs. U+FFFD is what unpaired surrogates
// become: two ids that differ only there would be one.
func printable(id string) bool {
	return len(id) <= maxID && utf8.ValidString(id) && !strings.ContainsFunc(id, func(r rune) bool {
		return r == utf8.RuneError || unicode.IsControl(r)
	})
}
