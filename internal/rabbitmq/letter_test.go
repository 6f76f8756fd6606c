package rabbitmq

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// What the queue says of a letter is in its id: the broker's record of two deaths, too.
func TestLetterID(t *testing.T) {
	death := func(count int64) wire.Message {
		return wire.Message{Exchange: "ordersaga.dlx", RoutingKey: "stock.received", Body: []byte("x"), Headers: map[string]any{
			"x-tenant": "blue", HeaderReplayOf: "letter-1", HeaderReplays: int64(2),
			"x-death": []any{map[string]any{"reason": "delivery_limit", "exchange": "domain_events", "count": count, "routing-keys": []any{"stock.received"}}},
		}}
	}
	p := LetterOf(death(1))
	require.Equal(t, wire.Message{Exchange: "domain_events", RoutingKey: "stock.received", Body: []byte("x"), Headers: map[string]any{"x-tenant": "blue"}}, p.Message)
	require.Equal(t, []any{deadletter.ReasonDeliveryLimit, "letter-1", 2}, []any{p.Reason, string(p.ReplayOf), p.Replays})
	now := time.Now()
	require.Equal(t, deadletter.New(p, now).ID, deadletter.New(LetterOf(death(1)), now).ID)
	require.NotEqual(t, deadletter.New(p, now).ID, deadletter.New(LetterOf(death(2)), now).ID)
}

// TestEqualMessagesAreDifferentLetters: the consumer gives each death an id, and a message that is delivered again
// brings it along.
func TestEqualMessagesAreDifferentLetters(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	dead := func(death string) wire.Message {
		return wire.Message{Body: []byte("{}"), Headers: map[string]any{
			HeaderReason: "invalid", HeaderFailedAt: "2026-03-01T12:00:00.000Z", HeaderDeath: death,
		}}
	}
	id := func(m wire.Message) string { return deadletter.New(LetterOf(m), now).ID }
	again := dead("1")
	again.Redelivered = true
	require.Equal(t, id(dead("1")), id(again))
	require.NotEqual(t, id(dead("1")), id(dead("2")))
	require.False(t, LetterOf(dead("1")).FirstDelivery)

	byBroker := wire.Message{Body: []byte("{}"), Headers: map[string]any{"x-death": []any{}}}
	require.True(t, LetterOf(byBroker).FirstDelivery)
	for name, count := range map[string]any{"x-delivery-count": int64(1), "x-acquired-count": int64(2)} {
		byBroker.Headers = map[string]any{"x-death": []any{}, name: count}
		require.False(t, LetterOf(byBroker).FirstDelivery, name)
	}
	byBroker.Headers = map[string]any{"x-death": []any{}, "x-delivery-count": int64(0)}
	require.True(t, LetterOf(byBroker).FirstDelivery)
	byBroker.Redelivered = true
	require.False(t, LetterOf(byBroker).FirstDelivery)
}
