package wire

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// maxDepth bounds the nesting of a body. Nothing in the catalog is deeper than five.
const maxDepth = 64

// object is a JSON object and where it stands in the body. Names are compared exactly: encoding/json alone
// would take "ID" for "id".
type object struct {
	at     string // JSON pointer, without a slash at its end
	fields map[string]json.RawMessage
}

// parse checks JSON at a place of the body, depth levels deep, and returns it as an object, and its bytes as they can be read.
// A defect is what is wrong with JSON whose type and subject can be told all the same.
func parse(at string, body []byte, depth int) (o object, raw []byte, defect, err error) {
	if !utf8.Valid(body) {
		defect, body = malformed(at, "is not valid UTF-8"), bytes.ToValidUTF8(body, []byte("\uFFFD"))
	}
	switch err = checkObject(at, body, depth); {
	case err != nil && readable(body):
		defect = cmp.Or(defect, err)
	case err != nil:
		return object{}, nil, nil, cmp.Or(defect, err)
	}
	o, err = open(at, body)
	return o, body, defect, err
}

// telling are the names of the fields that say what an event is and what it is about.
var telling = map[string]bool{
	"specversion": true, "type": true, "eventType": true, "pattern": true, "data": true, "subject": true, "aggregateId": true,
	"orderId": true,
}

// readable reports whether a body is an object in which no field that tells the type or the subject occurs twice. The names
// of deeper fields say nothing about either.
func readable(body []byte) bool {
	if !json.Valid(body) || jsontext.Value(body).Kind() != '{' {
		return false
	}
	decoder := jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
	seen := make(map[jsontext.Pointer]bool)
	for {
		if _, err := decoder.ReadToken(); err != nil {
			return errors.Is(err, io.EOF)
		}
		kind, length := decoder.StackIndex(decoder.StackDepth())
		if at := decoder.StackPointer(); kind == '{' && length%2 == 1 && tells(at) {
			if seen[at] {
				return false
			}
			seen[at] = true
		}
	}
}

// tells reports whether a name says what the event is or is about: in the body itself, or in the data within.
func tells(at jsontext.Pointer) bool {
	for parent := at.Parent(); parent != ""; parent = parent.Parent() {
		if parent.LastToken() != "data" {
			return false
		}
	}
	return telling[at.LastToken()]
}

// checkObject checks an object at a place of the body, depth levels deep. What two readers could read differently is refused:
// bytes that are not UTF-8, a name that occurs twice in one object, unexpected data after the object.
func checkObject(at string, body []byte, depth int) error {
	switch {
	case !utf8.Valid(body):
		return malformed(at, "is not valid UTF-8")
	case !json.Valid(body):
		return malformed(at, "is not valid JSON")
	case jsontext.Value(body).Kind() == '[':
		return malformed(at, "must be a JSON object, not a list: events are read one by one")
	case jsontext.Value(body).Kind() != '{':
		return malformed(at, "must be a JSON object")
	}
	return checkNames(at, body, depth)
}

// open reads one level of an object that parse has checked.
func open(at string, raw json.RawMessage) (object, error) {
	o := object{at: at}
	if err := json.Unmarshal(raw, &o.fields); err != nil || o.fields == nil {
		return object{}, malformed(at, "must be an object")
	}
	return o, nil
}

// checkNames refuses names that occur twice in one object, and what is nested too deeply. The body is valid JSON at a place
// that is depth levels deep.
func checkNames(at string, body []byte, depth int) error {
	// Half a surrogate pair is valid JSON, whoever may be able to use it.
	decoder := jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowInvalidUTF8(true))
	for {
		token, err := decoder.ReadToken()
		var wrong *jsontext.SyntacticError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, jsontext.ErrDuplicateName) && errors.As(err, &wrong):
			return malformed(at+place(wrong.JSONPointer), "occurs twice")
		case err != nil:
			return malformed(at, "is not valid JSON")
		}
		if kind := token.Kind(); (kind == '{' || kind == '[') && depth+decoder.StackDepth() > maxDepth {
			return malformed(at+place(decoder.StackPointer()), "is nested too deeply")
		}
	}
}

// place is a pointer as error messages tell it.
func place(p jsontext.Pointer) string {
	at := ""
	for name := range p.Tokens() {
		at += pointer(name)
	}
	return at
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

// scalars returns the fields that are texts, numbers or booleans, as JSON.
func (o object) scalars() json.RawMessage {
	kept := make(map[string]json.RawMessage, len(o.fields))
	for name, raw := range o.fields {
		if kind := jsontext.Value(raw).Kind(); kind != '{' && kind != '[' {
			kept[name] = raw
		}
	}
	raw, err := json.Marshal(kept)
	if err != nil {
		return json.RawMessage("{}")
	}
	return raw
}

// isNumber reports whether a JSON value is a number.
func isNumber(raw json.RawMessage) bool { return len(raw) > 0 && jsontext.Value(raw).Kind() == '0' }

// textField is a field to read and where to put it.
type textField struct {
	name string
	to   *string
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
		*f.to = text
	}
}

// pointer returns the JSON pointer of a field.
func (o object) pointer(name string) string { return o.at + pointer(name) }

var escaper = strings.NewReplacer("~", "~0", "/", "~1")

// pointer returns the reference token of a name, RFC 6901. Names are the sender's: they are cut short.
func pointer(name string) string { return "/" + escaper.Replace(shorten(name)) }

// shorten cuts a text of the sender to a length that an error message can take.
func shorten(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	cut := most
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

func malformed(at, detail string) error {
	return &fault.Error{Code: fault.Malformed, Message: "the message cannot be read",
		Fields: []fault.Field{{Pointer: at, Detail: detail}}}
}

func invalid(at, detail string) error {
	return &fault.Error{Code: fault.Invalid, Message: "the event is invalid",
		Fields: []fault.Field{{Pointer: at, Detail: detail}}}
}
