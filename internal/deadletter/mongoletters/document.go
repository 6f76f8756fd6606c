package mongoletters

import (
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/null"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// kindLetter marks the documents that are letters; the others hold parts of payloads.
const kindLetter = "letter"

// document is a letter as it stands in the collection. Texts that its sender chose and that may hold any bytes are in
// Properties and Headers, as JSON, and in Body.
type document struct {
	ID         string        `bson:"_id"`
	Kind       string        `bson:"kind"`
	Reason     string        `bson:"reason"`
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
	Status  string `bson:"status"`
	Version int64  `bson:"version"`
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

// letter is the letter without its message; its store reads that.
func (d document) letter() deadletter.Letter {
	return deadletter.Letter{
		ID: d.ID, Status: deadletter.Status(d.Status), Version: d.Version, Reason: fault.Code(d.Reason), Detail: d.Detail,
		Type: d.Type, EventID: d.EventID, Subject: d.Subject, CorrelationID: d.CorrelationID,
		Attempts: int(d.Attempts), Parked: int(d.Parked), Queue: d.Queue, ReplayOf: null.Text(d.ReplayOf), Replays: int(d.Replays),
		PayloadHash: d.PayloadHash, Size: int(d.Size), FirstSeen: timeOf(d.FirstSeen), FailedAt: timeOf(d.FailedAt), KeptAt: timeOf(d.KeptAt),
		Mark: d.Mark, HeadersDropped: d.Dropped,
	}
}
