package deadletter

import (
	"bytes"
	"encoding/json"
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
	fields := topLevel(body)
	if strings.HasPrefix(strings.ToLower(m.ContentType), "application/cloudevents") && fields["specversion"] == nil {
		m.ContentType = "application/json"
	}
	if m.ContentEncoding != "" && json.Valid(body) {
		m.ContentEncoding = ""
	}
	if !withoutEffect[l.Reason] {
		if m.Headers = withoutID(m.Headers); !namesItself(m) {
			m.MessageID = event.DerivedID("mended", l.ID, HashOf(body))
		}
	}
	return m
}

func topLevel(body []byte) map[string]json.RawMessage {
	var fields map[string]json.RawMessage
	if json.NewDecoder(bytes.NewReader(body)).Decode(&fields) != nil {
		return nil
	}
	return fields
}

// namesItself reports whether the id of a message's event is in its body: then the message's own id does not matter.
func namesItself(m wire.Message) bool {
	m.MessageID = "a"
	one, err := wire.Decode(m)
	if err != nil {
		return false
	}
	m.MessageID = "b"
	other, err := wire.Decode(m)
	return err == nil && one.ID == other.ID
}

// withoutID leaves out the header in which the binary mode of CloudEvents has the id.
func withoutID(headers map[string]any) map[string]any {
	kept := make(map[string]any, len(headers))
	for name, value := range headers {
		if attribute, ok := wire.BinaryAttribute(name); !ok || attribute != "id" {
			kept[name] = value
		}
	}
	return kept
}
