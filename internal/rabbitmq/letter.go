package rabbitmq

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/null"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// LetterOf returns the dead letter from a message of the dead letter queue. Its Message is as the sender published it: without headers of
// this service or of the broker, with the original exchange and routing key.
func LetterOf(m wire.Message) deadletter.Letter {
	l := deadletter.Letter{
		Reason: fault.Code(headerText(m, HeaderReason)), Detail: headerText(m, HeaderDetail), Queue: headerText(m, HeaderQueue),
		Attempts: headerCount(m, HeaderAttempts), Parked: headerCount(m, HeaderParked),
		FirstSeen: null.At(headerTime(m, HeaderFirstSeen)), FailedAt: null.At(headerTime(m, HeaderFailedAt)),
		ReplayOf: null.Text(headerText(m, HeaderReplayOf)), Replays: headerCount(m, HeaderReplays),
	}
	_, l.HeadersDropped = m.Headers[HeaderDropped]
	if record, byBroker := m.Headers["x-death"]; byBroker {
		// Messages with equal bytes are distinguished only by the time of death, in seconds, and the count in x-death. A message that was
		// never delivered before differs from every stored letter.
		raw, _ := json.Marshal(record)
		l.Death, l.FirstDelivery = deadletter.HashOf(raw), !deliveredBefore(m)
		// Dead letters of this service have no x-death: the broker dead-lettered a message that an operator had put back.
		if deaths, _ := record.([]any); len(deaths) > 0 {
			newest, _ := deaths[0].(map[string]any)
			death := wire.Message{Headers: newest}
			l.Reason, l.Queue, m.Exchange = fault.Code(headerText(death, "reason")), headerText(death, "queue"), headerText(death, "exchange")
			if keys, _ := newest["routing-keys"].([]any); len(keys) > 0 {
				m.RoutingKey, _ = keys[0].(string)
			}
			l.FailedAt.Time, _ = newest["time"].(time.Time)
		}
	}
	if death, ok := m.Headers[HeaderDeath].(string); ok {
		l.Death += deadletter.HashOf([]byte(death))
	}
	m.Exchange, m.RoutingKey = originOf(m)
	m.Headers, m.Redelivered = senderHeaders(m), false
	l.Message = m
	return l
}

// deliveredBefore reports whether a message may have been delivered before. The header depends on the version of the broker.
func deliveredBefore(m wire.Message) bool {
	for _, name := range []string{"x-delivery-count", "x-acquired-count"} {
		if count, there := m.Headers[name]; there && fmt.Sprint(count) != "0" {
			return true
		}
	}
	return m.Redelivered
}

// Replay returns the message of a letter for its replay with this number, from 1, and with attempts reset. The original routing key, which
// identifies the type, and the letter ID are in the headers; if the replay fails, they become part of the new letter.
func Replay(m wire.Message, letterID string, replays int) wire.Message {
	return withHeaders(m, map[string]any{
		HeaderOriginExchange: m.Exchange, HeaderOriginRoutingKey: m.RoutingKey, HeaderReplayOf: letterID, HeaderReplays: int64(replays),
	})
}
