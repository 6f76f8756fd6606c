package deadletter

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/null"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// Reasons that are not codes of package fault.
const (
	// ReasonUnknown is that of a letter that another program put into the queue.
	ReasonUnknown fault.Code = "unknown"
	// ReasonDeliveryLimit is that of a letter that the broker itself gave up on: it was delivered again and again and never
	// acknowledged.
	ReasonDeliveryLimit fault.Code = "delivery_limit"
	// ReasonExpired is that of a letter whose message was sent with an expiration that ended while it waited in its queue, as during
	// an outage, and ReasonMaxLength that of one which a policy with a limit on the queue's length took out. Neither was handled.
	ReasonExpired   fault.Code = "expired"
	ReasonMaxLength fault.Code = "maxlen"
)

// retried are the reasons of letters that a Keeper handles once more by itself: the broker took the message out of its queue,
// which says nothing about the message.
var retried = map[fault.Code]bool{ReasonDeliveryLimit: true, ReasonExpired: true, ReasonMaxLength: true}

// EarlyNote is in the detail of a letter whose cancellation is kept for an order that was not known.
const EarlyNote = "the cancellation is kept for 30 days and cancels the order if it comes"

// EarlySagaNote is that of a letter whose cancellation is kept for a saga of another flow.
const EarlySagaNote = "the cancellation is kept for 30 days and cancels the saga if it comes"

// earlyFor is how long such a letter is kept, from when it failed.
const earlyFor = 30 * 24 * time.Hour

// MaxText bounds the texts of a letter that its sender chose, in bytes.
const MaxText = 1024

// Letter is a dead letter. Its JSON is the form that the REST API and the command line have in lists.
type Letter struct {
	ID string `json:"id"`
	// Status and Version are what the store was last told of the letter's stream.
	Status  Status `json:"status"`
	Version int64  `json:"-"`
	// Reason is a fault code, a reason of the broker's such as ReasonDeliveryLimit, or ReasonUnknown when the message does not say.
	Reason fault.Code `json:"reason"`
	// Detail says more, in words that are safe to show.
	Detail string `json:"detail"`
	// Type, EventID, Subject and CorrelationID are the event's, as far as they can be read. Type is a name of the catalog, or
	// what the message claims to be.
	Type             string `json:"type"`
	EventID          string `json:"eventId"`
	Subject          string `json:"subject"`
	OriginExchange   string `json:"originExchange"`
	OriginRoutingKey string `json:"originRoutingKey"`
	// Attempts and Parked count how often the message was handled and waited for its order.
	Attempts int `json:"attempts"`
	Parked   int `json:"parked"`
	// Queue is the queue that it was handled from, and goes back to; empty when that is not known, and then it is the inbox.
	Queue string `json:"queue"`
	// ReplayOf is the id of the letter that the message was replayed from, Replays how often it had been.
	ReplayOf null.Text `json:"replayOf"`
	Replays  int       `json:"replays"`
	// PayloadHash is the SHA-256 of the body, in hexadecimal, and Size its length.
	PayloadHash string `json:"payloadHash"`
	Size        int    `json:"size"`
	// FirstSeen is zero when unknown.
	FirstSeen null.Time `json:"firstSeen"`
	FailedAt  null.Time `json:"failedAt"`
	KeptAt    null.Time `json:"keptAt"`
	// KeptUntil is until when the letter is worth keeping open: that of a cancellation which came before its order. It is zero for
	// every other letter. Nothing deletes letters.
	KeptUntil     null.Time `json:"keptUntil,omitzero"`
	CorrelationID string    `json:"correlationId"`

	// Message is what its sender sent: properties, headers, exchange and routing key. Lists leave out headers and body.
	Message wire.Message `json:"-"`
	// HeadersDropped reports that the sender's headers were too large to be kept.
	HeadersDropped bool `json:"-"`
	// Mark is what else distinguishes this death from another one: the broker's record of it, and the id that the consumer gave it.
	Mark string `json:"-"`
	// First reports that the message is delivered for the first time, and that it may have nothing that distinguishes it from another one:
	// a letter that is kept already is another message's. It is not kept.
	First bool `json:"-"`
	// History is the letter's stream; the service adds it where one letter is shown.
	History []event.Record `json:"-"`
}

// New completes the letter of a message that comes out of the queue of the dead letters: of l it takes the message, and what the
// queue knows about it. Reason, FirstSeen, FailedAt and Queue may be empty.
func New(l Letter, now time.Time) Letter {
	m := l.Message
	l.PayloadHash, l.Size, l.Status = HashOf(m.Body), len(m.Body), StatusOpen
	parts := []string{"dead letter", l.PayloadHash, m.MessageID, m.CorrelationID, m.Type, m.AppID, m.ContentType,
		m.Exchange, m.RoutingKey, string(l.Reason), l.Detail, strconv.Itoa(l.Attempts), strconv.Itoa(l.Parked), stamp(l.FirstSeen),
		stamp(l.FailedAt), string(l.ReplayOf), strconv.Itoa(l.Replays), l.Mark}
	l.ID = event.DerivedID(append(parts, binaryAttributes(m.Headers)...)...)
	if l.Detail = Tidy(l.Detail); !reasonPattern.MatchString(string(l.Reason)) {
		l.Reason = ReasonUnknown
	}
	if !event.ValidToken(string(l.ReplayOf)) {
		l.ReplayOf = ""
	}
	l.KeptAt, l.FirstSeen, l.FailedAt = rounded(now), rounded(l.FirstSeen.Time), rounded(l.FailedAt.Time)
	if y := l.FailedAt.Year(); l.FailedAt.IsZero() || y < 1 || y > 9999 { // JSON has no such time
		l.FailedAt = l.KeptAt
	}
	says := wire.Identify(m)
	if e, err := wire.Decode(m); err == nil {
		says = wire.Identity{Type: e.Type, ID: e.ID, Subject: e.Subject, CorrelationID: e.CorrelationID}
	}
	l.Type, l.EventID, l.Subject, l.CorrelationID = Tidy(says.Type), Tidy(says.ID), Tidy(says.Subject), Tidy(says.CorrelationID)
	l.Derive()
	return l
}

// Derive fills the fields that follow from others, in a letter that a store has read.
func (l *Letter) Derive() {
	l.OriginExchange, l.OriginRoutingKey = l.Message.Exchange, l.Message.RoutingKey
	l.KeptUntil = null.Time{}
	early := l.Type == event.OrderCancellationRequested && strings.Contains(l.Detail, EarlyNote) || strings.Contains(l.Detail, EarlySagaNote)
	if l.Reason == fault.OrderUnknown && early {
		l.KeptUntil = null.At(l.FailedAt.Add(earlyFor))
	}
}

// binaryAttributes are the headers in which the binary mode of CloudEvents has an event's id and subject: two events may
// differ in nothing else. No other headers: those that the broker adds at a redelivery must not make another letter.
func binaryAttributes(headers map[string]any) []string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		if _, ok := wire.BinaryAttribute(name); !ok && !strings.HasPrefix(name, "cloudEvents") {
			continue
		}
		value := headers[name]
		if at, isTime := value.(time.Time); isTime {
			value = at.Unix() // whatever the location
		}
		parts = append(parts, name, fmt.Sprint(value))
	}
	return parts
}

// HashOf is the SHA-256 of a payload, in hexadecimal.
func HashOf(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// reasonPattern is the form of every code; what has another was put there by another program.
var reasonPattern = regexp.MustCompile(`^[a-z][a-z_]{0,63}$`)

// Label returns the reason as a label of a metric: their number is bounded, whatever senders say.
func Label(reason fault.Code) string {
	if retried[reason] || fault.Lookup(reason).Title != fault.Lookup(fault.Internal).Title || reason == fault.Internal {
		return string(reason)
	}
	return "other"
}

// Tidy makes a text of the sender fit for every store and terminal.
func Tidy(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return utf8.RuneError
	}, strings.ToValidUTF8(text, "\uFFFD"))
	return strings.ToValidUTF8(text[:min(len(text), MaxText)], "") // without half a rune at its end
}

func stamp(t null.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// rounded is a time as stores keep it.
func rounded(t time.Time) null.Time { return null.At(t.UTC().Truncate(event.TimeResolution)) }
