package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
)

// emptyObject is the data of a message without data.
var emptyObject = json.RawMessage("{}")

// hasData reports whether an envelope has data. null counts as absent.
func hasData(o object) bool { return o.has("data") || o.has("data_base64") }

// takeData reads the data of an envelope: an object, or its JSON as text, in data, or as base64 in data_base64. Without data, or with unreadable
// data, which is a defect, the data is an empty object. The required fields depend on the type and are checked elsewhere.
func (d *draft) takeData(o object) {
	at, raw, text, err := dataOf(o)
	var defect error
	switch {
	case err != nil:
	case text:
		// The check of the body has not covered the content of a text.
		d.data, d.raw, defect, err = parse(at, raw, 1)
	default:
		d.data, err = open(at, raw)
		d.raw = raw
	}
	if err != nil {
		d.data, d.raw, defect = object{at: at}, emptyObject, err
	}
	if defect != nil {
		d.defect("data", defect)
	}
}

// dataOf returns the JSON of an envelope's data, its location, and whether it was in a text.
func dataOf(o object) (at string, raw json.RawMessage, text bool, err error) {
	at, raw = o.pointer("data"), o.fields["data"]
	text = len(raw) > 0 && raw[0] == '"'
	if o.has("data_base64") {
		at, text = o.pointer("data_base64"), true
		if o.has("data") {
			return at, nil, text, malformed(at, "must not be present together with data")
		}
		if raw, err = fromBase64(o); err != nil {
			return at, nil, text, err
		}
	}
	if raw, err = jsonIn(at, raw); err != nil {
		return at, nil, text, err
	}
	if absent(raw) {
		raw = emptyObject
	}
	return at, raw, text, nil
}

// jsonIn returns the content of a JSON string, and other JSON unchanged: some senders serialize the object twice, or have libraries that treat the
// data as text.
func jsonIn(at string, raw json.RawMessage) (json.RawMessage, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || raw[0] != '"' {
		return raw, nil
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return nil, malformed(at, "is not valid JSON")
	}
	return json.RawMessage(strings.TrimSpace(text)), nil
}

// fromBase64 decodes data_base64 and removes a byte order mark.
func fromBase64(o object) (json.RawMessage, error) {
	text, err := o.text("data_base64")
	if err != nil {
		return nil, err
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, malformed(o.pointer("data_base64"), "must be base64")
	}
	return bytes.TrimPrefix(raw, byteOrderMark), nil
}

// absent reports whether a value is missing or null.
func absent(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }
