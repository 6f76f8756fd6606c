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

// Patience is how long the helpers wait for something that must happen.
const Patience = 90 * time.Second

// Topology returns names that no other test uses. What is declared under them is deleted when the test ends, if the broker can:
// RabbitMQ 3.10 refuses that with an internal error when it was started a moment ago. The names are not used again.
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

// Heartbeat keeps a pause of the machine from ending a connection: what is in it would be lost, or come again.
const Heartbeat = time.Minute

// channel opens a connection for the time of the test.
func channel(t testing.TB, url string) *amqp.Channel {
	t.Helper()
	ch, done := dial(t, url)
	t.Cleanup(done)
	return ch
}

// dial opens a connection until done is called.
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

// Listener receives what is published to an exchange, from its creation on.
type Listener struct{ messages <-chan amqp.Delivery }

// Listen binds a queue of its own to the exchange, which is declared where it does not exist. Without keys it
// receives everything.
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

// Queue receives, and removes, what is in a queue, such as the dead letters.
func Queue(t testing.TB, url, queue string) *Listener {
	t.Helper()
	messages, err := channel(t, url).Consume(queue, "", true, false, false, false, nil)
	require.NoError(t, err)
	return &Listener{messages: messages}
}

// Next returns the next message. The test ends when none comes.
func (l *Listener) Next(t testing.TB) wire.Message {
	t.Helper()
	select {
	case d, ok := <-l.messages:
		require.True(t, ok, "the listener's connection was lost")
		return rabbitmq.FromDelivery(&d)
	case <-time.After(Patience):
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

// Until returns the messages up to the first that done accepts, that one included.
func (l *Listener) Until(t testing.TB, done func(wire.Message) bool) []wire.Message {
	t.Helper()
	for messages := []wire.Message{}; ; {
		messages = append(messages, l.Next(t))
		if done(messages[len(messages)-1]) {
			return messages
		}
	}
}

// Send publishes a message as any other client would, and returns when it is confirmed.
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

// Depth returns how many messages wait in a queue, without those that were delivered and not acknowledged. It may be called
// often: its connection does not stay.
func Depth(t testing.TB, url, queue string) int {
	t.Helper()
	ch, done := dial(t, url)
	defer done()
	q, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
	require.NoError(t, err)
	return q.Messages
}

// Exec gives a test a channel for what the other helpers cannot do.
func Exec(t testing.TB, url string, do func(*amqp.Channel)) { t.Helper(); do(channel(t, url)) }
