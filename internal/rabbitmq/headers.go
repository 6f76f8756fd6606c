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

// maxDetail bounds HeaderDetail, in bytes.
const maxDetail = 1024

// brokerHeaders are not passed on: CC and BCC would send copies to other queues, and the rest is the broker's
// own bookkeeping, which from 3.13 it ignores in what clients publish.
var brokerHeaders = []string{"CC", "BCC", "x-death", "x-delivery-count", "x-acquired-count",
	"x-first-death-exchange", "x-first-death-queue", "x-first-death-reason",
	"x-last-death-exchange", "x-last-death-queue", "x-last-death-reason"}

// originOf returns how a message first came. A value that cannot be an exchange or a routing key is not one of ours.
func originOf(m wire.Message) (exchange, key string) {
	key, ok := m.Headers[HeaderOriginRoutingKey].(string)
	exchange = headerText(m, HeaderOriginExchange)
	if !ok || len(key) > maxShort || len(exchange) > maxShort {
		return m.Exchange, m.RoutingKey
	}
	return exchange, key
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
	if of := headerText(d.Message, HeaderReplayOf); event.ValidToken(of) { // any client can set it, as large as a frame
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
