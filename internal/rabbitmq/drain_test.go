package rabbitmq_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/rabbitmq"
	"github.com/ordersaga/ordersaga/internal/rabbitmq/rabbitmqtest"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

func TestStopDrains(t *testing.T) {
	url := testenv.AMQP(t)
	entered, release := make(chan struct{}, 8), make(chan struct{})
	letGo := sync.OnceFunc(func() { close(release) })
	b := startConsumer(t, url, func(c *rabbitmq.ConsumerConfig) {
		c.Prefetch, c.Handlers = 8, 2
		c.Handler = func(ctx context.Context, _ rabbitmq.Delivery) error {
			err := hand(ctx, entered, struct{}{})
			<-release
			return err
		}
	})
	t.Cleanup(letGo) // or a test that fails would not end
	for i := range 6 {
		rabbitmqtest.Send(t, url, b.topology.Exchange, "order.created", order(fmt.Sprintf("o-%d", i)))
	}
	receive(t, entered)
	receive(t, entered)
	stopped := make(chan error, 2)
	for range 2 {
		go func() { stopped <- b.consumer.Stop(patient(t)) }()
	}
	require.Eventually(t, func() bool { return rabbitmqtest.Depth(t, url, b.topology.Inbox()) == 4 }, rabbitmqtest.Timeout, 20*time.Millisecond,
		"what is not being handled goes back at once")
	letGo()
	require.NoError(t, receive(t, stopped))
	require.NoError(t, receive(t, stopped))
	require.EqualValues(t, 2, b.consumer.Stats().Acknowledged)
	require.Equal(t, 4, rabbitmqtest.Depth(t, url, b.topology.Inbox()))
	require.ErrorIs(t, b.consumer.Ready(), fault.Unavailable)
}

func TestDrainTimeoutCancelsHandlers(t *testing.T) {
	url := testenv.AMQP(t)
	entered := make(chan struct{}, 1)
	b := startConsumer(t, url, func(c *rabbitmq.ConsumerConfig) {
		c.Handler = func(ctx context.Context, _ rabbitmq.Delivery) error {
			if err := hand(ctx, entered, struct{}{}); err != nil {
				return err
			}
			<-ctx.Done()
			return ctx.Err()
		}
	})
	rabbitmqtest.Send(t, url, b.topology.Exchange, "order.created", order("o-1"))
	receive(t, entered)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, b.consumer.Stop(ctx), context.DeadlineExceeded)
	// The broker gives it back in its own time.
	again := rabbitmqtest.Queue(t, url, b.topology.Inbox()).Next(t)
	require.Equal(t, "o-1", again.MessageID, "it is tried by the next one")
	require.NotContains(t, again.Headers, rabbitmq.HeaderAttempts, "no attempt is counted")
	require.Zero(t, rabbitmqtest.Depth(t, url, b.topology.Inbox()), "once")
}
