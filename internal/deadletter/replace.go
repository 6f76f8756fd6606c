package deadletter

import (
	"bytes"
	"encoding/json"
	"maps"
	"strings"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// withoutEffect are the reasons of letters whose event certainly had no effect. Such an event may keep its ID when its body is replaced.
var withoutEffect = map[fault.Code]bool{
	fault.Malformed: true, fault.Invalid: true, fault.TooLarge: true, fault.UnsupportedMediaType: true,
	fault.UnknownType: true, fault.UnknownVersion: true, fault.OrderUnknown: true,
}

// withBody returns the letter's message with another body. An event ID in the new body is used. Otherwise the message ID is kept if the event had
// no effect; if it may have had one, a new ID is derived from letter and body, because with the old one the corrected event would be taken
// for a duplicate.
func (l Letter) withBody(body []byte) wire.Message {
	m := l.Message
	m.Body = body
	var fields map[string]json.RawMessage
	_ = json.NewDecoder(bytes.NewReader(body)).Decode(&fields) // no fields if it is not an object
	if strings.HasPrefix(strings.ToLower(m.ContentType), "application/cloudevents") && fields["specversion"] == nil {
		m.ContentType = "application/json"
	}
	if m.ContentEncoding != "" && json.Valid(body) {
		m.ContentEncoding = ""
	}
	if !withoutEffect[l.Reason] {
		m.Headers = maps.Clone(m.Headers)
		maps.DeleteFunc(m.Headers, func(name string, _ any) bool {
			attribute, ok := wire.BinaryAttribute(name)
			return ok && attribute == "id"
		})
		if !hasOwnID(m) {
			m.MessageID = event.DerivedID("mended", l.ID, HashOf(body))
		}
	}
	return m
}

// hasOwnID reports whether the body of a message has the event ID: then the message ID is not used.
func hasOwnID(m wire.Message) bool {
	m.MessageID = "a"
	one, err := wire.Decode(m)
	m.MessageID = "b"
	other, _ := wire.Decode(m) // valid if the first one is
	return err == nil && one.ID == other.ID
}
