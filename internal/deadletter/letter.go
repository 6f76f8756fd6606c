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
	"github.com/ordersaga/ordersaga/internal/wire"
)

// ReasonDeliveryLimit is the reason of a letter that the broker itself gave up on: it was delivered again and again and
// never acknowledged.
const ReasonDeliveryLimit fault.Code = "delivery_limit"

// ReasonExpired is the reason of a letter whose message was sent with an expiration that ended while it waited in its queue, as
// during an outage, and ReasonMaxLength that of one which a policy with a limit on the queue's length took out. Nobody has
// looked at either.
const (
	ReasonExpired   fault.Code = "expired"
	ReasonMaxLength fault.Code = "maxlen"
)

// retried are the reasons of letters that a Keeper handles once more by itself: the broker took the message out of its queue,
// which says nothing about the message.
var retried = map[fault.Code]bool{ReasonDeliveryLimit: true, ReasonExpired: true, ReasonMaxLength: true}

// ReasonUnknown is the reason of a letter that somebody else put into the queue.
const ReasonUnknown fault.Code = "unknown"

// MaxText bounds the texts of a letter that its sender chose, in bytes.
const MaxText = 1024

// Post is a message as it comes out of the queue of the dead letters.
type Post struct {
	// Message is what its sender sent: his properties, headers, exchange and routing key.
	Message wire.Message
	// Reason is a fault code, a reason of the broker's such as ReasonDeliveryLimit, or empty when the message does not say.
	Reason fault.Code
	// Detail says more, in words that are safe to show.
	Detail string
	// Attempts and Parked count how often the message was handled and waited for its order.
	Attempts, Parked int
	// FirstSeen and FailedAt are zero when unknown.
	FirstSeen, FailedAt time.Time
	// Queue is the queue that it was handled from, and goes back to; empty when that is not known, and then it is the inbox.
	Queue string
	// ReplayOf is the id of the letter that the message was replayed from, Replays how often it had been.
	ReplayOf string
	Replays  int
	// Mark is what else tells this death from another one: the broker's own record of it, and what the consumer gave it.
	Mark string
	// First reports that the message is delivered for the first time, and that it may have nothing that tells it from another one:
	// a letter that is kept already is another message's.
	First bool
	// HeadersDropped tells that the sender's headers were too large to be kept.
	HeadersDropped bool
}

// Letter is a dead letter.
type Letter struct {
	ID string
	Post
	// Type, EventID and Subject are the event's, as far as they can be read. Type is a name of the catalog, or what the
	// message claims to be.
	Type, EventID, Subject string
	CorrelationID          string
	// PayloadHash is the SHA-256 of the body, in hexadecimal, and Size its length.
	PayloadHash string
	Size        int
	// KeptAt is when the letter was kept.
	KeptAt time.Time
}

// Summary is a letter as lists show it: without its body and headers.
type Summary struct {
	Letter
	// Status and Version are what the store was last told of the letter's stream.
	Status  Status
	Version int64
}

// New makes the letter of a message.
func New(p Post, now time.Time) Letter {
	l := Letter{Post: p, PayloadHash: HashOf(p.Message.Body), Size: len(p.Message.Body), KeptAt: now.UTC().Truncate(event.TimeResolution)}
	l.Reason, l.Detail = reasonOf(p.Reason), Tidy(p.Detail)
	l.FirstSeen, l.FailedAt = p.FirstSeen.UTC(), p.FailedAt.UTC()
	if !event.ValidID(p.ReplayOf) {
		l.ReplayOf = ""
	}
	m := p.Message
	parts := []string{"dead letter", l.PayloadHash, m.MessageID, m.CorrelationID, m.Type, m.AppID, m.ContentType,
		m.Exchange, m.RoutingKey, string(p.Reason), p.Detail, strconv.Itoa(p.Attempts), strconv.Itoa(p.Parked), stamp(p.FirstSeen),
		stamp(p.FailedAt), p.ReplayOf, strconv.Itoa(p.Replays), p.Mark}
	l.ID = event.DerivedID(append(parts, binaryAttributes(m.Headers)...)...)
	if y := l.FailedAt.Year(); l.FailedAt.IsZero() || y < 1 || y > 9999 { // a stranger's: JSON has no such time
		l.FailedAt = l.KeptAt
	}
	l.FirstSeen, l.FailedAt = l.FirstSeen.Truncate(event.TimeResolution), l.FailedAt.Truncate(event.TimeResolution)
	l.read()
	return l
}

// another is the letter of another message that says the same; n counts them from 1.
func (l Letter) another(n int) Letter {
	l.ID = event.DerivedID("another dead letter", l.ID, strconv.Itoa(n))
	return l
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

// read takes from the message what it says about itself.
func (l *Letter) read() {
	m := l.Message
	if e, err := wire.Decode(m); err == nil {
		l.Type, l.EventID, l.Subject, l.CorrelationID = e.Type, Tidy(e.ID), Tidy(e.Subject), Tidy(e.CorrelationID)
		return
	}
	id := wire.Identify(m)
	l.Type, l.EventID, l.Subject, l.CorrelationID = Tidy(id.Type), Tidy(id.ID), Tidy(id.Subject), Tidy(id.CorrelationID)
}

// HashOf is the SHA-256 of a payload, in hexadecimal.
func HashOf(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// reasonPattern is the form of every code; what has another was put there by somebody else.
var reasonPattern = regexp.MustCompile(`^[a-z][a-z_]{0,63}$`)

func reasonOf(code fault.Code) fault.Code {
	if !reasonPattern.MatchString(string(code)) {
		return ReasonUnknown
	}
	return code
}

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
	if len(text) <= MaxText {
		return text
	}
	cut := MaxText
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut]
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
