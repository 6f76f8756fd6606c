package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

const (
	// maxDepth bounds the nesting of a body. No body here is deeper than three.
	maxDepth = 16
)

// document reads the fields of a JSON body and collects what is wrong with them, so that one answer names
// everything. encoding/json alone stops at the first mistake, takes "SKU" for "sku", the last of two equal
// names, and says nothing about the place.
type document struct{ fields []fault.Field }

// node is a value of the body and where it stands.
type node struct {
	// at is the value's JSON pointer.
	at string
	// value is a map[string]any, []any, json.Number, string, bool or nil.
	value any
}

// parseDocument reads a body that must be one JSON object and nothing after it. What two readers could read
// differently is refused: bytes that are not UTF-8, a name that occurs twice in one object. The error is
// Malformed.
func parseDocument(body []byte) (node, error) {
	if !utf8.Valid(body) {
		return node{}, malformed("", "is not valid UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	value, err := parseValue(decoder, "", 0)
	if err != nil {
		return node{}, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return node{}, malformed("", "is not valid JSON: unexpected data after the JSON object")
	}
	if _, isObject := value.(map[string]any); !isObject {
		return node{}, malformed("", "must be a JSON object")
	}
	return node{value: value}, nil
}

// parseValue reads the next value.
func parseValue(d *json.Decoder, at string, depth int) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, notJSON(d, at, err)
	}
	delim, nested := token.(json.Delim)
	if !nested {
		return token, nil
	}
	if depth == maxDepth {
		return nil, malformed(at, "is nested too deeply")
	}
	if delim == '{' {
		return parseObject(d, at, depth)
	}
	return parseArray(d, at, depth)
}

func parseObject(d *json.Decoder, at string, depth int) (any, error) {
	object := make(map[string]any)
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, notJSON(d, at, err)
		}
		name, _ := token.(string)
		there := at + pointer(name)
		if _, twice := object[name]; twice {
			return nil, malformed(there, "occurs twice")
		}
		if object[name], err = parseValue(d, there, depth+1); err != nil {
			return nil, err
		}
	}
	return object, closeNested(d, at)
}

func parseArray(d *json.Decoder, at string, depth int) (any, error) {
	array := []any{}
	for d.More() {
		value, err := parseValue(d, at+"/"+strconv.Itoa(len(array)), depth+1)
		if err != nil {
			return nil, err
		}
		array = append(array, value)
	}
	return array, closeNested(d, at)
}

// closeNested reads the delimiter that More saw.
func closeNested(d *json.Decoder, at string) error {
	if _, err := d.Token(); err != nil {
		return notJSON(d, at, err)
	}
	return nil
}

func notJSON(d *json.Decoder, at string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return malformed(at, "is not valid JSON: it ends too early")
	}
	return malformed(at, "is not valid JSON, near byte "+strconv.FormatInt(d.InputOffset(), 10))
}

func malformed(at, detail string) error {
	return &fault.Error{Code: fault.Malformed, Message: "the body cannot be parsed",
		Fields: []fault.Field{{Pointer: at, Detail: detail}}}
}

var escaper = strings.NewReplacer("~", "~0", "/", "~1")

// pointer returns the reference token of a name. Names are the sender's: they are cut short.
func pointer(name string) string {
	const most = 64
	if len(name) > most {
		cut := most
		for !utf8.RuneStart(name[cut]) {
			cut--
		}
		name = name[:cut] + "…"
	}
	return "/" + escaper.Replace(name)
}

func (d *document) add(at, format string, args ...any) {
	d.fields = append(d.fields, fault.Fieldf(at, format, args...))
}

// object returns the fields of an object, and complains about those that are not among the known ones.
func (d *document) object(n node, known ...string) map[string]node {
	values, ok := n.value.(map[string]any)
	if !ok {
		d.add(n.at, fault.RuleObject)
		return nil
	}
	fields := make(map[string]node, len(known))
	for _, name := range known {
		if value, there := values[name]; there {
			fields[name] = node{at: n.at + pointer(name), value: value}
		}
	}
	if len(fields) < len(values) {
		d.unknown(n.at, values, known)
	}
	return fields
}

// text returns a field that must be a string where it is there.
func (d *document) text(fields map[string]node, name string) string {
	n, there := fields[name]
	if !there {
		return ""
	}
	text, ok := n.value.(string)
	if !ok {
		d.add(n.at, fault.RuleString)
	}
	return text
}

// integer returns a field that must be an integer, and complains when it is missing. Unit says of what.
func (d *document) integer(fields map[string]node, parent, name, unit string) int64 {
	n, there := fields[name]
	if !there {
		d.add(parent+pointer(name), fault.RuleMissing)
		return 0
	}
	i, wrong := event.ReadInteger(n.value, unit)
	if wrong != "" {
		d.add(n.at, "%s", wrong)
	}
	return i
}

// list returns the elements of a field that must be an array where it is there.
func (d *document) list(fields map[string]node, name string) []node {
	n, there := fields[name]
	if !there {
		return nil
	}
	values, ok := n.value.([]any)
	if !ok {
		d.add(n.at, fault.RuleArray)
		return nil
	}
	nodes := make([]node, len(values))
	for i, value := range values {
		nodes[i] = node{at: n.at + "/" + strconv.Itoa(i), value: value}
	}
	return nodes
}
