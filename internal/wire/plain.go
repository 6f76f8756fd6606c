package wire

import (
	"encoding/json"
	"slices"

	"github.com/ordersaga/ordersaga/event"
)

// plainFields are the names that belong to a plain event itself; in an event without data the others are it.
var plainFields = []string{"id", "type", "eventType", "timestamp", "occurredAt", "aggregateId", "aggregateType",
	"subject", "source", "correlationId", "causationId", "schemaVersion", "data", "data_base64"}

// fromPlain reads the plain event.
func fromPlain(o object) (draft, error) {
	d := draft{typeAt: o.pointer("type"), idAt: o.pointer("id"), sourceAt: o.pointer("source"), subjectAt: o.pointer("aggregateId"),
		timeAt: o.pointer("timestamp"), time: o.fields["timestamp"], versionAt: o.pointer("schemaVersion"),
		correlationAt: o.pointer("correlationId"), causationAt: o.pointer("causationId")}
	if !o.has("timestamp") {
		d.timeAt, d.time = o.pointer("occurredAt"), o.fields["occurredAt"]
	}
	var aggregateID, eventType string
	d.read(o,
		textField{"type", &d.typ}, textField{"eventType", &eventType}, textField{"id", &d.id}, textField{"source", &d.source},
		textField{"subject", &d.subject}, textField{"aggregateId", &aggregateID},
		textField{"correlationId", &d.correlationID}, textField{"causationId", &d.causationID},
	)
	if (d.typ == "" || !known(d.typ) && known(eventType)) && eventType != "" {
		d.typ, d.typeAt = eventType, o.pointer("eventType")
	}
	if d.subject == "" {
		d.subject = aggregateID
	} else {
		d.subjectAt = o.pointer("subject")
	}
	if o.has("schemaVersion") {
		var number json.Number
		version, whole := int64(0), false
		if o.fields["schemaVersion"][0] != '"' && json.Unmarshal(o.fields["schemaVersion"], &number) == nil {
			version, whole, _ = event.Integer(number) // 0, which is no version, when it does not fit
		}
		if d.version, d.versioned = int(version), whole; !whole {
			d.defect("schemaVersion", malformed(o.pointer("schemaVersion"), "must be an integer"))
		}
	}
	if hasData(o) {
		d.takeData(o)
		return d, nil
	}
	d.data = object{at: o.at, fields: make(map[string]json.RawMessage)}
	for name, value := range o.fields {
		if !slices.Contains(plainFields, name) {
			d.data.fields[name] = value
		}
	}
	// Values of a valid object are valid, and encoding/json sorts the names.
	raw, err := json.Marshal(d.data.fields)
	d.raw = raw
	return d, err
}

// fromNest reads what NestJS's ClientProxy sends: {"pattern", "data"} and, for requests, an id. A pattern that
// is not a string travels as JSON inside the string.
func fromNest(o object) (draft, error) {
	name, unnamed := patternName(o)
	var d, packet draft
	packet.read(o, textField{"id", &packet.id})
	packet.takeData(o)
	inner := packet.data
	var err error
	switch {
	case inner.has("specversion"):
		d, err = fromCloudEvent(inner)
	case looksPlain(inner, name):
		d, err = fromPlain(inner)
	default:
		d.typeAt, d.subjectAt = o.pointer("pattern"), inner.pointer("orderId")
		d.data, d.raw = packet.data, packet.raw
	}
	if err != nil {
		return draft{}, err
	}
	if d.typ == "" || known(name) && !known(d.typ) {
		d.typ, d.typeAt = name, o.pointer("pattern")
	}
	if d.id == "" {
		d.id, d.idAt = packet.id, o.pointer("id")
	}
	if d.defects = append(packet.defects, d.defects...); unnamed != nil {
		d.defect("pattern", unnamed)
	}
	return d, nil
}

// looksPlain reports whether the data of a NestJS packet is an event of its own: it has data below it, or it
// names a type and one more field that only events have. A payload may have a field "type" too: when only the
// pattern names an event type, it is a payload.
func looksPlain(o object, pattern string) bool {
	about := o.has("aggregateId") || o.has("timestamp") || o.has("occurredAt")
	if _, there := o.fields["data"]; there {
		return about || o.has("id") || o.has("type") || o.has("eventType")
	}
	for _, field := range []string{"type", "eventType"} {
		if name, err := o.text(field); about && err == nil && name != "" && (known(name) || !known(pattern)) {
			return true
		}
	}
	return false
}

func known(name string) bool {
	_, ok := event.Find(name)
	return ok
}

// patternNames are the fields of a pattern that may name the event, the first one first.
var patternNames = []string{"type", "event", "eventType", "name", "cmd"}

// patternName returns the event name of a NestJS pattern: the string itself, or a field of the object in it.
func patternName(o object) (string, error) {
	raw := o.fields["pattern"]
	var text string
	if json.Unmarshal(raw, &text) == nil {
		if len(text) == 0 || text[0] != '{' {
			return text, nil
		}
		raw = json.RawMessage(text)
	}
	var fields map[string]any
	if json.Unmarshal(raw, &fields) != nil {
		return "", malformed(o.pointer("pattern"), "must be a string or an object")
	}
	for _, key := range patternNames {
		if name, ok := fields[key].(string); ok {
			return name, nil
		}
	}
	return "", nil
}
