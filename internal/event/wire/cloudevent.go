package wire

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// specVersion is the version of CloudEvents that is understood and spoken.
const specVersion = "1.0"

// fromCloudEvent reads the structured mode: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
func fromCloudEvent(o object) (draft, error) {
	version, err := o.text("specversion")
	if err != nil {
		return draft{}, err
	}
	if version != specVersion {
		return draft{}, malformed(o.pointer("specversion"), "must be "+specVersion)
	}
	if o.has("data_base64") {
		return draft{}, malformed(o.pointer("data_base64"), "is not supported: send data")
	}
	d := draft{typeAt: o.pointer("type"), idAt: o.pointer("id"), timeAt: o.pointer("time"), time: o.fields["time"],
		subjectAt: o.pointer("subject")}
	var dataType string
	if err = o.texts(append(d.attributes(), textField{"datacontenttype", &dataType})...); err != nil {
		return draft{}, err
	}
	if !isJSON(dataType) {
		return draft{}, fault.New(fault.UnsupportedMediaType, "data content type %q is not supported", shorten(dataType))
	}
	err = d.setData(o.pointer("data"), o.fields["data"])
	return d, err
}

// attributes lists the CloudEvents attributes that are read and are strings.
func (d *draft) attributes() []textField {
	return []textField{
		{"type", &d.typ}, {"id", &d.id}, {"source", &d.source}, {"subject", &d.subject}, {"dataschema", &d.schema},
		{"correlationid", &d.correlationID}, {"causationid", &d.causationID},
	}
}

// binaryPrefixes begin the headers of the binary mode. The colon is the AMQP binding's; the underscore is its
// form for brokers and clients that cannot have colons.
var binaryPrefixes = []string{"cloudEvents:", "cloudEvents_"}

// binaryAttributes returns the CloudEvents attributes in the headers, or none when the message is not in binary
// mode, which specversion decides. When both prefixes name an attribute, the colon wins.
func binaryAttributes(headers map[string]any) map[string]any {
	var attributes map[string]any
	for i := len(binaryPrefixes) - 1; i >= 0; i-- {
		prefix := binaryPrefixes[i]
		for name, value := range headers {
			attribute, ok := strings.CutPrefix(name, prefix)
			if !ok {
				continue
			}
			if attributes == nil {
				attributes = make(map[string]any)
			}
			attributes[attribute] = value
		}
	}
	if _, ok := attributes["specversion"]; !ok {
		return nil
	}
	return attributes
}

// fromBinary reads the binary mode: attributes in the headers, the data in the body.
func fromBinary(attributes map[string]any, contentType string, body object, raw json.RawMessage) (draft, error) {
	if !isJSON(contentType) {
		return draft{}, fault.New(fault.UnsupportedMediaType, "content type %q is not supported", shorten(contentType))
	}
	const at = "/headers/cloudEvents:"
	if version, _ := headerText(attributes["specversion"]); version != specVersion {
		return draft{}, malformed(at+"specversion", "must be "+specVersion)
	}
	d := draft{typeAt: at + "type", idAt: at + "id", timeAt: at + "time", subjectAt: at + "subject", data: body, raw: raw}
	for _, f := range d.attributes() {
		value, ok := attributes[f.name]
		if !ok || value == nil {
			continue
		}
		text, isText := headerText(value)
		if !isText || !utf8.ValidString(text) {
			return draft{}, malformed(at+f.name, "must be a string")
		}
		*f.to = text
	}
	err := d.setHeaderTime(attributes["time"])
	return d, err
}
