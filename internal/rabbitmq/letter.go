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

// LetterOf returns what the headers of a message from the dead letter queue say, with the message as its sender sent it: without our
// headers and the broker's, under the exchange and routing key of then.
func LetterOf(m wire.Message) deadletter.Letter {
	l := deadletter.Letter{
		Reason: fault.Code(headerText(m, HeaderReason)), Detail: headerText(m, HeaderDetail), Queue: headerText(m, HeaderQueue),
		Attempts: headerCount(m, HeaderAttempts), Parked: headerCount(m, HeaderParked),
		FirstSeen: null.At(headerTime(m, HeaderFirstSeen)), FailedAt: null.At(headerTime(m, HeaderFailedAt)),
		ReplayOf: null.Text(headerText(m, HeaderReplayOf)), Replays: headerCount(m, HeaderReplays),
	}
	_, l.HeadersDropped = m.Headers[HeaderDropped]
	if record, byBroker := m.Headers["x-death"]; byBroker {
		// The broker's record has the time of the death, in seconds, and its count, and nothing else that tells apart two messages of
		// the same bytes. One that was never delivered before is another one than a letter that is kept already.
		raw, _ := json.Marshal(record)
		l.Mark, l.First = deadletter.HashOf(raw), !deliveredBefore(m)
		// Our own dead letters have no such record: where there is one, the broker has given up on a message that a person had put back.
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
		l.Mark += deadletter.HashOf([]byte(death))
	}
	m.Exchange, m.RoutingKey = originOf(m)
	m.Headers, m.Redelivered = senderHeaders(m), false
	l.Message = m
	return l
}

// deliveredBefore reports whether a message may have been delivered before; brokers say so in different ways.
func deliveredBefore(m wire.Message) bool {
	for _, name := range []string{"x-delivery-count", "x-acquired-count"} {
		if count, there := m.Headers[name]; there && fmt.Sprint(count) != "0" {
			return true
		}
	}
	return m.Redelivered
}

// Replay returns the message of a letter as it is sent again, for the given time, from 1: with a new count of attempts. Its type is
// still known by the original routing key, which is in the headers as what it replays is; they are part of the letter that it becomes
// when it fails again.
func Replay(m wire.Message, letterID string, replays int) wire.Message {
	return withHeaders(m, map[string]any{
		HeaderOriginExchange: m.Exchange, HeaderOriginRoutingKey: m.RoutingKey, HeaderReplayOf: letterID, HeaderReplays: int64(replays),
	})
}
