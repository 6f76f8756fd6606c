package wire

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// specVersion is the supported version of CloudEvents.
const specVersion = "1.0"

// fromCloudEvent reads structured mode: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
func fromCloudEvent(o object) draft {
	d := readAttributes(o)
	var dataType located
	d.read(o, textField{"datacontenttype", &dataType})
	if hasData(o) && !mayBeJSON(dataType.text) {
		d.defect("data", fault.New(fault.UnsupportedMediaType, "data content type %q is not supported", shorten(dataType.text)))
	}
	d.takeData(o)
	return d
}

// fromBinary reads binary mode: attributes in headers, data in the body. Without data the content type is ignored.
func fromBinary(attributes object, m Message, body object, raw json.RawMessage) draft {
	d := readAttributes(attributes)
	for _, f := range d.attributes() {
		if text, _ := headerText(m.Headers[attributes.headers[f.name]]); !utf8.ValidString(text) {
			d.defect(f.name, malformed(attributes.pointer(f.name), "must be a string"))
		}
	}
	if len(body.fields) > 0 && !mayBeJSON(m.ContentType) {
		var unsupported error = fault.New(fault.UnsupportedMediaType, "content type %q is not supported", shorten(m.ContentType))
		d.defects = slices.Insert(d.defects, 0, unsupported) // the first defect is reported
	}
	d.data, d.raw = body, raw
	return d
}

// readAttributes reads the CloudEvents attributes.
func readAttributes(o object) draft {
	d := draft{time: o.fields["time"], timeAt: o.pointer("time")}
	version, err := o.text("specversion")
	if err == nil && version != specVersion {
		err = malformed(o.pointer("specversion"), "must be "+specVersion)
	}
	if err != nil {
		d.defect("specversion", err)
	}
	d.read(o, d.attributes()...)
	return d
}

// attributes lists the CloudEvents attributes that are strings.
func (d *draft) attributes() []textField {
	return []textField{
		{"type", &d.typ}, {"id", &d.id}, {"source", &d.source}, {"subject", &d.subject}, {"dataschema", &d.schema},
		{"correlationid", &d.correlationID}, {"causationid", &d.causationID},
	}
}

// binaryPrefixes are the header prefixes of binary mode; the first one has precedence. The AMQP binding uses the colon; the underscore is its
// alternative for brokers and clients that do not support colons. Spring uses the prefix of the HTTP binding for every transport by default.
var binaryPrefixes = []string{"cloudEvents:", "cloudEvents_", "ce-"}

// BinaryAttribute returns the name of the CloudEvents attribute in a header of binary mode.
func BinaryAttribute(header string) (attribute string, ok bool) {
	for _, prefix := range binaryPrefixes {
		if attribute, ok = strings.CutPrefix(header, prefix); ok {
			return attribute, true
		}
	}
	return "", false
}

// binaryAttributes returns the CloudEvents attributes in headers as an object, and whether the message is in binary mode, which requires
// specversion.
func binaryAttributes(of map[string]any) (o object, binary bool) {
	o = object{at: "/headers", fields: make(map[string]json.RawMessage), headers: make(map[string]string)}
	for _, prefix := range slices.Backward(binaryPrefixes) {
		for name, value := range of {
			if attribute, ok := strings.CutPrefix(name, prefix); ok {
				o.fields[attribute], o.headers[attribute] = headerJSON(attribute, value), name
			}
		}
	}
	_, binary = o.fields["specversion"]
	return o, binary
}

// headerJSON returns a header value as JSON. An AMQP timestamp is valid only in the attribute time.
func headerJSON(attribute string, value any) json.RawMessage {
	if at, ok := value.(time.Time); ok {
		value = at.UTC().Format(time.RFC3339Nano)
		if attribute != "time" {
			return json.RawMessage("false")
		}
	}
	if text, ok := headerText(value); ok {
		value = text
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return json.RawMessage("false") // neither text nor number
	}
	return raw
}
