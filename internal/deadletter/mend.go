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

// withoutEffect are the reasons of letters whose event cannot have had an effect: no handler got as far as that. Such an event may
// keep its id when it is mended.
var withoutEffect = map[fault.Code]bool{
	fault.Malformed: true, fault.Invalid: true, fault.TooLarge: true, fault.UnsupportedMediaType: true,
	fault.UnknownType: true, fault.UnknownVersion: true, fault.OrderUnknown: true,
}

// mended returns the letter's message with another body. The new body speaks for itself: an id in it is the event's id.
// When it has none, the message's id stays if the event cannot have had an effect; otherwise a fresh one is made from the
// letter and the body, because under the old one the mended event would be taken for a duplicate.
func (l Letter) mended(body []byte) wire.Message {
	m := l.Message
	m.Body = body
	var fields map[string]json.RawMessage
	_ = json.NewDecoder(bytes.NewReader(body)).Decode(&fields) // without fields where it is no object
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
		if !namesItself(m) {
			m.MessageID = event.DerivedID("mended", l.ID, HashOf(body))
		}
	}
	return m
}

// namesItself reports whether the id of a message's event is in its body: then the message's own id does not matter.
func namesItself(m wire.Message) bool {
	m.MessageID = "a"
	one, err := wire.Decode(m)
	m.MessageID = "b"
	other, _ := wire.Decode(m) // it is read if the first one is
	return err == nil && one.ID == other.ID
}
