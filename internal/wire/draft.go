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

// draft is what one of the formats says, before the message's properties fill the gaps. The fields that end in
// At are JSON pointers for complaints.
type draft struct {
	typ, typeAt                string
	id, idAt                   string
	source, sourceAt           string
	subject, subjectAt         string
	time                       json.RawMessage
	timeAt                     string
	correlationID, causationID string
	correlationAt, causationAt string
	schema                     string // dataschema
	version                    int    // when versioned
	versioned                  bool
	versionAt                  string
	data                       object
	raw                        json.RawMessage
	// outer is the whole body.
	outer object
	// defects are what is wrong with the message, in the order found, apart from its type and its subject: facts are taken all
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
	e := event.Event{Type: typ.Name, Source: first(d.source, m.AppID), CausationID: d.causationID}
	if e.SchemaVersion, err = d.findVersion(typ); err != nil {
		return event.Event{}, err
	}
	if e.Subject, err = d.findSubject(typ); err != nil {
		return event.Event{}, err
	}
	if e.ID, err = d.findID(typ, m); err != nil {
		return event.Event{}, err
	}
	if e.Time, err = d.findTime(typ, m); err != nil {
		return event.Event{}, err
	}
	if e.CorrelationID, err = d.findCorrelation(typ, m); err != nil {
		return event.Event{}, err
	}
	if len(e.CausationID) > maxID {
		if !typ.Fact {
			return event.Event{}, invalid(d.causationAt, "must be at most 255 bytes")
		}
		e.CausationID = ""
	}
	if len(e.Source) > maxSource {
		if !typ.Fact {
			return event.Event{}, invalid(d.sourceAt, "must be at most 1020 bytes")
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
	for _, name := range []string{d.typ, m.Type, m.RoutingKey} {
		if typ, ok := event.Find(name); ok {
			return typ, nil
		}
	}
	if d.unnamed != nil {
		return event.Type{}, d.unnamed
	}
	if name := first(d.typ, m.Type); name != "" {
		unknown := &fault.Error{Code: fault.UnknownType, Message: fmt.Sprintf("the event type %q is not known", shorten(name))}
		if d.typ != "" {
			unknown.Fields = []fault.Field{{Pointer: d.typeAt, Detail: "is no type that is known"}}
		}
		return event.Type{}, unknown
	}
	return event.Type{}, malformed(d.typeAt, "is missing, and the routing key names no event type")
}

// findVersion returns the version of the data's schema, 1 unless the message says so. A dataschema that is not exactly of
// this service's form belongs to another registry, whose versions mean nothing here.
func (d draft) findVersion(typ event.Type) (int, error) {
	version := 1
	if d.versioned && (d.version > 0 || !typ.Fact) {
		version = d.version
	}
	if tail, ours := strings.CutPrefix(d.schema, schemaPrefix); ours {
		name, number, _ := strings.Cut(tail, "/")
		if named, known := event.Find(name); known && named.Name == typ.Name && isDigits(number) {
			version, _ = strconv.Atoi(number) // what is too large is no version either
		}
	}
	if version < 1 || version > typ.Version {
		return 0, &fault.Error{Code: fault.UnknownVersion, Message: fmt.Sprintf("the version of %s is not known: 1 to %d are", typ.Name, typ.Version),
			Fields: []fault.Field{{Pointer: d.versionAt, Detail: "is no version that is known"}}}
	}
	return version, nil
}

// findSubject returns what the event is about. Senders put the order id into the data, which the catalog knows by field;
// what this service says about its own events stands in the subject.
func (d draft) findSubject(typ event.Type) (string, error) {
	fields := typ.SubjectFields
	if fields == nil {
		fields = []string{"orderId"}
	}
	if typ.Fact {
		return d.findOrder(fields[0])
	}
	subject, at := d.subject, d.subjectAt
	if subject == "" || typ.Direction == event.Inbound {
		// The first one counts, and none may be wrong: fields are read backwards.
		for _, name := range slices.Backward(fields) {
			inData, err := d.data.text(name)
			if err != nil {
				return "", err
			}
			if inData == "" {
				continue
			}
			subject, at = inData, d.data.pointer(name)
			if !event.ValidID(subject) {
				return "", invalid(at, event.IDRule)
			}
		}
	}
	switch {
	case subject == "":
		return "", invalid(d.data.pointer(fields[0]), "is missing")
	case !event.ValidID(subject):
		return "", invalid(at, event.IDRule)
	}
	return subject, nil
}

// findOrder returns the order that a fact is about: what the data names, else the envelope, else the field beside the data.
func (d draft) findOrder(field string) (string, error) {
	for _, s := range []struct{ id, at string }{
		{d.data.scalar(field), d.data.pointer(field)}, {d.subject, d.subjectAt}, {d.outer.scalar(field), d.outer.pointer(field)},
	} {
		switch {
		case s.id == "":
		case !event.ValidID(s.id):
			return "", invalid(s.at, event.IDRule)
		default:
			return s.id, nil
		}
	}
	return "", invalid(d.data.pointer(field), "is missing")
}

// findID returns the event's id, or derives one where the same bytes mean the same event.
func (d draft) findID(typ event.Type, m Message) (string, error) {
	id := first(d.id, m.MessageID)
	if id == "" && typ.IDField != "" {
		id = d.data.scalar(typ.IDField)
		if d.idAt = d.data.pointer(typ.IDField); id == "" {
			return "", invalid("/id", "is missing: without an id, or "+d.idAt+", a redelivery cannot be told from another "+typ.Name)
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
	return "", invalid(first(d.idAt, "/id"), "must be at most 255 bytes without control characters")
}

// findCorrelation returns the correlation id. What the body says must be usable; elsewhere it is a hint, and
// one that is not is left out.
func (d draft) findCorrelation(typ event.Type, m Message) (string, error) {
	switch {
	case d.correlationID == "":
	case printable(d.correlationID):
		return d.correlationID, nil
	case !typ.Fact:
		return "", invalid(d.correlationAt, "must be at most 255 bytes without control characters")
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

// first returns the first of its arguments that is not empty.
func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
