package wire

import (
	"bytes"
	"encoding/base64"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ordersaga/ordersaga/event"
)

// Identity is what a message says about the event in it. Any field may be empty.
type Identity struct {
	// Type is a name of the catalog, or what the message claims to be.
	Type string
	// ID, Subject and CorrelationID are the sender's, unchecked.
	ID, Subject, CorrelationID string
}

// Identify reads what can be read about the event of a message that Decode refuses, so that people can find out what was
// lost: from a body that is cut off everything before the cut, from one that is too large its beginning. Numbers are taken for
// texts. It never fails.
func Identify(m Message) Identity {
	top := scan(m.Body, true)
	attributes := binaryAttributes(m.Headers)
	envelope, data := top, top.child("data")
	claims := []string{envelope.text("type"), envelope.text("eventType")}
	switch {
	case len(attributes) > 0 && !top.has("specversion"):
		envelope, data = scanned{}, top
		for name, h := range attributes {
			if text, ok := headerText(h.value); ok {
				envelope.put(name, text)
			}
		}
		claims = []string{envelope.text("type")}
	case top.has("pattern") && !top.has("specversion"):
		envelope, data = data, data.child("data")
		claims = []string{envelope.text("type"), envelope.text("eventType")}
		pattern, isObject := top.children["pattern"]
		if !isObject {
			claims = append(claims, top.text("pattern"))
		}
		for _, name := range patternNames {
			claims = append(claims, pattern.text(name))
		}
	}
	id := Identity{
		ID:            first(envelope.text("id"), top.text("id"), m.MessageID),
		CorrelationID: first(envelope.text("correlationid"), envelope.text("correlationId"), m.CorrelationID),
	}
	fields := []string{"orderId"}
	typ, known := findKnown(append(claims, m.Type, m.RoutingKey))
	if id.Type = first(append(claims, m.Type, m.RoutingKey)...); known {
		id.Type = typ.Name
		if typ.SubjectFields != nil {
			fields = typ.SubjectFields
		}
	}
	var candidates []string
	for _, name := range fields {
		candidates = append(candidates, data.text(name), envelope.text(name))
	}
	id.Subject = first(append(candidates, envelope.text("subject"), envelope.text("aggregateId"))...)
	return id
}

// findKnown returns the type of the first name that is in the catalog.
func findKnown(names []string) (event.Type, bool) {
	for _, name := range names {
		if typ, ok := event.Find(name); ok {
			return typ, true
		}
	}
	return event.Type{}, false
}

// scanDepth is how deep scan looks for names: an event in a NestJS packet has its data there.
const scanDepth = 3

// scanned is what could be read of a JSON object. The zero value has nothing.
type scanned struct {
	texts    map[string]string
	children map[string]scanned
}

func (s scanned) text(name string) string   { return s.texts[name] }
func (s scanned) child(name string) scanned { return s.children[name] }

func (s scanned) has(name string) bool {
	_, text := s.texts[name]
	_, child := s.children[name]
	return text || child
}

// put keeps the first value of a name.
func (s *scanned) put(name, value string) {
	if s.texts == nil {
		s.texts = make(map[string]string)
	}
	if _, twice := s.texts[name]; !twice {
		s.texts[name] = value
	}
}

// scan reads an object until it cannot go on. Objects that are JSON texts are read where the format allows them.
func scan(body []byte, nested bool) scanned {
	body = bytes.TrimPrefix(body[:min(len(body), MaxBody)], byteOrderMark)
	decoder := jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
	token, err := decoder.ReadToken()
	switch {
	case err != nil:
		return scanned{}
	case token.Kind() == '"' && nested:
		return scan([]byte(token.String()), false)
	case token.Kind() != '{':
		return scanned{}
	}
	s, _ := scanObject(decoder, 1)
	return s
}

// scanObject reads the fields of an object whose brace is read. ok is false when it could not be read to its end.
func scanObject(decoder *jsontext.Decoder, depth int) (s scanned, ok bool) {
	for {
		token, err := decoder.ReadToken()
		if err != nil || token.Kind() == '}' {
			return s, err == nil
		}
		name := token.String()
		if decoder.PeekKind() == '{' && depth < scanDepth {
			if _, err := decoder.ReadToken(); err != nil {
				return s, false
			}
			child, ok := scanObject(decoder, depth+1)
			s.adopt(name, child)
			if !ok {
				return s, false
			}
			continue
		}
		value, err := decoder.ReadValue()
		if err != nil {
			return s, false
		}
		s.take(name, value)
	}
}

// take takes a value that is no object, or one that is too deep to matter.
func (s *scanned) take(name string, value jsontext.Value) {
	switch value.Kind() {
	case '0':
		s.put(name, string(value))
	case '"':
		raw, err := jsontext.AppendUnquote(nil, value)
		if err != nil && raw == nil {
			return
		}
		text := string(raw)
		s.put(name, text)
		switch name {
		case "data", "pattern":
			s.adopt(name, scan([]byte(text), false))
		case "data_base64":
			raw, _ := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
			s.adopt("data", scan(raw, false))
		}
	}
}

// adopt keeps the first object of a name, if there is anything in it.
func (s *scanned) adopt(name string, child scanned) {
	if child.texts == nil && child.children == nil {
		return
	}
	if s.children == nil {
		s.children = make(map[string]scanned)
	}
	if _, twice := s.children[name]; !twice {
		s.children[name] = child
	}
}
