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

// maxDepth bounds the nesting of a body. Nothing in the catalog is deeper than five.
const maxDepth = 64

// object is a JSON object and where it is in the body. Names are compared exactly: encoding/json alone
// would take "ID" for "id".
type object struct {
	at     string // JSON pointer, without a slash at its end
	fields map[string]json.RawMessage
	// headers are the names of the headers that the fields come from; nil for a body.
	headers map[string]string
}

// parse checks JSON at a place of the body, depth levels deep, and returns it as an object, and its bytes as they can be read.
// A defect is what is wrong with JSON whose type and subject can be determined all the same.
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

// naming are the names of the fields that say what an event is and what it is about.
var naming = map[string]bool{
	"specversion": true, "type": true, "eventType": true, "pattern": true, "data": true, "subject": true, "aggregateId": true,
	"orderId": true,
}

// unambiguous reports whether a body is an object in which no field that names the type or the subject occurs twice: in the body
// itself, or in the data within.
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

// lenient reads JSON whose names may occur twice and whose texts need not be UTF-8. Half a surrogate pair is valid JSON too.
func lenient(body []byte) *jsontext.Decoder {
	return jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
}

// checkObject checks an object at a place of the body, depth levels deep: see jsondoc.Check.
func checkObject(at string, body []byte, depth int) error {
	switch defect := jsondoc.Check(body, maxDepth-depth); {
	case defect == nil:
		return nil
	case !utf8.Valid(body):
		return malformed(at, defect.Detail)
	case !json.Valid(body):
		return malformed(at, "is not valid JSON")
	case jsontext.Value(body).Kind() == '[':
		return malformed(at, "must be a JSON object, not a list: events are read one by one")
	default:
		return malformed(at+defect.Pointer, defect.Detail)
	}
}

// open reads one level of an object that parse has checked.
func open(at string, raw json.RawMessage) (object, error) {
	o := object{at: at}
	if err := json.Unmarshal(raw, &o.fields); err != nil || o.fields == nil {
		return object{}, malformed(at, "must be an object")
	}
	return o, nil
}

// has reports whether the field is there and not null.
func (o object) has(name string) bool {
	raw, ok := o.fields[name]
	return ok && string(raw) != "null"
}

// text returns a field that must be a string where it is there.
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

// scalar returns a field as text: a string, or the digits of a number as they were sent. It is empty for everything else.
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

// skim reads one level of an object as far as it can be read: from a body that is cut off everything before the cut, from one that
// is too large its beginning. The first value of a name counts. Only texts, numbers and objects are read; the last object may be
// cut off. An object that is a JSON text is read when nested.
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

// child skims an object within, which may be the JSON text of one.
func (o object) child(name string) object {
	child := skim(o.fields[name], true)
	if len(child.fields) == 0 && name == "data" {
		raw, _ := base64.StdEncoding.DecodeString(strings.TrimSpace(o.scalar("data_base64")))
		child = skim(raw, false)
	}
	return child
}

// scalars returns the fields that are texts, numbers or booleans, as JSON.
func (o object) scalars() json.RawMessage {
	kept := object{fields: maps.Clone(o.fields)}
	maps.DeleteFunc(kept.fields, func(_ string, raw json.RawMessage) bool {
		kind := jsontext.Value(raw).Kind()
		return kind == '{' || kind == '['
	})
	return kept.json()
}

// json returns the object, with sorted names.
func (o object) json() json.RawMessage {
	raw, err := json.Marshal(o.fields)
	if err != nil {
		return emptyObject // not for values that were checked
	}
	return raw
}

// isNumber reports whether a JSON value is a number.
func isNumber(raw json.RawMessage) bool { return len(raw) > 0 && jsontext.Value(raw).Kind() == '0' }

// textField is a field to read and where to put it.
type textField struct {
	name string
	to   *located
}

// read reads fields that must be strings where they are there, in the order given. What is a number is taken by its digits,
// and what is something else is passed over; both are defects.
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

// shorten cuts a text of the sender to a length that an error message can take.
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
