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
	d := pointed(o.pointer)
	version, err := o.text("specversion")
	if err == nil && version != specVersion {
		err = malformed(o.pointer("specversion"), "must be "+specVersion)
	}
	if err != nil {
		d.defect("specversion", err)
	}
	d.time = o.fields["time"]
	var dataType string
	d.read(o, append(d.attributes(), textField{"datacontenttype", &dataType})...)
	if hasData(o) && !mayBeJSON(dataType) {
		d.defect("data", fault.New(fault.UnsupportedMediaType, "data content type %q is not supported", shorten(dataType)))
	}
	d.takeData(o)
	return d, nil
}

// pointed is a draft whose attributes stand where pointer says.
func pointed(pointer func(attribute string) string) draft {
	return draft{
		typeAt: pointer("type"), idAt: pointer("id"), sourceAt: pointer("source"), subjectAt: pointer("subject"), timeAt: pointer("time"),
		versionAt: pointer("dataschema"), correlationAt: pointer("correlationid"), causationAt: pointer("causationid"),
	}
}

// attributes lists the CloudEvents attributes that are read and are strings.
func (d *draft) attributes() []textField {
	return []textField{
		{"type", &d.typ}, {"id", &d.id}, {"source", &d.source}, {"subject", &d.subject}, {"dataschema", &d.schema},
		{"correlationid", &d.correlationID}, {"causationid", &d.causationID},
	}
}

// binaryPrefixes begin the headers of the binary mode. The colon is the AMQP binding's; the underscore is its form for
// brokers and clients that cannot have colons. The HTTP binding's prefix is what Spring sends over any transport unless it
// is told otherwise.
var binaryPrefixes = []string{"cloudEvents:", "cloudEvents_", "ce-"}

// BinaryAttribute returns the name of the CloudEvents attribute that a header carries in the binary mode.
func BinaryAttribute(header string) (attribute string, ok bool) {
	for _, prefix := range binaryPrefixes {
		if attribute, ok = strings.CutPrefix(header, prefix); ok {
			return attribute, true
		}
	}
	return "", false
}

// header is a header of a message.
type header struct {
	name  string
	value any
}

// headers are headers by the names of the CloudEvents attributes in them.
type headers map[string]header

// pointer returns the place of an attribute. Headers are no part of the body: what comes before their names says so.
func (h headers) pointer(attribute string) string {
	name := h[attribute].name
	if name == "" {
		name = binaryPrefixes[0] + attribute
	}
	return "/headers" + pointer(name)
}

// binaryAttributes returns the CloudEvents attributes in the headers, or none when the message is not in binary
// mode, which specversion decides. When several prefixes name an attribute, the first of binaryPrefixes wins.
func binaryAttributes(of map[string]any) headers {
	var attributes headers
	for i := len(binaryPrefixes) - 1; i >= 0; i-- {
		prefix := binaryPrefixes[i]
		for name, value := range of {
			attribute, ok := strings.CutPrefix(name, prefix)
			if !ok {
				continue
			}
			if attributes == nil {
				attributes = make(headers)
			}
			attributes[attribute] = header{name, value}
		}
	}
	if _, ok := attributes["specversion"]; !ok {
		return nil
	}
	return attributes
}

// fromBinary reads the binary mode: attributes in the headers, the data in the body. Without data the content type does not
// matter.
func fromBinary(attributes headers, contentType string, body object, raw json.RawMessage) (draft, error) {
	d := pointed(attributes.pointer)
	if len(body.fields) > 0 && !mayBeJSON(contentType) {
		d.defect("data", fault.New(fault.UnsupportedMediaType, "content type %q is not supported", shorten(contentType)))
	}
	if version, _ := headerText(attributes["specversion"].value); version != specVersion {
		d.defect("specversion", malformed(attributes.pointer("specversion"), "must be "+specVersion))
	}
	d.data, d.raw = body, raw
	for _, f := range d.attributes() {
		value := attributes[f.name].value
		if value == nil {
			continue
		}
		text, isText := headerText(value)
		if !isText || !utf8.ValidString(text) {
			d.defect(f.name, malformed(attributes.pointer(f.name), "must be a string"))
			text = strings.ToValidUTF8(text, "\uFFFD")
			if number, err := json.Marshal(value); err == nil && !isText && isNumber(number) {
				text = string(number)
			}
		}
		*f.to = text
	}
	d.setHeaderTime(attributes["time"].value)
	return d, nil
}
