package rabbitmq_test

import (
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/rabbitmq"
	"github.com/ordersaga/ordersaga/internal/rabbitmq/rabbitmqtest"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

// TestExpiredMessageIsDeadLettered: what is sent again after that does not expire.
func TestExpiredMessageIsDeadLettered(t *testing.T) {
	url := testenv.AMQP(t)
	topology := rabbitmqtest.Topology(t, url)
	startPublisher(t, rabbitmq.PublisherConfig{Config: config(url, topology)}) // declares the queues; nothing consumes the inbox
	dead := rabbitmqtest.Queue(t, url, topology.Dead())
	sent := order("o-1")
	message, err := rabbitmq.ToPublishing(sent)
	require.NoError(t, err)
	message.Expiration = "1" // milliseconds
	rabbitmqtest.Exec(t, url, func(channel *amqp.Channel) {
		require.NoError(t, channel.PublishWithContext(patient(t), topology.Exchange, "order.created", true, false, message))
	})

	m := dead.Next(t)
	d := rabbitmq.LetterOf(m)
	require.Equal(t, deadletter.ReasonExpired, d.Reason)
	require.Equal(t, topology.Inbox(), d.Queue)
	require.Equal(t, "order.created", d.Message.RoutingKey)
	require.Equal(t, sent.Body, d.Message.Body)
	again, err := rabbitmq.ToPublishing(rabbitmq.Replay(d.Message, "letter-1", 1))
	require.NoError(t, err)
	require.Empty(t, again.Expiration)
}
