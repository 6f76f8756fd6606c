package broker_test

import (
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/broker"
	"github.com/ordersaga/ordersaga/internal/broker/brokertest"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

// TestAMessageThatExpiresIsADeadLetterThatSaysSo: what is sent again after that does not expire.
func TestAMessageThatExpiresIsADeadLetterThatSaysSo(t *testing.T) {
	url := testenv.AMQP(t)
	topology := brokertest.Topology(t, url)
	startPublisher(t, broker.PublisherConfig{Config: config(url, topology)}) // declares the queues; nothing consumes the inbox
	dead := brokertest.Queue(t, url, topology.Dead())
	sent := order("o-1")
	message, err := broker.ToPublishing(sent)
	require.NoError(t, err)
	message.Expiration = "1" // milliseconds
	brokertest.Exec(t, url, func(channel *amqp.Channel) {
		require.NoError(t, channel.PublishWithContext(patient(t), topology.Exchange, "order.created", true, false, message))
	})

	m := dead.Next(t)
	d := broker.DeadLetterOf(m)
	require.Equal(t, deadletter.ReasonExpired, d.Reason)
	require.Equal(t, topology.Inbox(), d.Queue)
	require.Equal(t, "order.created", d.OriginRoutingKey)
	require.Equal(t, sent.Body, broker.Original(m).Body)
	again, err := broker.ToPublishing(broker.Fresh(m))
	require.NoError(t, err)
	require.Empty(t, again.Expiration)
}
