package rabbitmq

import (
	"slices"
	"strings"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// Headers that travel with a message from its first failure on. Times are RFC 3339.
const (
	headerPrefix = "x-ordersaga-"
	// HeaderAttempts counts how often handling failed, HeaderParked how often the message waited for its order, and HeaderEarly how
	// often it was returned from a wait queue before its time, because a dependency answered again.
	HeaderAttempts = headerPrefix + "attempts"
	HeaderParked   = headerPrefix + "parked"
	HeaderEarly    = headerPrefix + "early"
	// HeaderReturn names the run that returned it last: each returns a message once.
	HeaderReturn = headerPrefix + "return"
	// HeaderFirstSeen is when the message was handled for the first time.
	HeaderFirstSeen = headerPrefix + "first-seen"
	// HeaderOriginExchange and HeaderOriginRoutingKey say how the message first came; HeaderReplyTo is where its sender waits for a
	// reply. In a wait queue it loses all three.
	HeaderOriginExchange   = headerPrefix + "origin-exchange"
	HeaderOriginRoutingKey = headerPrefix + "origin-routing-key"
	HeaderReplyTo          = headerPrefix + "reply-to"
	// HeaderQueue is the queue that the message was handled from, to which it is sent when it is replayed.
	HeaderQueue = headerPrefix + "queue"
	// HeaderReason is the fault code of a dead letter, and HeaderDetail a text that is safe to show, with JSON pointers.
	HeaderReason = headerPrefix + "reason"
	HeaderDetail = headerPrefix + "detail"
	// HeaderFailedAt is when the message became a dead letter, and HeaderDeath a unique value for that: it distinguishes messages of
	// the same bytes that fail in the same moment.
	HeaderFailedAt = headerPrefix + "failed-at"
	HeaderDeath    = headerPrefix + "death"
	// HeaderDropped says that the sender's headers were too large to travel on, or could not be read.
	HeaderDropped     = headerPrefix + "headers-dropped"
	droppedTooLarge   = "too large"
	droppedUnreadable = "unreadable"
	// HeaderReplayOf is the id of the dead letter that a message was sent again from, and HeaderReplays counts how often it was.
	HeaderReplayOf = headerPrefix + "replay-of"
	HeaderReplays  = headerPrefix + "replays"
)

// ReasonDeliveryLimit is the reason of a dead letter that the broker itself gave up on: it was delivered again
// and again and never acknowledged.
const ReasonDeliveryLimit fault.Code = "delivery_limit"

// maxDetail bounds HeaderDetail, in bytes.
const maxDetail = 1024

// brokerHeaders are not passed on: CC and BCC would send copies to other queues, and the rest is the broker's
// own bookkeeping, which from 3.13 it ignores in what clients publish.
var brokerHeaders = []string{"CC", "BCC", "x-death", "x-delivery-count", "x-acquired-count",
	"x-first-death-exchange", "x-first-death-queue", "x-first-death-reason",
	"x-last-death-exchange", "x-last-death-queue", "x-last-death-reason"}

// DeadLetter is what is known about a message in the dead letter queue besides the message itself.
type DeadLetter struct {
	// Reason is a fault code or ReasonDeliveryLimit; empty when another client put the message there.
	Reason fault.Code
	// Detail says more, in a text that is safe to show.
	Detail string
	// OriginExchange and OriginRoutingKey are those that the sender used.
	OriginExchange, OriginRoutingKey string
	// Queue is the queue that it was handled from, and is replayed to; empty when that is not known.
	Queue string
	// Attempts and Parked count how often the message was handled and waited.
	Attempts, Parked int
	// FirstSeen and FailedAt are zero when unknown.
	FirstSeen, FailedAt time.Time
	// ReplayOf is the id of the dead letter that the message was sent again from, Replays how often that has happened.
	ReplayOf string
	Replays  int
	// HeadersDropped reports whether the sender's headers were too large to travel on, or unreadable.
	HeadersDropped bool
}

// DeadLetterOf reads what the headers of a message from the dead letter queue say.
func DeadLetterOf(m wire.Message) DeadLetter {
	d := DeadLetter{
		Reason: fault.Code(headerText(m, HeaderReason)), Detail: headerText(m, HeaderDetail), Queue: headerText(m, HeaderQueue),
		OriginExchange: m.Exchange, OriginRoutingKey: m.RoutingKey,
		Attempts: headerCount(m, HeaderAttempts), Parked: headerCount(m, HeaderParked),
		FirstSeen: headerTime(m, HeaderFirstSeen), FailedAt: headerTime(m, HeaderFailedAt),
		ReplayOf: headerText(m, HeaderReplayOf), Replays: headerCount(m, HeaderReplays),
	}
	_, d.HeadersDropped = m.Headers[HeaderDropped]
	// Our own dead letters have no x-death: where there is one, the broker has given up on what was put back by hand.
	if _, byBroker := m.Headers["x-death"]; byBroker || d.Reason == "" {
		d.readDeath(m)
	}
	if _, ok := m.Headers[HeaderOriginRoutingKey]; ok {
		m.Exchange, m.RoutingKey = d.OriginExchange, d.OriginRoutingKey
		d.OriginExchange, d.OriginRoutingKey = originOf(m)
	}
	return d
}

// readDeath reads the newest entry of the broker's own x-death.
func (d *DeadLetter) readDeath(m wire.Message) {
	deaths, _ := m.Headers["x-death"].([]any)
	if len(deaths) == 0 {
		return
	}
	newest, _ := deaths[0].(map[string]any)
	death := wire.Message{Headers: newest}
	d.Reason, d.Queue, d.OriginExchange = fault.Code(headerText(death, "reason")), headerText(death, "queue"), headerText(death, "exchange")
	if keys, _ := newest["routing-keys"].([]any); len(keys) > 0 {
		d.OriginRoutingKey, _ = keys[0].(string)
	}
	d.FailedAt, _ = newest["time"].(time.Time)
}

// originOf returns how a message first came. A value that cannot be an exchange or a routing key is not one of ours.
func originOf(m wire.Message) (exchange, key string) {
	key, ok := m.Headers[HeaderOriginRoutingKey].(string)
	exchange = headerText(m, HeaderOriginExchange)
	if !ok || len(key) > maxShort || len(exchange) > maxShort {
		return m.Exchange, m.RoutingKey
	}
	return exchange, key
}

// Original returns a dead letter as its sender sent it: without our headers and the broker's, under the exchange and
// routing key of then.
func Original(m wire.Message) wire.Message {
	origin := DeadLetterOf(m)
	m.Headers = senderHeaders(m)
	m.Exchange, m.RoutingKey, m.Redelivered = origin.OriginExchange, origin.OriginRoutingKey, false
	return m
}

// Fresh returns a dead letter as a message that can be sent to the inbox again: as it first came, with a new
// count of attempts. The original routing key stays in the headers, so that its type is still known.
func Fresh(m wire.Message) wire.Message {
	m = Original(m)
	return withHeaders(m, map[string]any{HeaderOriginExchange: m.Exchange, HeaderOriginRoutingKey: m.RoutingKey})
}

// Replay is Fresh for the letter of an id, which is sent again for the given time, from 1: both travel with the message,
// and are part of the letter that it becomes when it fails again.
func Replay(m wire.Message, letterID string, replays int) wire.Message {
	return withHeaders(Fresh(m), map[string]any{HeaderReplayOf: letterID, HeaderReplays: int64(replays)})
}

// senderHeaders returns the headers without ours and the broker's.
func senderHeaders(m wire.Message) map[string]any {
	headers := make(map[string]any, len(m.Headers))
	for name, value := range m.Headers {
		if !strings.HasPrefix(name, headerPrefix) && !slices.Contains(brokerHeaders, name) {
			headers[name] = value
		}
	}
	return headers
}

// failedCopy returns the copy of a delivered message that waits or is dead: the sender's body, properties and headers, and ours.
// queue is the one that it was handled from.
func failedCopy(d Delivery, queue string, attempts, parked int) wire.Message {
	m := d.Message
	m.Headers = senderHeaders(m)
	dropped := headerText(d.Message, HeaderDropped)
	if sizeOf(m.Headers) > maxHeaders-8*maxDetail {
		m.Headers, dropped = map[string]any{}, droppedTooLarge
	}
	if dropped == droppedUnreadable || dropped == droppedTooLarge {
		m.Headers[HeaderDropped] = dropped
	}
	if of := headerText(d.Message, HeaderReplayOf); event.ValidID(of) { // any client can set it, as large as a frame
		m.Headers[HeaderReplayOf] = of
	}
	if replays := headerCount(d.Message, HeaderReplays); replays > 0 {
		m.Headers[HeaderReplays] = int64(replays)
	}
	if d.Early > 0 {
		m.Headers[HeaderEarly] = int64(d.Early)
		if run := headerText(d.Message, HeaderReturn); run != "" && len(run) <= maxShort {
			m.Headers[HeaderReturn] = run
		}
	}
	return withHeaders(m, map[string]any{
		HeaderAttempts: int64(attempts), HeaderParked: int64(parked), HeaderFirstSeen: timeText(d.FirstSeen),
		HeaderOriginExchange: d.Message.Exchange, HeaderOriginRoutingKey: d.Message.RoutingKey, HeaderQueue: queue,
	})
}

// headerText reads a text; another type counts as none.
func headerText(m wire.Message, name string) string {
	text, _ := m.Headers[name].(string)
	return text
}

// headerCount reads a counter; what is no sensible number counts as none.
func headerCount(m wire.Message, name string) int {
	const most = 1 << 20
	var n int64
	switch v := m.Headers[name].(type) {
	case int64:
		n = v
	case int32:
		n = int64(v)
	case int16:
		n = int64(v)
	}
	return int(min(max(n, 0), most))
}

// headerTime reads a time; a text that is none counts as zero.
func headerTime(m wire.Message, name string) time.Time {
	at, err := time.Parse(time.RFC3339Nano, headerText(m, name))
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}

// detailOf returns what may be said about an error, with the fields that are wrong.
func detailOf(err error) string {
	detail := fault.SafeMessage(err)
	for _, f := range fault.FieldsOf(err) {
		detail += "; "
		if f.Pointer != "" {
			detail += f.Pointer + ": "
		}
		detail += f.Detail
	}
	detail = strings.ToValidUTF8(detail, "\uFFFD")
	return strings.ToValidUTF8(detail[:min(len(detail), maxDetail)], "") // without half a rune at its end
}
