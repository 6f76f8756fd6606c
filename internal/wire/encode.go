package wire

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// timeFormat is RFC 3339 with the resolution of events.
const timeFormat = "2006-01-02T15:04:05.000Z"

// cloudEvent is a structured CloudEvent, in the order of its fields.
type cloudEvent struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Type            string          `json:"type"`
	Source          string          `json:"source"`
	Subject         string          `json:"subject,omitempty"`
	Time            string          `json:"time"`
	DataContentType string          `json:"datacontenttype"`
	DataSchema      string          `json:"dataschema,omitempty"`
	CorrelationID   string          `json:"correlationid,omitempty"`
	CausationID     string          `json:"causationid,omitempty"`
	Sequence        string          `json:"sequence,omitempty"`
	Data            json.RawMessage `json:"data"`
}

// schemaPrefix is the prefix of the dataschema of this service's events, a path of its API.
const schemaPrefix = "/schemas/"

// SchemaOf returns the dataschema for a version of an event type.
func SchemaOf(eventType string, version int) string {
	return schemaPrefix + eventType + "/" + strconv.Itoa(version)
}

// Encode returns the message for a record. The version of the record is the sequence, for deduplication and gap detection; the hashes are not
// sent. Headers is nil: the publisher adds the trace parent.
//
// Errors: UnknownType for a type that is not in the catalog; TooLarge over MaxBody; Invalid for a record that Decode would refuse.
func Encode(r event.Record) (Message, error) {
	typ, ok := event.Find(r.Type)
	if !ok || typ.Name != r.Type {
		return Message{}, fault.New(fault.UnknownType, "the event type %q is not known", shorten(r.Type))
	}
	if err := check(r, typ); err != nil {
		return Message{}, err
	}
	m, err := structured(r.Event, strconv.FormatInt(r.Version, 10))
	if err != nil {
		return Message{}, fault.Wrap(err, fault.Invalid, "encode event %s", r.ID)
	}
	if m.AppID = AppID; len(m.Body) > MaxBody {
		return Message{}, fault.New(fault.TooLarge, "event %s has %d bytes; the maximum is %d", r.ID, len(m.Body), MaxBody)
	}
	return m, nil
}

// Wrap returns a message of another service for an event: a structured CloudEvent without a sequence, which only events of this service have. AppID
// is the source of the event.
//
// Errors: UnknownType; TooLarge over MaxBody; Invalid or Malformed for an event that Decode would refuse.
func Wrap(e event.Event) (Message, error) {
	m, err := structured(e, "")
	if err != nil {
		return Message{}, fault.Wrap(err, fault.Malformed, "encode event %s", shorten(e.ID))
	}
	_, err = Decode(m)
	return m, err
}

// structured returns the message of an event, unchecked. AppID is the source of the event.
func structured(e event.Event, sequence string) (Message, error) {
	at := e.Time.UTC().Truncate(event.TimeResolution)
	c := cloudEvent{
		SpecVersion: specVersion, ID: e.ID, Type: e.Type, Source: e.Source, Subject: e.Subject, Time: at.Format(timeFormat),
		DataContentType: "application/json", CorrelationID: e.CorrelationID, CausationID: e.CausationID, Sequence: sequence, Data: e.Data,
	}
	if e.SchemaVersion > 0 {
		c.DataSchema = SchemaOf(e.Type, e.SchemaVersion)
	}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(c)
	return Message{
		ContentType: ContentType, MessageID: e.ID, CorrelationID: e.CorrelationID, Type: e.Type, AppID: e.Source,
		Timestamp: at.Truncate(time.Second), RoutingKey: e.Type, Exchange: Exchange,
		Body: bytes.TrimSuffix(body.Bytes(), []byte("\n")),
	}, err
}

// check refuses records that Decode would refuse or read differently.
func check(r event.Record, typ event.Type) error {
	var fields []fault.Field
	require := func(ok bool, at, detail string) {
		if !ok {
			fields = append(fields, fault.Fieldf(at, "%s", detail))
		}
	}
	require(r.ID != "" && printable(r.ID), "/id", "must be 1 to 255 bytes without control characters")
	require(r.Source != "" && len(r.Source) <= maxSource && utf8.ValidString(r.Source), "/source", "must be 1 to 1020 bytes")
	require(event.ValidID(r.Subject), "/subject", event.IDRule)
	require(!r.Time.IsZero() && validYear(r.Time), "/time", "must be set")
	require(printable(r.CorrelationID), "/correlationid", "must be at most 255 bytes without control characters")
	require(printable(r.CausationID), "/causationid", "must be at most 255 bytes without control characters")
	require(r.Version >= 1, "/sequence", "must be at least 1")
	require(r.SchemaVersion >= 1 && r.SchemaVersion <= typ.Version, "/dataschema", "must be a known version")
	if err := checkObject("", r.Data, 1); err != nil {
		fields = append(fields, fault.Fieldf("/data", "must be a JSON object: %v", err))
	}
	return fault.NewInvalid("event "+shorten(r.ID), fields)
}

// Sequence returns the stream version in a structured CloudEvent of this service.
func Sequence(m Message) (int64, bool) {
	var body struct {
		Sequence string `json:"sequence"`
	}
	if json.Unmarshal(m.Body, &body) != nil {
		return 0, false
	}
	version, err := strconv.ParseInt(body.Sequence, 10, 64)
	return version, err == nil && version >= 1
}
