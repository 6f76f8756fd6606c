package broker_test

import (
	"context"
	"errors"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/broker"
	"github.com/ordersaga/ordersaga/internal/broker/brokertest"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

// subscribed is a topology with a subscription to what the service itself publishes.
func subscribed(t *testing.T, url string) broker.Topology {
	t.Helper()
	topology := brokertest.Topology(t, url, quick...)
	inbox := len(topology.Queues())
	topology.Subscriptions = []broker.Subscription{{Name: "news", Keys: []string{"order.completed"}}}
	t.Cleanup(func() {
		conn, err := amqp.Dial(url)
		require.NoError(t, err)
		defer func() { _ = conn.Close() }()
		ch, err := conn.Channel()
		require.NoError(t, err)
		require.Len(t, topology.Queues(), inbox+1+len(quick))
		for _, queue := range []string{topology.Queue("news"), broker.WaitOf(topology.Queue("news"), quick[0]),
			broker.WaitOf(topology.Queue("news"), quick[1]), broker.WaitOf(topology.Queue("news"), quick[2])} {
			_, err := ch.QueueDelete(queue, false, false, false)
			require.NoError(t, err)
		}
	})
	return topology
}

// TestASubscriptionHasAWayOfItsOwn: it hears what goes out, which the inbox never does; what fails waits and comes back to it,
// and what is dead says where it belongs.
func TestASubscriptionHasAWayOfItsOwn(t *testing.T) {
	url := testenv.AMQP(t)
	topology := subscribed(t, url)
	publisher := startPublisher(t, broker.PublisherConfig{Config: config(url, topology)})
	inbox, news := make(chan broker.Delivery, 16), make(chan broker.Delivery, 16)
	start(t, broker.ConsumerConfig{Config: config(url, topology), Publisher: publisher,
		Handler: func(ctx context.Context, d broker.Delivery) error { return hand(ctx, inbox, d) }})
	start(t, broker.ConsumerConfig{Config: config(url, topology), Publisher: publisher, Subscription: "news", MaxAttempts: 3,
		Handler: func(ctx context.Context, d broker.Delivery) error {
			return errors.Join(fault.New(fault.Unavailable, "not now"), hand(ctx, news, d))
		}})
	dead := brokertest.Queue(t, url, topology.Dead())
	brokertest.Send(t, url, topology.Exchange, "order.completed", order("o-1"))
	for attempt := range 3 {
		d := receive(t, news)
		require.Equal(t, attempt, d.Attempts)
		require.Equal(t, "order.completed", d.Message.RoutingKey, "as it first came")
	}
	letter := broker.DeadLetterOf(dead.Next(t))
	require.Equal(t, topology.Queue("news"), letter.Queue)
	require.Equal(t, fault.Unavailable, letter.Reason)
	require.Empty(t, inbox, "what goes out never comes in")

	brokertest.Send(t, url, topology.Exchange, "order.created", order("o-2"))
	require.Equal(t, "order.created", receive(t, inbox).Message.RoutingKey)
	require.Empty(t, news)
}

func TestASubscriptionMustBeInTheTopology(t *testing.T) {
	for _, s := range []broker.Subscription{{}, {Name: "inbox", Keys: []string{"a"}}, {Name: "dead", Keys: []string{"a"}}, {Name: "news"}} {
		_, err := broker.NewPublisher(broker.PublisherConfig{Config: broker.Config{URL: "amqp://localhost", Topology: broker.Topology{
			Subscriptions: []broker.Subscription{s}, WaitDelays: []time.Duration{time.Second},
		}}})
		require.ErrorIs(t, err, fault.Invalid, "%+v", s)
	}
	_, err := broker.NewConsumer(broker.ConsumerConfig{Config: broker.Config{URL: "amqp://localhost"}, Subscription: "news", Dead: true,
		Handler: func(context.Context, broker.Delivery) error { return nil }})
	require.ErrorIs(t, err, fault.Invalid)
}
