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
// An envelope without data has an empty object: which fields must be in it is for those to say who know the type.
func (d *draft) takeData(o object) (err error) {
	at, raw := o.pointer("data"), o.fields["data"]
	if o.has("data_base64") {
		if o.has("data") {
			return malformed(o.pointer("data_base64"), "must not be there together with data")
		}
		at = o.pointer("data_base64")
		if raw, err = fromBase64(o); err != nil {
			return err
		}
	}
	text, err := jsonIn(at, raw)
	if err != nil {
		return err
	}
	if absent(text) {
		text = emptyObject
	}
	if len(raw) > 0 && (raw[0] == '"' || o.has("data_base64")) {
		// It was text when the body was checked.
		if err = checkObject(at, text, 1); err != nil {
			return err
		}
	}
	d.data, err = open(at, text)
	d.raw = text
	return err
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
