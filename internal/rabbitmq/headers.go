package rabbitmq

import (
	"slices"
	"strings"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// Headers that a message has after its first failure. Times are RFC 3339.
const (
	headerPrefix = "x-ordersaga-"
	// HeaderAttempts counts the failed attempts, HeaderParked the waits for the order, and HeaderEarly the early returns from a wait
	// queue after a dependency recovered.
	HeaderAttempts = headerPrefix + "attempts"
	HeaderParked   = headerPrefix + "parked"
	HeaderEarly    = headerPrefix + "early"
	// HeaderReturn identifies the run that returned the message last: each run returns a message once.
	HeaderReturn = headerPrefix + "return"
	// HeaderFirstSeen is the time of the first delivery.
	HeaderFirstSeen = headerPrefix + "first-seen"
	// HeaderOriginExchange and HeaderOriginRoutingKey are the exchange and routing key of the first delivery; HeaderReplyTo is the
	// sender's reply queue. In a wait queue a message loses all three properties.
	HeaderOriginExchange   = headerPrefix + "origin-exchange"
	HeaderOriginRoutingKey = headerPrefix + "origin-routing-key"
	HeaderReplyTo          = headerPrefix + "reply-to"
	// HeaderQueue is the queue that the message was consumed from, to which it is sent on a replay.
	HeaderQueue = headerPrefix + "queue"
	// HeaderReason is the fault code of a dead letter; HeaderDetail is a safe message with JSON pointers.
	HeaderReason = headerPrefix + "reason"
	HeaderDetail = headerPrefix + "detail"
	// HeaderFailedAt is the time when the message was dead-lettered. HeaderDeath is unique for each dead-lettering: it distinguishes
	// messages with equal bytes that fail at the same time.
	HeaderFailedAt = headerPrefix + "failed-at"
	HeaderDeath    = headerPrefix + "death"
	// HeaderDropped says that the headers of the sender were too large or unreadable and were removed.
	HeaderDropped     = headerPrefix + "headers-dropped"
	droppedTooLarge   = "too large"
	droppedUnreadable = "unreadable"
	// HeaderReplayOf is the ID of the dead letter that was replayed; HeaderReplays counts its replays.
	HeaderReplayOf = headerPrefix + "replay-of"
	HeaderReplays  = headerPrefix + "replays"
)

// maxDetail bounds HeaderDetail, in bytes.
const maxDetail = 1024

// brokerHeaders are removed from copies: CC and BCC would route copies to other queues; the others are written by the broker, which
// ignores them in published messages since 3.13.
var brokerHeaders = []string{"CC", "BCC", "x-death", "x-delivery-count", "x-acquired-count",
	"x-first-death-exchange", "x-first-death-queue", "x-first-death-reason",
	"x-last-death-exchange", "x-last-death-queue", "x-last-death-reason"}

// originOf returns the original exchange and routing key. Headers with impossible values were not written by this service.
func originOf(m wire.Message) (exchange, key string) {
	key, ok := m.Headers[HeaderOriginRoutingKey].(string)
	exchange = headerText(m, HeaderOriginExchange)
	if !ok || len(key) > maxShort || len(exchange) > maxShort {
		return m.Exchange, m.RoutingKey
	}
	return exchange, key
}

// senderHeaders returns the headers without those of this service and of the broker.
func senderHeaders(m wire.Message) map[string]any {
	headers := make(map[string]any, len(m.Headers))
	for name, value := range m.Headers {
		if !strings.HasPrefix(name, headerPrefix) && !slices.Contains(brokerHeaders, name) {
			headers[name] = value
		}
	}
	return headers
}

// failedCopy returns the copy of a message for a wait queue or the dead letter queue: the sender's body, properties and headers, and the
// headers of this service. queue is the queue that it was consumed from.
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
	if of := headerText(d.Message, HeaderReplayOf); event.ValidToken(of) { // any client can set it, to any size
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

// headerText reads a string header; empty if it has another type.
func headerText(m wire.Message, name string) string {
	text, _ := m.Headers[name].(string)
	return text
}

// headerCount reads a counter; 0 if it has another type.
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

// headerTime reads a time; zero if it is not valid.
func headerTime(m wire.Message, name string) time.Time {
	at, err := time.Parse(time.RFC3339Nano, headerText(m, name))
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}

// detailOf returns the safe message of an error, with its invalid fields.
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
	return strings.ToValidUTF8(detail[:min(len(detail), maxDetail)], "") // removes a truncated rune
}
