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

// kindLetter is the kind of documents that are letters; other documents are parts of bodies.
const kindLetter = "letter"

// letter is the document of a dead letter. Texts of the sender, which may contain any bytes, are in Properties and Headers, as JSON, and in
// Body.
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
	// Queue is empty in old letters.
	Queue    string `bson:"queue"`
	ReplayOf string `bson:"replayOf"`
	Replays  int64  `bson:"replays"`
	Death    string `bson:"mark"`
	Dropped  bool   `bson:"headersDropped"`
	// CorrelationID is the correlation ID of the event.
	CorrelationID string `bson:"correlationId"`
	PayloadHash   string `bson:"payloadHash"`
	Size          int64  `bson:"size"`
	// Properties and Headers are JSON.
	Properties string `bson:"properties"`
	Headers    string `bson:"headers"`
	// Body is the message body, unless it is stored in Parts separate documents.
	Body  []byte `bson:"body"`
	Parts int    `bson:"parts"`
	// Status and Version are set by Mark.
	Status  deadletter.Status `bson:"status"`
	Version int64             `bson:"version"`
	// KeyID is the ID of the key that Properties, Headers and Body are sealed with; missing when they are not sealed.
	KeyID string `bson:"keyId,omitempty"`
}

// part is a part of a large body.
type part struct {
	ID   string `bson:"_id"`
	Kind string `bson:"kind"`
	// Letter is the ID of the letter.
	Letter string `bson:"letter"`
	Body   []byte `bson:"body"`
	// Parts is the number of parts; only in the first part.
	Parts int `bson:"parts"`
	// KeyID is the ID of the key that Body is sealed with; missing when it is not sealed.
	KeyID string `bson:"keyId,omitempty"`
}

// properties are the properties of a message without a field in letter.
type properties struct {
	ContentType     []byte `json:"contentType,omitempty"`
	ContentEncoding []byte `json:"contentEncoding,omitempty"`
	MessageID       []byte `json:"messageId,omitempty"`
	CorrelationID   []byte `json:"correlationId,omitempty"`
	Type            []byte `json:"type,omitempty"`
	AppID           []byte `json:"appId,omitempty"`
	// Timestamp is used in letters of older versions; Seconds is Unix time. JSON cannot express times after the year 9999, which occur
	// when a sender writes milliseconds instead of seconds.
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

// dateOf returns 0 for the zero time.
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

// toLetter returns the document of a letter, with its body.
func toLetter(l deadletter.Letter) letter {
	props, _ := json.Marshal(propertiesOf(l.Message)) // cannot fail
	return letter{
		ID: l.ID, Kind: kindLetter, Reason: l.Reason, Detail: l.Detail, Type: l.Type, EventID: l.EventID, Subject: l.Subject,
		Exchange: deadletter.Sanitize(l.Message.Exchange), RoutingKey: deadletter.Sanitize(l.Message.RoutingKey),
		Attempts: int64(l.Attempts), Parked: int64(l.Parked), FirstSeen: dateOf(l.FirstSeen), FailedAt: dateOf(l.FailedAt),
		KeptAt: dateOf(l.KeptAt), Queue: deadletter.Sanitize(l.Queue), ReplayOf: string(l.ReplayOf), Replays: int64(l.Replays),
		Death: deadletter.Sanitize(l.Death), Dropped: l.HeadersDropped, CorrelationID: l.CorrelationID, PayloadHash: l.PayloadHash,
		Size: int64(l.Size), Properties: string(props), Headers: encodeHeaders(l.Message.Headers), Body: l.Message.Body,
		Status: deadletter.StatusOpen,
	}
}

// letter returns the letter without its body, and without what is sealed. If properties or headers are invalid, it returns the error and the other
// fields.
func (d letter) letter() (deadletter.Letter, error) {
	l := deadletter.Letter{
		ID: d.ID, Status: d.Status, Version: d.Version, Reason: d.Reason, Detail: d.Detail, Type: d.Type, EventID: d.EventID,
		Subject: d.Subject, CorrelationID: d.CorrelationID, Attempts: int(d.Attempts), Parked: int(d.Parked), Queue: d.Queue,
		ReplayOf: null.Text(d.ReplayOf), Replays: int(d.Replays), PayloadHash: d.PayloadHash, Size: int(d.Size),
		FirstSeen: timeOf(d.FirstSeen), FailedAt: timeOf(d.FailedAt), KeptAt: timeOf(d.KeptAt), Death: d.Death, HeadersDropped: d.Dropped,
		Message: wire.Message{Exchange: d.Exchange, RoutingKey: d.RoutingKey},
	}
	if d.KeyID != "" {
		l.Derive()
		return l, nil
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
