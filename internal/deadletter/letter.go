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
	// ReasonUnknown is for a letter that another program put into the queue.
	ReasonUnknown fault.Code = "unknown"
	// ReasonDeliveryLimit is for a message that the broker dead-lettered after too many deliveries without an acknowledgement.
	ReasonDeliveryLimit fault.Code = "delivery_limit"
	// ReasonExpired is for a message whose expiration ended in its queue, for example during an outage; ReasonMaxLength is for a
	// message that a policy with a length limit removed from its queue. Neither was handled.
	ReasonExpired   fault.Code = "expired"
	ReasonMaxLength fault.Code = "maxlen"
)

// retried are the reasons for which a Receiver handles a message once more: the broker removed the message from its queue, for a reason that is
// not in the message.
var retried = map[fault.Code]bool{ReasonDeliveryLimit: true, ReasonExpired: true, ReasonMaxLength: true}

// EarlyNote is part of the detail of a letter whose cancellation is stored for an order that does not exist yet.
const EarlyNote = "the cancellation is kept for 30 days and cancels the order if it comes"

// EarlySagaNote is the same for a saga of another flow.
const EarlySagaNote = "the cancellation is kept for 30 days and cancels the saga if it comes"

// earlyFor is how long such a cancellation is stored, from the time when it failed.
const earlyFor = 30 * 24 * time.Hour

// MaxText bounds texts of the sender, in bytes.
const MaxText = 1024

// Letter is a dead letter. Its JSON is the list format of the REST API and the command line.
type Letter struct {
	ID string `json:"id"`
	// Status and Version are those of the letter's stream, as last stored.
	Status  Status `json:"status"`
	Version int64  `json:"-"`
	// Reason is a fault code, a reason of the broker such as ReasonDeliveryLimit, or ReasonUnknown.
	Reason fault.Code `json:"reason"`
	// Detail is a message that is safe for clients.
	Detail string `json:"detail"`
	// Type, EventID, Subject and CorrelationID of the event, as far as they are readable. Type is a type of the catalog, or the
	// text in the message.
	Type             string `json:"type"`
	EventID          string `json:"eventId"`
	Subject          string `json:"subject"`
	OriginExchange   string `json:"originExchange"`
	OriginRoutingKey string `json:"originRoutingKey"`
	// Attempts and Parked count the failed attempts and the waits for the order.
	Attempts int `json:"attempts"`
	Parked   int `json:"parked"`
	// Queue is the queue that the message was consumed from, and is replayed to; empty if unknown, which means the inbox.
	Queue string `json:"queue"`
	// ReplayOf is the ID of the letter of which the message is a replay; Replays counts its replays.
	ReplayOf null.Text `json:"replayOf"`
	Replays  int       `json:"replays"`
	// PayloadHash is the SHA-256 of the body, in hexadecimal; Size is its length in bytes.
	PayloadHash string `json:"payloadHash"`
	Size        int    `json:"size"`
	// FirstSeen is zero if unknown.
	FirstSeen null.Time `json:"firstSeen"`
	FailedAt  null.Time `json:"failedAt"`
	KeptAt    null.Time `json:"keptAt"`
	// KeptUntil is the time until which the cancellation of a letter is stored for an order that does not exist yet; zero for all
	// other letters. It does not bound the letter; see Retention.
	KeptUntil     null.Time `json:"keptUntil,omitzero"`
	CorrelationID string    `json:"correlationId"`

	// Message is the message as its sender published it: properties, headers, exchange and routing key. Lists omit headers and body.
	Message wire.Message `json:"-"`
	// HeadersDropped is set if the headers of the sender were too large to be stored.
	HeadersDropped bool `json:"-"`
	// Death distinguishes this dead-lettering from others: the broker's x-death header, and the death ID of the consumer.
	Death string `json:"-"`
	// FirstDelivery is set if this is the first delivery of a message without a death ID: a stored letter with the same ID belongs to
	// another message. It is not stored.
	FirstDelivery bool `json:"-"`
	// History is the letter's stream; only the service sets it, for single letters.
	History []event.Record `json:"-"`
}

// New completes a letter from the dead letter queue. Its Message must be set; Reason, FirstSeen, FailedAt and Queue may be empty.
func New(l Letter, now time.Time) Letter {
	m := l.Message
	l.PayloadHash, l.Size, l.Status = HashOf(m.Body), len(m.Body), StatusOpen
	parts := []string{"dead letter", l.PayloadHash, m.MessageID, m.CorrelationID, m.Type, m.AppID, m.ContentType,
		m.Exchange, m.RoutingKey, string(l.Reason), l.Detail, strconv.Itoa(l.Attempts), strconv.Itoa(l.Parked), stamp(l.FirstSeen),
		stamp(l.FailedAt), string(l.ReplayOf), strconv.Itoa(l.Replays), l.Death}
	l.ID = event.DerivedID(append(parts, binaryAttributes(m.Headers)...)...)
	if l.Detail = Sanitize(l.Detail); !reasonPattern.MatchString(string(l.Reason)) {
		l.Reason = ReasonUnknown
	}
	if !event.ValidToken(string(l.ReplayOf)) {
		l.ReplayOf = ""
	}
	l.KeptAt, l.FirstSeen, l.FailedAt = rounded(now), rounded(l.FirstSeen.Time), rounded(l.FailedAt.Time)
	if y := l.FailedAt.Year(); l.FailedAt.IsZero() || y < 1 || y > 9999 { // JSON cannot express other years
		l.FailedAt = l.KeptAt
	}
	identity := wire.Identify(m)
	if e, err := wire.Decode(m); err == nil {
		identity = wire.Identity{Type: e.Type, ID: e.ID, Subject: e.Subject, CorrelationID: e.CorrelationID}
	}
	l.Type, l.EventID, l.Subject, l.CorrelationID = Sanitize(identity.Type), Sanitize(identity.ID), Sanitize(identity.Subject), Sanitize(identity.CorrelationID)
	l.Derive()
	return l
}

// Derive sets the derived fields of a letter that a store has read.
func (l *Letter) Derive() {
	l.OriginExchange, l.OriginRoutingKey = l.Message.Exchange, l.Message.RoutingKey
	l.KeptUntil = null.Time{}
	early := l.Type == event.OrderCancellationRequested && strings.Contains(l.Detail, EarlyNote) || strings.Contains(l.Detail, EarlySagaNote)
	if l.Reason == fault.OrderUnknown && early {
		l.KeptUntil = null.At(l.FailedAt.Add(earlyFor))
	}
}

// binaryAttributes are the headers with the event ID and subject in the binary mode of CloudEvents: two events may differ only in these. Other
// headers are excluded: the broker adds headers at a redelivery, which must not change the letter ID.
func binaryAttributes(headers map[string]any) []string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		if _, ok := wire.BinaryAttribute(name); !ok && !strings.HasPrefix(name, "cloudEvents") {
			continue
		}
		value := headers[name]
		if at, isTime := value.(time.Time); isTime {
			value = at.Unix() // regardless of the location
		}
		parts = append(parts, name, fmt.Sprint(value))
	}
	return parts
}

// HashOf returns the SHA-256 of a body, in hexadecimal.
func HashOf(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// reasonPattern is the format of all codes; other texts were written by another program.
var reasonPattern = regexp.MustCompile(`^[a-z][a-z_]{0,63}$`)

// Label returns the reason as a metric label. The number of labels is bounded.
func Label(reason fault.Code) string {
	if retried[reason] || fault.Lookup(reason).Title != fault.Lookup(fault.Internal).Title || reason == fault.Internal {
		return string(reason)
	}
	return "other"
}

// Sanitize replaces invalid and unprintable characters in a text of the sender and truncates it to MaxText.
func Sanitize(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return utf8.RuneError
	}, strings.ToValidUTF8(text, "\uFFFD"))
	return strings.ToValidUTF8(text[:min(len(text), MaxText)], "") // removes a truncated rune
}

func stamp(t null.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// rounded returns a time with the resolution of stores.
func rounded(t time.Time) null.Time { return null.At(t.UTC().Truncate(event.TimeResolution)) }
