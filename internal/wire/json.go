package wire

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/jsondoc"
)

// maxDepth bounds the nesting of a body. No event of the catalog is nested deeper than five levels.
const maxDepth = 64

// object is a JSON object with its location in the body. Names are compared exactly; encoding/json would accept "ID" for "id".
type object struct {
	at     string // JSON pointer, without a trailing slash
	fields map[string]json.RawMessage
	// headers are the header names of the fields; nil for a body.
	headers map[string]string
}

// parse checks JSON at a location, depth levels deep, and returns it as an object, with its repaired bytes. defect is an error in JSON whose
// type and subject can still be determined.
func parse(at string, body []byte, depth int) (o object, raw []byte, defect, err error) {
	if !utf8.Valid(body) {
		defect, body = malformed(at, "is not valid UTF-8"), bytes.ToValidUTF8(body, []byte("\uFFFD"))
	}
	if err = checkObject(at, body, depth); err != nil {
		defect = cmp.Or(defect, err)
		if !unambiguous(body) {
			return object{}, nil, nil, defect
		}
	}
	o, err = open(at, body)
	return o, body, defect, err
}

// naming are the fields that determine type and subject.
var naming = map[string]bool{
	"specversion": true, "type": true, "eventType": true, "pattern": true, "data": true, "subject": true, "aggregateId": true,
	"orderId": true,
}

// unambiguous reports whether a body is an object in which no field that determines type or subject is duplicated, in the body or in the nested
// data.
func unambiguous(body []byte) bool {
	if !json.Valid(body) || jsontext.Value(body).Kind() != '{' {
		return false
	}
	decoder := lenient(body)
	seen := make(map[jsontext.Pointer]bool)
	for {
		if _, err := decoder.ReadToken(); err != nil {
			return errors.Is(err, io.EOF)
		}
		kind, length := decoder.StackIndex(decoder.StackDepth())
		if at := decoder.StackPointer(); kind == '{' && length%2 == 1 && naming[at.LastToken()] && strings.ReplaceAll(string(at.Parent()), "/data", "") == "" {
			if seen[at] {
				return false
			}
			seen[at] = true
		}
	}
}

// lenient returns a decoder that accepts duplicate names, invalid UTF-8 and unpaired surrogates.
func lenient(body []byte) *jsontext.Decoder {
	return jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
}

// checkObject checks an object at a location, depth levels deep: see jsondoc.Check.
func checkObject(at string, body []byte, depth int) error {
	switch defect := jsondoc.Check(body, maxDepth-depth); {
	case defect == nil:
		return nil
	case !utf8.Valid(body):
		return malformed(at, defect.Detail)
	case !json.Valid(body):
		return malformed(at, "is not valid JSON")
	case jsontext.Value(body).Kind() == '[':
		return malformed(at, "must be a JSON object, not a list: send events one by one")
	default:
		return malformed(at+defect.Pointer, defect.Detail)
	}
}

// open reads one level of a checked object.
func open(at string, raw json.RawMessage) (object, error) {
	o := object{at: at}
	if err := json.Unmarshal(raw, &o.fields); err != nil || o.fields == nil {
		return object{}, malformed(at, "must be an object")
	}
	return o, nil
}

// has reports whether a field is present and not null.
func (o object) has(name string) bool {
	raw, ok := o.fields[name]
	return ok && string(raw) != "null"
}

// text returns a field that must be a string if present.
func (o object) text(name string) (string, error) {
	if !o.has(name) {
		return "", nil
	}
	var s string
	if err := json.Unmarshal(o.fields[name], &s); err != nil {
		return "", malformed(o.pointer(name), "must be a string")
	}
	return s, nil
}

// scalar returns a string field, or the digits of a number as sent; empty for all other values.
func (o object) scalar(name string) string {
	text, err := o.text(name)
	if err == nil {
		return text
	}
	if isNumber(o.fields[name]) {
		return string(o.fields[name])
	}
	return ""
}

// skim reads one level of an object as far as it is readable: a truncated body up to its end, and the beginning of a body that is too large. Of
// duplicate names it uses the first value. It reads only strings, numbers and objects; the last object may be truncated. If nested is set,
// it also reads an object inside a JSON string.
func skim(body []byte, nested bool) (o object) {
	body = bytes.TrimPrefix(body[:min(len(body), MaxBody)], byteOrderMark)
	decoder := lenient(body)
	token, err := decoder.ReadToken()
	switch {
	case err != nil:
		return o
	case token.Kind() == '"' && nested:
		return skim([]byte(token.String()), false)
	case token.Kind() != '{':
		return o
	}
	o.fields = make(map[string]json.RawMessage)
	for {
		token, err := decoder.ReadToken()
		if err != nil || token.Kind() == '}' {
			return o
		}
		name := token.String()
		kind, rest := decoder.PeekKind(), decoder.InputOffset()
		value, err := decoder.ReadValue()
		if err != nil && kind == '{' {
			value = bytes.TrimLeft(body[rest:], ": \t\r\n")
		}
		if _, twice := o.fields[name]; !twice && (kind == '{' || err == nil && (kind == '"' || kind == '0')) {
			o.fields[name] = bytes.Clone(value)
		}
		if err != nil {
			return o
		}
	}
}

// child skims a field, which may be an object or the JSON text of one.
func (o object) child(name string) object {
	child := skim(o.fields[name], true)
	if len(child.fields) == 0 && name == "data" {
		raw, _ := base64.StdEncoding.DecodeString(strings.TrimSpace(o.scalar("data_base64")))
		child = skim(raw, false)
	}
	return child
}

// scalars returns all fields except objects and arrays, as JSON.
func (o object) scalars() json.RawMessage {
	kept := object{fields: maps.Clone(o.fields)}
	maps.DeleteFunc(kept.fields, func(_ string, raw json.RawMessage) bool {
		kind := jsontext.Value(raw).Kind()
		return kind == '{' || kind == '['
	})
	return kept.json()
}

// json returns the object as JSON, with sorted names.
func (o object) json() json.RawMessage {
	raw, err := json.Marshal(o.fields)
	if err != nil {
		return emptyObject // cannot happen for checked values
	}
	return raw
}

// isNumber reports whether a JSON value is a number.
func isNumber(raw json.RawMessage) bool { return len(raw) > 0 && jsontext.Value(raw).Kind() == '0' }

// textField is a field to read, with its destination.
type textField struct {
	name string
	to   *located
}

// read reads fields that must be strings if present, in this order. A number is read as its digits, other types are ignored; both are defects.
func (d *draft) read(o object, fields ...textField) {
	for _, f := range fields {
		text, err := o.text(f.name)
		if err != nil {
			text = o.scalar(f.name)
			d.defect(f.name, err)
		}
		*f.to = located{text, o.pointer(f.name)}
	}
}

// pointer returns the JSON pointer of a field.
func (o object) pointer(name string) string {
	if o.headers != nil {
		name = cmp.Or(o.headers[name], binaryPrefixes[0]+name)
	}
	return o.at + jsondoc.Pointer(name)
}

// shorten truncates a text of the sender for error messages.
func shorten(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

func malformed(at, detail string) error {
	return &fault.Error{Code: fault.Malformed, Message: "the message cannot be read",
		Fields: []fault.Field{{Pointer: at, Detail: detail}}}
}

func invalid(at, detail string) error {
	return &fault.Error{Code: fault.Invalid, Message: "the event is invalid",
		Fields: []fault.Field{{Pointer: at, Detail: detail}}}
}
