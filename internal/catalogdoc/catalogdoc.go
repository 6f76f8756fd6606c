// Package catalogdoc writes what readers and their tools want to know about the catalog of events: docs/reference/events.md and
// api/asyncapi.yaml. Both follow from event alone, so that they cannot say anything else than the code does; a test
// and make check notice when they are stale, make docs writes them.
//
// Everything here is pure: same catalog, same bytes.
package catalogdoc

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/template"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v3"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/trace"
	"github.com/ordersaga/ordersaga/internal/wire"
)

//go:embed events.md.tmpl asyncapi.yaml.tmpl
var files embed.FS

var documents = template.Must(template.New("").Funcs(template.FuncMap{
	"join": strings.Join,
	// cell makes a text fit for a table.
	"cell": func(s string) string { return strings.ReplaceAll(s, "|", `\|`) },
	"json": layOut, "yaml": indented,
}).ParseFS(files, "*.tmpl"))

// Markdown returns docs/reference/events.md.
func Markdown() ([]byte, error) { return write("events.md.tmpl") }

// AsyncAPI returns api/asyncapi.yaml.
func AsyncAPI() ([]byte, error) { return write("asyncapi.yaml.tmpl") }

func write(document string) ([]byte, error) {
	types := map[event.Direction][]entry{}
	for _, d := range []event.Direction{event.Inbound, event.Published, event.Ledger} {
		for _, t := range event.Types(d) {
			e, err := newEntry(t)
			if err != nil {
				return nil, fmt.Errorf("schema of %s: %w", t.Name, err)
			}
			types[d] = append(types[d], e)
		}
	}
	var b bytes.Buffer
	err := documents.ExecuteTemplate(&b, document, map[string]any{
		"Read": types[event.Inbound], "Published": types[event.Published], "Kept": types[event.Ledger],
		"Exchange": wire.Exchange, "Inbox": wire.AppID + ".inbox", // as the broker's topology has it by default
		"ContentType": wire.ContentType, "Source": event.Source,
		"TraceHeader": trace.Header, "CorrelationHeader": wire.HeaderCorrelationID,
	})
	return b.Bytes(), err
}

// entry is a type of the catalog with the newest schema of its data.
type entry struct {
	event.Type
	// Schema is without its dialect: that is the document's.
	Schema   *yaml.Node
	Fields   []field
	Examples []json.RawMessage
	// Data says what the data is, where the schema says more than the catalog.
	Data string
}

func newEntry(t event.Type) (entry, error) {
	raw, ok := event.Schema(t.Name, t.Version)
	if !ok {
		return entry{}, fmt.Errorf("there is none of version %d", t.Version)
	}
	var s schema
	var shown struct {
		Examples []json.RawMessage `json:"examples"`
	}
	node, err := parsed(raw)
	if err != nil {
		return entry{}, err
	}
	if err := errors.Join(node.Decode(&s), json.Unmarshal(raw, &shown)); err != nil {
		return entry{}, err
	}
	e := entry{Type: t, Schema: node, Examples: shown.Examples}
	for i := 0; i < len(node.Content); i += 2 {
		if node.Content[i].Value == "$schema" {
			node.Content = append(node.Content[:i], node.Content[i+2:]...)
		}
	}
	if s.Description != t.Meaning {
		e.Data = strings.ToLower(s.Description[:1]) + s.Description[1:]
	}
	e.Fields, err = s.fields("")
	return e, err
}

// Read reports whether the service reads the type.
func (e entry) Read() bool { return e.Direction == event.Inbound }

// Sent reports whether the service publishes the type.
func (e entry) Sent() bool { return e.Direction == event.Published }

// Source is where the service's own events come from.
func (entry) Source() string { return event.Source }

// DataSchema is what the envelope names.
func (e entry) DataSchema() string { return wire.SchemaOf(e.Name, e.Version) }

// Anchor is what GitHub makes of a heading that is the type's name.
func (e entry) Anchor() string { return strings.ReplaceAll(e.Name, ".", "") }

// exampleWidth is how wide an example may be before it is broken.
const exampleWidth = 120

// layOut writes an object on one line where it fits, else a line for each member.
func layOut(object json.RawMessage) (string, error) {
	line, err := spaced(object)
	if err != nil || len(line) <= exampleWidth {
		return line, err
	}
	node, err := parsed(object)
	var members map[string]json.RawMessage
	if err = errors.Join(err, json.Unmarshal(object, &members)); err != nil {
		return "", err
	}
	var lines []string
	for i := 0; i < len(node.Content); i += 2 { // in the author's order
		name := node.Content[i].Value
		value, err := spaced(members[name])
		if err != nil {
			return "", err
		}
		lines = append(lines, fmt.Sprintf("  %q: %s", name, value))
	}
	return "{\n" + strings.Join(lines, ",\n") + "\n}", nil
}

// spaced writes JSON on one line, with a space after commas and colons.
func spaced(raw []byte) (string, error) {
	line, err := jsontext.AppendFormat(nil, raw, jsontext.SpaceAfterColon(true), jsontext.SpaceAfterComma(true))
	return string(line), err
}

// parsed reads JSON, which YAML has as a part: a node keeps the order of the members, and the author's order is the best to read.
func parsed(raw []byte) (*yaml.Node, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(raw, &document); err != nil {
		return nil, err
	}
	block(document.Content[0])
	return document.Content[0], nil
}

// block lays a node out in lines, as YAML is, where it came in the braces of JSON.
func block(n *yaml.Node) {
	n.Style = 0
	for _, child := range n.Content {
		block(child)
	}
}

// indented writes a value as YAML, each line so many spaces further in.
func indented(spaces int, value any) (string, error) {
	if raw, ok := value.(json.RawMessage); ok {
		node, err := parsed(raw)
		if err != nil {
			return "", err
		}
		value = node
	}
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(value); err != nil {
		return "", err
	}
	margin := strings.Repeat(" ", spaces)
	return margin + strings.ReplaceAll(strings.TrimSuffix(b.String(), "\n"), "\n", "\n"+margin), encoder.Close()
}
