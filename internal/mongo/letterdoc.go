package mongo

import (
	"encoding/json"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/internal/cursor"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/null"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// kindLetter marks the documents that are letters; the others hold parts of payloads.
const kindLetter = "letter"

// letter is the document of a letter. Texts that its sender chose and that may hold any bytes are in
// Properties and Headers, as JSON, and in Body.
type letter struct {
	ID         string        `bson:"_id"`
	Kind       string        `bson:"kind"`
	Reason     fault.Code    `bson:"reason"`
	Detail     string        `bson:"detail"`
	Type       string        `bson:"type"`
	EventID    string        `bson:"eventId"`
	Subject    string        `bson:"subject"`
	Exchange   string        `bson:"originExchange"`
	RoutingKey string        `bson:"originRoutingKey"`
	Attempts   int64         `bson:"attempts"`
	Parked     int64         `bson:"parked"`
	FirstSeen  bson.DateTime `bson:"firstSeen"`
	FailedAt   bson.DateTime `bson:"failedAt"`
	KeptAt     bson.DateTime `bson:"keptAt"`
	// Queue is empty in letters that do not say.
	Queue    string `bson:"queue"`
	ReplayOf string `bson:"replayOf"`
	Replays  int64  `bson:"replays"`
	Mark     string `bson:"mark"`
	Dropped  bool   `bson:"headersDropped"`
	// CorrelationID is the event's.
	CorrelationID string `bson:"correlationId"`
	PayloadHash   string `bson:"payloadHash"`
	Size          int64  `bson:"size"`
	// Properties and Headers are JSON.
	Properties string `bson:"properties"`
	Headers    string `bson:"headers"`
	// Body is the payload, unless it is in Parts documents of its own.
	Body  []byte `bson:"body"`
	Parts int    `bson:"parts"`
	// Status and Version are what Mark was told.
	Status  deadletter.Status `bson:"status"`
	Version int64             `bson:"version"`
}

// part is a piece of a payload.
type part struct {
	ID   string `bson:"_id"`
	Kind string `bson:"kind"`
	// Letter is the letter's id.
	Letter string `bson:"letter"`
	Body   []byte `bson:"body"`
	// Parts is how many there are; in the first one.
	Parts int `bson:"parts"`
}

// properties are what of a message is in no field of its own.
type properties struct {
	ContentType     []byte `json:"contentType,omitempty"`
	ContentEncoding []byte `json:"contentEncoding,omitempty"`
	MessageID       []byte `json:"messageId,omitempty"`
	CorrelationID   []byte `json:"correlationId,omitempty"`
	Type            []byte `json:"type,omitempty"`
	AppID           []byte `json:"appId,omitempty"`
	// Timestamp is in letters of older versions; Seconds is since 1970. JSON has no times beyond the year 9999, and senders
	// who write milliseconds where AMQP has seconds are there at once.
	Timestamp  time.Time `json:"timestamp,omitzero"`
	Seconds    *int64    `json:"seconds,omitempty"`
	RoutingKey []byte    `json:"routingKey,omitempty"`
	Exchange   []byte    `json:"exchange,omitempty"`
}

func propertiesOf(m wire.Message) properties {
	p := properties{
		ContentType: []byte(m.ContentType), ContentEncoding: []byte(m.ContentEncoding), MessageID: []byte(m.MessageID),
		CorrelationID: []byte(m.CorrelationID), Type: []byte(m.Type), AppID: []byte(m.AppID),
		RoutingKey: []byte(m.RoutingKey), Exchange: []byte(m.Exchange),
	}
	if !m.Timestamp.IsZero() {
		seconds := m.Timestamp.Unix()
		p.Seconds = &seconds
	}
	return p
}

func (p properties) message() wire.Message {
	at := p.Timestamp
	if p.Seconds != nil {
		at = time.Unix(*p.Seconds, 0).UTC()
	}
	return wire.Message{
		ContentType: string(p.ContentType), ContentEncoding: string(p.ContentEncoding), MessageID: string(p.MessageID),
		CorrelationID: string(p.CorrelationID), Type: string(p.Type), AppID: string(p.AppID), Timestamp: at,
		RoutingKey: string(p.RoutingKey), Exchange: string(p.Exchange),
	}
}

// dateOf is 0 for the zero time.
func dateOf(t null.Time) bson.DateTime {
	if t.IsZero() {
		return 0
	}
	return bson.NewDateTimeFromTime(t.Time)
}

func timeOf(d bson.DateTime) null.Time {
	if d == 0 {
		return null.Time{}
	}
	return null.At(d.Time().UTC())
}

func (d letter) position() cursor.Position {
	return cursor.Position{Millis: int64(d.FailedAt), ID: d.ID}
}

// toLetter makes the document of a letter, payload and all.
func toLetter(l deadletter.Letter) letter {
	props, _ := json.Marshal(propertiesOf(l.Message)) // texts and a number
	return letter{
		ID: l.ID, Kind: kindLetter, Reason: l.Reason, Detail: l.Detail, Type: l.Type, EventID: l.EventID, Subject: l.Subject,
		Exchange: deadletter.Tidy(l.Message.Exchange), RoutingKey: deadletter.Tidy(l.Message.RoutingKey),
		Attempts: int64(l.Attempts), Parked: int64(l.Parked), FirstSeen: dateOf(l.FirstSeen), FailedAt: dateOf(l.FailedAt),
		KeptAt: dateOf(l.KeptAt), Queue: deadletter.Tidy(l.Queue), ReplayOf: string(l.ReplayOf), Replays: int64(l.Replays),
		Mark: deadletter.Tidy(l.Mark), Dropped: l.HeadersDropped, CorrelationID: l.CorrelationID, PayloadHash: l.PayloadHash,
		Size: int64(l.Size), Properties: string(props), Headers: encodeHeaders(l.Message.Headers), Body: l.Message.Body,
		Status: deadletter.StatusOpen,
	}
}

// letter returns the letter without its payload. One whose properties or headers cannot be read comes with what can be.
func (d letter) letter() (deadletter.Letter, error) {
	l := deadletter.Letter{
		ID: d.ID, Status: d.Status, Version: d.Version, Reason: d.Reason, Detail: d.Detail, Type: d.Type, EventID: d.EventID,
		Subject: d.Subject, CorrelationID: d.CorrelationID, Attempts: int(d.Attempts), Parked: int(d.Parked), Queue: d.Queue,
		ReplayOf: null.Text(d.ReplayOf), Replays: int(d.Replays), PayloadHash: d.PayloadHash, Size: int(d.Size),
		FirstSeen: timeOf(d.FirstSeen), FailedAt: timeOf(d.FailedAt), KeptAt: timeOf(d.KeptAt), Mark: d.Mark, HeadersDropped: d.Dropped,
		Message: wire.Message{Exchange: d.Exchange, RoutingKey: d.RoutingKey},
	}
	var p properties
	err := json.Unmarshal([]byte(d.Properties), &p)
	if err == nil {
		l.Message = p.message()
		l.Message.Headers, err = decodeHeaders(d.Headers)
	}
	l.Derive()
	return l, err
}
