package rabbitmq_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/rabbitmq"
	"github.com/ordersaga/ordersaga/internal/rabbitmq/rabbitmqtest"
	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// listening is a listener that runs until the test ends.
type listening struct {
	messages  chan wire.Message
	connected chan uint64
	lost      chan error
	stop      func()
}

func startListener(t *testing.T, cfg rabbitmq.Config, keys ...string) *listening {
	t.Helper()
	tt := &listening{messages: make(chan wire.Message, 1000), connected: make(chan uint64, 100), lost: make(chan error, 100)}
	l, err := rabbitmq.NewListener(rabbitmq.ListenerConfig{
		Config: cfg, Keys: keys,
		Message:   func(m wire.Message) { tt.messages <- m },
		Connected: func(session uint64) { tt.connected <- session },
		Lost: func(err error, _ time.Duration) {
			select {
			case tt.lost <- err:
			default: // no test reads that many: a listener that waited here would never come back
			}
		},
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	stopped := false
	tt.stop = func() {
		cancel()
		if !stopped {
			stopped = true
			require.NoError(t, await(t, done))
		}
	}
	t.Cleanup(tt.stop)
	return tt
}

// await returns the next value of a channel. The test ends when none comes.
func await[T any](t *testing.T, values <-chan T) T {
	t.Helper()
	select {
	case v := <-values:
		return v
	case <-time.After(2 * rabbitmqtest.Timeout):
		require.FailNow(t, "nothing came")
		panic("unreachable")
	}
}

// loose is a topology of which only the exchange is ever declared.
func loose(t *testing.T, url string) rabbitmq.Topology {
	t.Helper()
	topology := rabbitmq.Topology{Exchange: testenv.Unique("events"), Prefix: testenv.Unique("saga")}
	t.Cleanup(func() {
		rabbitmqtest.Exec(t, url, func(ch *amqp.Channel) { require.NoError(t, ch.ExchangeDelete(topology.Exchange, false, false)) })
	})
	return topology
}

func TestListenerReceivesAndLeavesNoQueue(t *testing.T) {
	url := testenv.AMQP(t)
	topology := loose(t, url)
	all, some := startListener(t, config(url, topology)), startListener(t, config(url, topology), "order.created", "stock.*")
	await(t, all.connected)
	await(t, some.connected)
	for i, key := range []string{"order.created", "payment.failed", "stock.received"} {
		rabbitmqtest.Send(t, url, topology.Exchange, key, wire.Message{MessageID: fmt.Sprint(i), Body: []byte("{}")})
	}
	for i := range 3 {
		m := await(t, all.messages)
		require.Equal(t, fmt.Sprint(i), m.MessageID)
		require.Equal(t, topology.Exchange, m.Exchange)
	}
	require.Equal(t, "order.created", await(t, some.messages).RoutingKey)
	require.Equal(t, "stock.received", await(t, some.messages).RoutingKey)
	require.Empty(t, some.messages)

	all.stop()
	some.stop()
	// Its queues go with it, when the broker has seen that it is gone: a mandatory message finds none.
	n := oneShot(t, url, topology)
	require.Eventually(t, func() bool {
		return errors.Is(n.Publish(patient(t), wire.Message{RoutingKey: "order.created", Body: []byte("{}")}), fault.NotFound)
	}, rabbitmqtest.Timeout, 20*time.Millisecond)
	rabbitmqtest.Exec(t, url, func(ch *amqp.Channel) {
		_, err := ch.QueueDeclarePassive(topology.Inbox(), true, false, false, false, nil)
		require.Error(t, err, "neither a listener nor a one-shot publisher declares the inbox")
	})
}

func TestListenerReconnects(t *testing.T) {
	url := testenv.AMQP(t)
	topology := loose(t, url)
	proxy := rabbitmqtest.NewProxy(t, url)
	l := startListener(t, config(proxy.URL, topology))
	first := await(t, l.connected)
	proxy.Refuse()
	require.Error(t, await(t, l.lost))
	proxy.Serve()
	require.Greater(t, await(t, l.connected), first)
	rabbitmqtest.Send(t, url, topology.Exchange, "any.thing", wire.Message{MessageID: "after", Body: []byte("{}")})
	require.Equal(t, "after", await(t, l.messages).MessageID)
}

func TestDisconnectedListenerStopsAtOnce(t *testing.T) {
	l := startListener(t, rabbitmq.Config{URL: "amqp://127.0.0.1:1/", ReconnectMin: time.Hour, ReconnectMax: time.Hour})
	require.ErrorIs(t, await(t, l.lost), fault.Unavailable)
	l.stop() // in the middle of an hour's pause
}

func TestListenerRefusesUnsuitableExchange(t *testing.T) {
	url := testenv.AMQP(t)
	topology := loose(t, url)
	rabbitmqtest.Exec(t, url, func(ch *amqp.Channel) {
		require.NoError(t, ch.ExchangeDeclare(topology.Exchange, amqp.ExchangeFanout, true, false, false, false, nil))
	})
	l, err := rabbitmq.NewListener(rabbitmq.ListenerConfig{Config: config(url, topology), Message: func(wire.Message) {}})
	require.NoError(t, err)
	require.ErrorIs(t, l.Run(patient(t)), fault.Conflict)
}

func TestListenerConfigIsValidated(t *testing.T) {
	_, err := rabbitmq.NewListener(rabbitmq.ListenerConfig{Config: rabbitmq.Config{URL: "http://x"}, Keys: []string{strings.Repeat("k", 256)}})
	require.ErrorIs(t, err, fault.Invalid)
	require.Len(t, fault.FieldsOf(err), 3)
}

func oneShot(t *testing.T, url string, topology rabbitmq.Topology) *rabbitmq.OneShotPublisher {
	t.Helper()
	n, err := rabbitmq.DialOneShot(patient(t), config(url, topology))
	require.NoError(t, err)
	t.Cleanup(n.Close)
	return n
}

func TestOneShotPublisherReportsUnroutableMessage(t *testing.T) {
	url := testenv.AMQP(t)
	topology := loose(t, url)
	m := wire.Message{RoutingKey: "order.created", MessageID: "1", Body: []byte("{}")}
	err := oneShot(t, url, topology).Publish(patient(t), m)
	require.ErrorIs(t, err, fault.NotFound)
	require.ErrorContains(t, err, "does not exist")

	listener := rabbitmqtest.Listen(t, url, topology.Exchange, "order.*")
	n := oneShot(t, url, topology)
	for range 3 {
		require.NoError(t, n.Publish(patient(t), m))
		require.Equal(t, "1", listener.Next(t).MessageID)
		other := m
		other.RoutingKey = "no.queue"
		err = n.Publish(patient(t), other)
		require.ErrorIs(t, err, fault.NotFound)
		require.ErrorContains(t, err, "no queue is bound to exchange")
	}
	m.CorrelationID = strings.Repeat("x", 256)
	require.ErrorIs(t, n.Publish(patient(t), m), fault.Invalid)
}

func TestOneShotPublisherReportsUnreachableBroker(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err := rabbitmq.DialOneShot(ctx, rabbitmq.Config{URL: "amqp://127.0.0.1:1/"})
	require.ErrorIs(t, err, fault.Unavailable)
	_, err = rabbitmq.DialOneShot(ctx, rabbitmq.Config{URL: "nonsense"})
	require.ErrorIs(t, err, fault.Invalid)
}

func TestOneShotPublisherEndsWhenBrokerHangs(t *testing.T) {
	url := testenv.AMQP(t)
	topology := loose(t, url)
	rabbitmqtest.Listen(t, url, topology.Exchange)
	proxy := rabbitmqtest.NewProxy(t, url)
	n := oneShot(t, proxy.URL, topology)
	proxy.Freeze()
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, n.Publish(ctx, wire.Message{RoutingKey: "a", Body: make([]byte, 1<<20)}), fault.Unavailable)
	proxy.Thaw()
}
