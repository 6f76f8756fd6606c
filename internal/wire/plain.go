package wire

import (
	"encoding/json"
	"slices"

	"github.com/ordersaga/ordersaga/event"
)

// plainFields are the envelope fields of a plain event; in an event without data, all others are the data.
var plainFields = []string{"id", "type", "eventType", "timestamp", "occurredAt", "aggregateId", "aggregateType",
	"subject", "source", "correlationId", "causationId", "schemaVersion", "data", "data_base64"}

// fromPlain reads a plain event.
func fromPlain(o object) draft {
	d := draft{time: o.fields["timestamp"], timeAt: o.pointer("timestamp")}
	if !o.has("timestamp") {
		d.time, d.timeAt = o.fields["occurredAt"], o.pointer("occurredAt")
	}
	var aggregateID, eventType located
	d.read(o,
		textField{"type", &d.typ}, textField{"eventType", &eventType}, textField{"id", &d.id}, textField{"source", &d.source},
		textField{"subject", &d.subject}, textField{"aggregateId", &aggregateID},
		textField{"correlationId", &d.correlationID}, textField{"causationId", &d.causationID},
	)
	if (d.typ.text == "" || !known(d.typ.text) && known(eventType.text)) && eventType.text != "" {
		d.typ = eventType
	}
	if d.subject.text == "" {
		d.subject = aggregateID
	}
	d.schema.at = o.pointer("schemaVersion")
	if o.has("schemaVersion") {
		var number json.Number
		version, whole := int64(0), false
		if o.fields["schemaVersion"][0] != '"' && json.Unmarshal(o.fields["schemaVersion"], &number) == nil {
			version, whole, _ = event.Integer(number) // 0, an invalid version, on overflow
		}
		if d.version, d.versioned = int(version), whole; !whole {
			d.defect("schemaVersion", malformed(o.pointer("schemaVersion"), "must be an integer"))
		}
	}
	if hasData(o) {
		d.takeData(o)
		return d
	}
	d.data = object{at: o.at, fields: make(map[string]json.RawMessage)}
	for name, value := range o.fields {
		if !slices.Contains(plainFields, name) {
			d.data.fields[name] = value
		}
	}
	d.raw = d.data.json()
	return d
}

// fromNest reads a packet of NestJS's ClientProxy: {"pattern", "data"} and, for requests, an id. A pattern that is not a string is sent as JSON in a
// string.
func fromNest(o object) draft {
	name, unnamed := patternName(o)
	var d, packet draft
	packet.read(o, textField{"id", &packet.id})
	packet.takeData(o)
	inner := packet.data
	switch {
	case inner.has("specversion"):
		d = fromCloudEvent(inner)
	case looksPlain(inner, name):
		d = fromPlain(inner)
	default:
		d.subject.at = inner.pointer("orderId")
		d.data, d.raw = packet.data, packet.raw
	}
	if d.typ.text == "" || known(name) && !known(d.typ.text) {
		d.typ = located{name, o.pointer("pattern")}
	}
	if d.id.text == "" {
		d.id = packet.id
	}
	if d.defects = append(packet.defects, d.defects...); unnamed != nil {
		d.defect("pattern", unnamed)
	}
	return d
}

// looksPlain reports whether the data of a NestJS packet is a complete event: it has data, or it names a type and has another envelope field. A
// payload may have a field "type", too: if only the pattern is an event type, it is a payload.
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

// patternNames are the fields of a pattern that may have the event type, in order of precedence.
var patternNames = []string{"type", "event", "eventType", "name", "cmd"}

// patternName returns the event type in a NestJS pattern: the string itself, or a field of the object.
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
