package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
)

// emptyObject is the data of a message that has none.
var emptyObject = json.RawMessage("{}")

// hasData reports whether an envelope has data. null is the same as not there.
func hasData(o object) bool { return o.has("data") || o.has("data_base64") }

// takeData takes the data of an envelope: an object, or its JSON text, in data, or the base64 of that text in data_base64.
// An envelope without data has an empty object, and so has one whose data cannot be read, which is a defect. Which fields must
// be in it depends on the type and is checked elsewhere.
func (d *draft) takeData(o object) {
	at, raw, text, err := dataOf(o)
	var defect error
	switch {
	case err != nil:
	case text:
		// It was only text when the body was checked.
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

// dataOf returns the JSON of an envelope's data, where it is, and whether it was in a text.
func dataOf(o object) (at string, raw json.RawMessage, text bool, err error) {
	at, raw = o.pointer("data"), o.fields["data"]
	text = len(raw) > 0 && raw[0] == '"'
	if o.has("data_base64") {
		at, text = o.pointer("data_base64"), true
		if o.has("data") {
			return at, nil, text, malformed(at, "must not be there together with data")
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

// jsonIn returns JSON as it is and, for a JSON string, the text in it: senders that serialize twice, and those whose
// library takes the data for a text, mean the object in it.
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

// fromBase64 returns the bytes in data_base64, without the byte order mark that they may begin with.
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

// absent reports whether there is no value.
func absent(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }
