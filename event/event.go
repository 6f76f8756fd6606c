// Package event defines what an event is: the envelope, the record that it becomes in a stream, and the
// catalog of all types.
//
// Events are immutable facts in the past tense. Nothing here does I/O. The package is a leaf: it imports
// internal/fault, google/uuid and the standard library only. Formats on the bus are in event/wire, storage is
// in internal/eventlog.
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

// Event is the envelope that every event has, whoever made it and however it travelled.
type Event struct {
	// ID is unique for its source. Events of this service derive it from stream and key, so that the same
	// event has the same id however often it is made.
	ID string `json:"id"`
	// Type is a name from the catalog, such as order.accepted.
	Type string `json:"type"`
	// Source is a URI reference that names the producer.
	Source string `json:"source"`
	// Subject is the id of what the event is about; for order events the order id.
	Subject string `json:"subject"`
	// Time is when it happened, UTC, in milliseconds.
	Time time.Time `json:"time"`
	// CorrelationID joins everything that one request caused.
	CorrelationID string `json:"correlationId,omitempty"`
	// CausationID is the id of the event or command that directly caused this one.
	CausationID string `json:"causationId,omitempty"`
	// SchemaVersion is the version of Data's schema, from 1.
	SchemaVersion int `json:"schemaVersion"`
	// Data is a JSON object; its numbers are integers below 2^53.
	Data json.RawMessage `json:"data"`
}

// Entry is an event on its way into a stream: the event and the slot that it takes there.
type Entry struct {
	// Key is the slot. A stream holds a key once; the first writer wins.
	Key string `json:"key"`
	Event
}

// Record is an event as it stands in a stream.
type Record struct {
	// Stream is the name of the stream, such as order-42.
	Stream string `json:"stream"`
	// Version counts from 1 without gaps.
	Version int64 `json:"version"`
	Entry
	// PrevHash is the hash of the record before it, or the genesis of the stream. Lower-case hexadecimal.
	PrevHash string `json:"prevHash"`
	// Hash covers PrevHash and the canonical form of the record. Lower-case hexadecimal.
	Hash string `json:"hash"`
}

// Head is the newest record of a stream, as far as somebody knows. The zero Head is an empty stream.
type Head struct {
	Version int64  `json:"version"`
	Hash    string `json:"hash"`
}

// HeadOf returns the head that the record makes.
func (r Record) HeadOf() Head { return Head{Version: r.Version, Hash: r.Hash} }

// namespace is the UUIDv5 namespace of derived ids.
var namespace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://ordersaga.dev/ns"))

// DerivedID returns the UUIDv5 that belongs to the given parts. Parts are joined with a byte that cannot occur
// in ids, so that different parts never give the same id.
func DerivedID(parts ...string) string {
	joined := make([]byte, 0, 64)
	for _, p := range parts {
		joined = append(append(joined, p...), 0)
	}
	return uuid.NewSHA1(namespace, joined).String()
}

// New makes an entry of this service for the slot key of stream. The id is derived from both. Data is
// marshalled; it panics when data cannot be, which is a bug of the caller.
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

// CausedBy returns the entry with its correlation and causation set.
func (e Entry) CausedBy(correlationID, causationID string) Entry {
	e.CorrelationID, e.CausationID = correlationID, causationID
	return e
}

// Decode unmarshals the event's data, in the newest version of its type, into a value of type T. The error is Malformed, or
// Unavailable as for Newest, and names the event.
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

// DecodeInto decodes the event's data as Decode does, and hands it on.
func DecodeInto[T any](e Event, use func(T)) error {
	data, err := Decode[T](e)
	if err != nil {
		return err
	}
	use(data)
	return nil
}

// Same reports whether two entries say the same: equal key, type and decision fields, in the newest version. Times, ids,
// causes and the fields that the catalog marks as detail take no part: a retry may tell them differently.
func Same(a, b Entry) bool {
	return a.Key == b.Key && a.Type == b.Type && bytes.Equal(decision(a.Event), decision(b.Event))
}

// decision returns the event's data without its detail fields, in one form: encoding/json sorts map keys.
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
