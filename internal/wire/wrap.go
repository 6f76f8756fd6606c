package wire

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Wrap returns the message that a neighbour sends for an event: a structured CloudEvent without a sequence, which
// only the events of this service's streams have. The message's AppID is the event's source.
//
// Errors: UnknownType; TooLarge over MaxBody; Invalid or Malformed for what Decode would refuse.
func Wrap(e event.Event) (Message, error) {
	attributes := map[string]any{
		"specversion": specVersion, "id": e.ID, "type": e.Type, "source": e.Source, "datacontenttype": "application/json",
		"time": e.Time.UTC().Truncate(event.TimeResolution).Format(timeFormat), "data": e.Data,
	}
	for name, value := range map[string]string{
		"subject": e.Subject, "correlationid": e.CorrelationID, "causationid": e.CausationID,
	} {
		if value != "" {
			attributes[name] = value
		}
	}
	if e.SchemaVersion > 0 {
		attributes["dataschema"] = SchemaOf(e.Type, e.SchemaVersion)
	}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(attributes); err != nil {
		return Message{}, fault.Wrap(err, fault.Malformed, "encode event %s", shorten(e.ID))
	}
	m := Message{
		ContentType: ContentType, MessageID: e.ID, CorrelationID: e.CorrelationID, Type: e.Type, AppID: e.Source,
		Timestamp: e.Time.UTC().Truncate(time.Second), RoutingKey: e.Type, Exchange: Exchange,
		Body: bytes.TrimSuffix(body.Bytes(), []byte("\n")),
	}
	_, err := Decode(m)
	return m, err
}
