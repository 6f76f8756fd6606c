package rabbitmq

import (
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/testenv"
)

// TestDrainerWaitsForMessageInTransit: no message of the queue is ready any more, and none has come yet.
func TestDrainerWaitsForMessageInTransit(t *testing.T) {
	conn, err := amqp.Dial(testenv.AMQP(t))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	ch, err := conn.Channel()
	require.NoError(t, err)
	require.NoError(t, ch.Confirm(false))
	queue := testenv.Unique("source")
	_, err = ch.QueueDeclare(queue, true, false, false, false, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = ch.QueueDelete(queue, false, false, false) })
	for _, id := range []string{"1", "2"} {
		confirm, err := ch.PublishWithDeferredConfirm("", queue, false, false, amqp.Publishing{MessageId: id})
		require.NoError(t, err)
		require.True(t, confirm.Wait())
	}
	messages, err := ch.Consume(queue, consumerTag, false, false, false, false, nil)
	require.NoError(t, err)
	slow := make(chan amqp.Delivery)
	go func() {
		defer close(slow)
		for m := range messages {
			time.Sleep(3 * returnIdle)
			slow <- m
		}
	}()
	s := &drainer{channel: ch, queue: queue, messages: slow}
	for _, id := range []string{"1", "2"} {
		raw, ok, err := s.next(t.Context())
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, id, raw.MessageId)
		require.NoError(t, raw.Ack(false))
	}
	for range 2 {
		_, ok, err := s.next(t.Context())
		require.NoError(t, err, "that it is empty is no error")
		require.False(t, ok)
	}
}
