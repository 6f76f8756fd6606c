package rabbitmq_test

import (
	"context"
	"errors"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/rabbitmq"
	"github.com/ordersaga/ordersaga/internal/rabbitmq/rabbitmqtest"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

// subscribed is a topology with a subscription to what the service itself publishes.
func subscribed(t *testing.T, url string) rabbitmq.Topology {
	t.Helper()
	topology := rabbitmqtest.Topology(t, url, quick...)
	inbox := len(topology.Queues())
	topology.Subscriptions = []rabbitmq.Subscription{{Name: "news", Keys: []string{"order.completed"}}}
	t.Cleanup(func() {
		conn, err := amqp.Dial(url)
		require.NoError(t, err)
		defer func() { _ = conn.Close() }()
		ch, err := conn.Channel()
		require.NoError(t, err)
		require.Len(t, topology.Queues(), inbox+1+len(quick))
		for _, queue := range []string{topology.Queue("news"), rabbitmq.WaitOf(topology.Queue("news"), quick[0]),
			rabbitmq.WaitOf(topology.Queue("news"), quick[1]), rabbitmq.WaitOf(topology.Queue("news"), quick[2])} {
			_, err := ch.QueueDelete(queue, false, false, false)
			require.NoError(t, err)
		}
	})
	return topology
}

// TestSubscriptionHasItsOwnQueues: it hears what goes out, which the inbox never does; what fails waits and comes back to it,
// and what is dead says where it belongs.
func TestSubscriptionHasItsOwnQueues(t *testing.T) {
	url := testenv.AMQP(t)
	topology := subscribed(t, url)
	publisher := startPublisher(t, rabbitmq.PublisherConfig{Config: config(url, topology)})
	inbox, news := make(chan rabbitmq.Delivery, 16), make(chan rabbitmq.Delivery, 16)
	start(t, rabbitmq.ConsumerConfig{Config: config(url, topology), Publisher: publisher,
		Handler: func(ctx context.Context, d rabbitmq.Delivery) error { return hand(ctx, inbox, d) }})
	start(t, rabbitmq.ConsumerConfig{Config: config(url, topology), Publisher: publisher, Subscription: "news", MaxAttempts: 3,
		Handler: func(ctx context.Context, d rabbitmq.Delivery) error {
			return errors.Join(fault.New(fault.Unavailable, "not now"), hand(ctx, news, d))
		}})
	dead := rabbitmqtest.Queue(t, url, topology.Dead())
	rabbitmqtest.Send(t, url, topology.Exchange, "order.completed", order("o-1"))
	for attempt := range 3 {
		d := receive(t, news)
		require.Equal(t, attempt, d.Attempts)
		require.Equal(t, "order.completed", d.Message.RoutingKey, "as it first came")
	}
	letter := rabbitmq.LetterOf(dead.Next(t))
	require.Equal(t, topology.Queue("news"), letter.Queue)
	require.Equal(t, fault.Unavailable, letter.Reason)
	require.Empty(t, inbox, "what goes out never comes in")

	rabbitmqtest.Send(t, url, topology.Exchange, "order.created", order("o-2"))
	require.Equal(t, "order.created", receive(t, inbox).Message.RoutingKey)
	require.Empty(t, news)
}

func TestUnknownSubscriptionIsRefused(t *testing.T) {
	for _, s := range []rabbitmq.Subscription{{}, {Name: "inbox", Keys: []string{"a"}}, {Name: "dead", Keys: []string{"a"}}, {Name: "news"}} {
		_, err := rabbitmq.NewPublisher(rabbitmq.PublisherConfig{Config: rabbitmq.Config{URL: "amqp://localhost", Topology: rabbitmq.Topology{
			Subscriptions: []rabbitmq.Subscription{s}, WaitDelays: []time.Duration{time.Second},
		}}})
		require.ErrorIs(t, err, fault.Invalid, "%+v", s)
	}
	_, err := rabbitmq.NewConsumer(rabbitmq.ConsumerConfig{Config: rabbitmq.Config{URL: "amqp://localhost"}, Subscription: "news", Dead: true,
		Handler: func(context.Context, rabbitmq.Delivery) error { return nil }})
	require.ErrorIs(t, err, fault.Invalid)
}
