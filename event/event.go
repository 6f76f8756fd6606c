// Package event defines events: the envelope, the record in a stream, and the catalog of all types.
//
// Events are immutable facts in the past tense. The package does no I/O. It is a leaf: it imports only internal/fault, google/uuid and the
// standard library. Message formats are in internal/wire, storage is in internal/eventlog.
package event

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// Source is the source of every event that this service produces (CloudEvents "source").
const Source = "/ordersaga"

// TimeResolution is the resolution of event times: BSON dates have milliseconds.
const TimeResolution = time.Millisecond

// Event is the envelope of all events, of every producer and in every format.
type Event struct {
	// ID is unique for its source. This service derives it from stream and key, so that an event that is created again has the same
	// ID.
	ID string `json:"id"`
	// Type is a name from the catalog, such as order.accepted.
	Type string `json:"type"`
	// Source is a URI reference that names the producer.
	Source string `json:"source"`
	// Subject is the ID of the subject; for order events the order ID.
	Subject string `json:"subject"`
	// Time is the time of the event, in UTC and milliseconds.
	Time time.Time `json:"time"`
	// CorrelationID is shared by all events with the same origin.
	CorrelationID string `json:"correlationId,omitempty"`
	// CausationID is the ID of the event or command that directly caused this event.
	CausationID string `json:"causationId,omitempty"`
	// SchemaVersion is the version of the schema of Data, from 1.
	SchemaVersion int `json:"schemaVersion"`
	// Data is a JSON object; its numbers are integers below 2^53.
	Data json.RawMessage `json:"data"`
}

// Entry is an event to append, with its slot.
type Entry struct {
	// Key is the slot. A key is unique in its stream; the first writer wins.
	Key string `json:"key"`
	Event
}

// Record is a stored event of a stream.
type Record struct {
	// Stream is the name of the stream, such as order-42.
	Stream string `json:"stream"`
	// Version is the position in the stream, from 1 without gaps.
	Version int64 `json:"version"`
	Entry
	// PrevHash is the hash of the previous record, or the genesis of the stream. Lower-case hexadecimal.
	PrevHash string `json:"prevHash"`
	// Hash covers PrevHash and the canonical form of the record. Lower-case hexadecimal.
	Hash string `json:"hash"`
}

// Head is the newest known record of a stream. The zero Head is an empty stream.
type Head struct {
	Version int64  `json:"version"`
	Hash    string `json:"hash"`
}

// HeadOf returns the head with this record as the newest one.
func (r Record) HeadOf() Head { return Head{Version: r.Version, Hash: r.Hash} }

// namespace is the UUIDv5 namespace of derived IDs.
var namespace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://ordersaga.dev/ns"))

// DerivedID returns the UUIDv5 of parts. They are joined with a byte that does not occur in IDs, so that different parts have different IDs.
func DerivedID(parts ...string) string {
	joined := make([]byte, 0, 64)
	for _, p := range parts {
		joined = append(append(joined, p...), 0)
	}
	return uuid.NewSHA1(namespace, joined).String()
}

// New returns an entry of this service. Its ID is derived from stream and key. It panics if data cannot be marshalled.
func New(stream, key, eventType, subject string, at time.Time, data any) Entry {
	raw, err := json.Marshal(data)
	if err != nil {
		panic("event: " + eventType + ": " + err.Error())
	}
	version := 1
	if t, ok := Find(eventType); ok {
		version = t.Version
	}
	return Entry{Key: key, Event: Event{
		ID: DerivedID(stream, key), Type: eventType, Source: Source, Subject: subject,
		Time: at.UTC().Truncate(TimeResolution), SchemaVersion: version, Data: raw,
	}}
}

// CausedBy returns the entry with correlation and causation.
func (e Entry) CausedBy(correlationID, causationID string) Entry {
	e.CorrelationID, e.CausationID = correlationID, causationID
	return e
}

// Decode unmarshals the data of the event, in the newest version of its type. The error is Malformed, or Unavailable as for Newest, and names
// the event.
func Decode[T any](e Event) (T, error) {
	var v T
	e, err := e.Newest()
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(e.Data, &v); err != nil {
		return v, fault.Wrap(err, fault.Malformed, "data of event %s (%s)", e.ID, e.Type)
	}
	return v, nil
}

// DecodeInto calls use with the decoded data.
func DecodeInto[T any](e Event, use func(T)) error {
	data, err := Decode[T](e)
	if err != nil {
		return err
	}
	use(data)
	return nil
}

// Same reports whether two entries are the same decision: equal key, type and data, in the newest version, except the Detail fields of the type.
// Times, IDs and causes are ignored: they may differ in a retry.
func Same(a, b Entry) bool {
	return a.Key == b.Key && a.Type == b.Type && bytes.Equal(decision(a.Event), decision(b.Event))
}

// decision returns the data without its detail fields, in canonical form: encoding/json sorts keys.
func decision(e Event) []byte {
	if newest, err := e.Newest(); err == nil {
		e = newest
	}
	decoder := json.NewDecoder(bytes.NewReader(e.Data))
	decoder.UseNumber()
	var fields map[string]any
	if err := decoder.Decode(&fields); err != nil {
		return e.Data
	}
	if t, ok := Find(e.Type); ok {
		for _, name := range t.Detail {
			delete(fields, name)
		}
	}
	form, err := json.Marshal(fields)
	if err != nil {
		return e.Data
	}
	return form
}
