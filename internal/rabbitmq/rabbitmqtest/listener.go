package rabbitmqtest

import (
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/rabbitmq"
	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// Timeout is the timeout of the helpers.
const Timeout = 90 * time.Second

// Topology returns unique names. Everything declared with them is deleted when the test ends, if the broker can: RabbitMQ 3.10 refuses it
// with an internal error shortly after it was started.
func Topology(t testing.TB, url string, delays ...time.Duration) rabbitmq.Topology {
	t.Helper()
	topology := rabbitmq.Topology{Exchange: testenv.Unique("events"), Prefix: testenv.Unique("saga"), WaitDelays: delays}
	t.Cleanup(func() {
		ch := channel(t, url)
		for _, queue := range topology.Queues() {
			if _, err := ch.QueueDelete(queue, false, false, false); err != nil {
				t.Logf("queue %s and those after it stay: %v", queue, err)
				return
			}
		}
		for _, exchange := range []string{topology.Exchange, topology.DeadLetterExchange()} {
			if err := ch.ExchangeDelete(exchange, false, false); err != nil {
				t.Logf("exchange %s stays: %v", exchange, err)
				return
			}
		}
	})
	return topology
}

// Heartbeat is so long that a pause of the machine does not end a connection.
const Heartbeat = time.Minute

// channel opens a connection that is closed when the test ends.
func channel(t testing.TB, url string) *amqp.Channel {
	t.Helper()
	ch, done := dial(t, url)
	t.Cleanup(done)
	return ch
}

// dial opens a connection that is closed by done.
func dial(t testing.TB, url string) (ch *amqp.Channel, done func()) {
	t.Helper()
	conn, err := amqp.DialConfig(url, amqp.Config{Heartbeat: Heartbeat, Locale: "en_US"})
	require.NoError(t, err)
	done = func() { _ = conn.Close() }
	if ch, err = conn.Channel(); err != nil {
		done()
	}
	require.NoError(t, err)
	return ch, done
}

// Listener receives the messages of an exchange from the time of its creation.
type Listener struct{ messages <-chan amqp.Delivery }

// Listen binds an exclusive queue to the exchange, which it declares if needed. Without keys it receives all messages.
func Listen(t testing.TB, url, exchange string, keys ...string) *Listener {
	t.Helper()
	ch := channel(t, url)
	require.NoError(t, ch.ExchangeDeclare(exchange, amqp.ExchangeTopic, true, false, false, false, nil))
	queue, err := ch.QueueDeclare("", false, true, true, false, nil)
	require.NoError(t, err)
	if len(keys) == 0 {
		keys = []string{"#"}
	}
	for _, key := range keys {
		require.NoError(t, ch.QueueBind(queue.Name, key, exchange, false, nil))
	}
	messages, err := ch.Consume(queue.Name, "", true, true, false, false, nil)
	require.NoError(t, err)
	return &Listener{messages: messages}
}

// Queue consumes a queue, such as the dead letter queue.
func Queue(t testing.TB, url, queue string) *Listener {
	t.Helper()
	messages, err := channel(t, url).Consume(queue, "", true, false, false, false, nil)
	require.NoError(t, err)
	return &Listener{messages: messages}
}

// Next returns the next message. The test fails if none arrives in time.
func (l *Listener) Next(t testing.TB) wire.Message {
	t.Helper()
	select {
	case d, ok := <-l.messages:
		require.True(t, ok, "the listener's connection was lost")
		return rabbitmq.FromDelivery(&d)
	case <-time.After(Timeout):
		require.FailNow(t, "no message came")
		return wire.Message{}
	}
}

// Collect returns the next n messages.
func (l *Listener) Collect(t testing.TB, n int) []wire.Message {
	t.Helper()
	messages := make([]wire.Message, 0, n)
	for range n {
		messages = append(messages, l.Next(t))
	}
	return messages
}

// Until returns the messages up to and including the first one for which done returns true.
func (l *Listener) Until(t testing.TB, done func(wire.Message) bool) []wire.Message {
	t.Helper()
	for messages := []wire.Message{}; ; {
		messages = append(messages, l.Next(t))
		if done(messages[len(messages)-1]) {
			return messages
		}
	}
}

// Send publishes a message like any other client, and returns when it is confirmed.
func Send(t testing.TB, url, exchange, key string, m wire.Message) {
	t.Helper()
	ch, done := dial(t, url)
	defer done()
	require.NoError(t, ch.Confirm(false))
	p, err := rabbitmq.ToPublishing(m)
	require.NoError(t, err)
	confirmation, err := ch.PublishWithDeferredConfirm(exchange, key, false, false, p)
	require.NoError(t, err)
	require.True(t, confirmation.Wait())
}

// Depth returns the number of ready messages in a queue. Its connection is closed at once.
func Depth(t testing.TB, url, queue string) int {
	t.Helper()
	ch, done := dial(t, url)
	defer done()
	q, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
	require.NoError(t, err)
	return q.Messages
}

// Exec calls do with a channel.
func Exec(t testing.TB, url string, do func(*amqp.Channel)) { t.Helper(); do(channel(t, url)) }
