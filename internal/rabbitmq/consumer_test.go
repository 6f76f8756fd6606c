package rabbitmq_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/null"
	"github.com/ordersaga/ordersaga/internal/rabbitmq"
	"github.com/ordersaga/ordersaga/internal/rabbitmq/rabbitmqtest"
	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// quick are wait queues that a test can wait for.
var quick = []time.Duration{20 * time.Millisecond, 40 * time.Millisecond, 80 * time.Millisecond}

// unhurried is a delay with which the broker's delivery limit is far: a thousand times it is longer than any test waits.
const unhurried = 100 * time.Millisecond

// bench is a consumer with its publisher and its queues.
type bench struct {
	url      string
	topology rabbitmq.Topology
	consumer *rabbitmq.Consumer
}

func startConsumer(t *testing.T, url string, change func(*rabbitmq.ConsumerConfig)) *bench {
	t.Helper()
	b := &bench{url: url, topology: rabbitmqtest.Topology(t, url, quick...)}
	cfg := rabbitmq.ConsumerConfig{Config: config(url, b.topology), RequeueDelay: 10 * time.Millisecond,
		Publisher: startPublisher(t, rabbitmq.PublisherConfig{Config: config(url, b.topology)})}
	change(&cfg)
	b.consumer = start(t, cfg)
	return b
}

func start(t *testing.T, cfg rabbitmq.ConsumerConfig) *rabbitmq.Consumer {
	t.Helper()
	cfg.MoveTimeout = cmp.Or(cfg.MoveTimeout, rabbitmqtest.Timeout) // longer than the broker may take to confirm
	c, err := rabbitmq.NewConsumer(cfg)
	require.NoError(t, err)
	c.Start()
	t.Cleanup(func() { require.NoError(t, c.Stop(patient(t))) })
	require.NoError(t, c.WaitReady(patient(t)))
	return c
}

// hand gives a value to the test. A handler that waited for more than its context would keep the consumer from stopping.
func hand[T any](ctx context.Context, to chan<- T, value T) error {
	select {
	case to <- value:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stats waits until the counts are as wanted: a message is acknowledged after the handler has returned.
func (b *bench) stats(t *testing.T, want func(rabbitmq.ConsumerStats) bool) {
	t.Helper()
	require.Eventually(t, func() bool { return want(b.consumer.Stats()) }, rabbitmqtest.Timeout, 5*time.Millisecond, "%v",
		testenv.LazyString(func() any { return b.consumer.Stats() }))
}

func order(id string) wire.Message {
	return wire.Message{MessageID: id, Type: "", Headers: map[string]any{"traceparent": "00-1", "list": []any{"a"}},
		CorrelationID: "corr", AppID: "shop", ContentType: "application/json", Body: []byte(`{"data":{"orderId":"` + id + `"}}`)}
}

func TestInboxReceivesInboundTypesAndAliasesOnly(t *testing.T) {
	url := testenv.AMQP(t)
	got := make(chan rabbitmq.Delivery, 16)
	b := startConsumer(t, url, func(c *rabbitmq.ConsumerConfig) {
		c.Handler = func(ctx context.Context, d rabbitmq.Delivery) error { return hand(ctx, got, d) }
	})
	for _, key := range []string{"order.accepted", "user.profile_updated", "order.created", "PaymentFailed"} {
		rabbitmqtest.Send(t, url, b.topology.Exchange, key, order("o-1"))
	}
	keys := []string{receive(t, got).Message.RoutingKey, receive(t, got).Message.RoutingKey}
	require.ElementsMatch(t, []string{"order.created", "PaymentFailed"}, keys)
	b.stats(t, func(s rabbitmq.ConsumerStats) bool { return s.Acknowledged == 2 })
	require.Empty(t, got)
}

func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(rabbitmqtest.Timeout):
		require.FailNow(t, "nothing came")
		panic("unreachable")
	}
}

func TestDeadLetterHasMessageAndReason(t *testing.T) {
	url := testenv.AMQP(t)
	b := startConsumer(t, url, func(c *rabbitmq.ConsumerConfig) {
		c.Handler = func(context.Context, rabbitmq.Delivery) error {
			return fault.NewInvalid("order", []fault.Field{fault.Fieldf("/lines/0/quantity", "must be at least 1")})
		}
	})
	dead := rabbitmqtest.Queue(t, url, b.topology.Dead())
	sent := order("o-1")
	sent.Headers["CC"] = []any{b.topology.Inbox()} // would be routed again by every copy
	rabbitmqtest.Send(t, url, "", "nowhere-"+b.topology.Prefix, sent)
	m := dead.Next(t)
	require.Equal(t, sent.Body, m.Body)
	require.Equal(t, sent.MessageID, m.MessageID)
	require.Equal(t, sent.CorrelationID, m.CorrelationID)
	require.Equal(t, sent.AppID, m.AppID)
	require.Equal(t, sent.ContentType, m.ContentType)
	require.Equal(t, "00-1", m.Headers["traceparent"])
	require.Equal(t, []any{"a"}, m.Headers["list"])
	require.NotContains(t, m.Headers, "CC")
	d := rabbitmq.LetterOf(m)
	require.WithinDuration(t, time.Now(), d.FirstSeen.Time, time.Minute)
	require.WithinDuration(t, time.Now(), d.FailedAt.Time, time.Minute)
	require.NotEmpty(t, d.Death)
	d.FirstSeen, d.FailedAt, d.Death = null.Time{}, null.Time{}, ""
	require.Equal(t, "nowhere-"+b.topology.Prefix, d.Message.RoutingKey)
	d.Message = wire.Message{}
	require.Equal(t, deadletter.Letter{Reason: fault.Invalid, Detail: "order is invalid; /lines/0/quantity: must be at least 1",
		Queue: b.topology.Inbox(), Attempts: 1}, d)
}

// Messages of the same bytes that die at the same time are told apart.
func TestEqualMessagesHaveDifferentDeathIDs(t *testing.T) {
	url := testenv.AMQP(t)
	at := time.Now()
	b := startConsumer(t, url, func(c *rabbitmq.ConsumerConfig) {
		c.Now = func() time.Time { return at }
		c.Handler = func(context.Context, rabbitmq.Delivery) error { return fault.New(fault.Invalid, "no") }
	})
	dead := rabbitmqtest.Queue(t, url, b.topology.Dead())
	deaths := make(map[any]bool)
	for range 2 {
		rabbitmqtest.Send(t, url, "", b.topology.Inbox(), order("o-1"))
		deaths[dead.Next(t).Headers[rabbitmq.HeaderDeath]] = true
	}
	require.Len(t, deaths, 2)
	require.NotContains(t, deaths, nil)
}

func TestFailingMessageIsRetriedThenDeadLettered(t *testing.T) {
	url := testenv.AMQP(t)
	var attempts []int
	var mu sync.Mutex
	b := startConsumer(t, url, func(c *rabbitmq.ConsumerConfig) {
		c.MaxAttempts = 5
		c.Handler = func(_ context.Context, d rabbitmq.Delivery) error {
			mu.Lock()
			defer mu.Unlock()
			attempts = append(attempts, d.Attempts)
			// The wait queue changed the routing key on the wire; the type is still known from the original one.
			e, err := wire.Decode(d.Message)
			if err != nil || e.Type != "order.created" {
				return fault.New(fault.Malformed, "lost its type: %v", err)
			}
			if d.Attempts == 2 {
				panic("a bug")
			}
			return fault.New(fault.Unavailable, "down")
		}
	})
	dead := rabbitmqtest.Queue(t, url, b.topology.Dead())
	rabbitmqtest.Send(t, url, b.topology.Exchange, "OrderCreated", order("o-1"))
	d := rabbitmq.LetterOf(dead.Next(t))
	require.Equal(t, fault.Unavailable, d.Reason)
	require.Equal(t, 5, d.Attempts)
	require.Equal(t, "OrderCreated", d.Message.RoutingKey)
	require.Equal(t, b.topology.Exchange, d.Message.Exchange)
	require.Equal(t, []int{0, 1, 2, 3, 4}, attempts)
	b.stats(t, func(s rabbitmq.ConsumerStats) bool {
		return s.Redelivered == 4 && s.DeadLettered == 1 && s.Acknowledged == 0
	})
}

func TestParkedMessageWaitsForItsOrder(t *testing.T) {
	url := testenv.AMQP(t)
	const parkMax = time.Hour
	var later atomic.Int64 // how far the clock is ahead
	var waits atomic.Bool
	b := startConsumer(t, url, func(c *rabbitmq.ConsumerConfig) {
		c.ParkMax, c.MaxAttempts = parkMax, 1
		c.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
		c.Handler = func(_ context.Context, d rabbitmq.Delivery) error {
			if d.Message.MessageID == "comes" && d.Parked == 3 {
				return nil
			}
			if d.Message.MessageID == "never" && d.Parked > 0 {
				waits.Store(true)
			}
			return fault.New(fault.OrderUnknown, "which order?")
		}
	})
	dead := rabbitmqtest.Queue(t, url, b.topology.Dead())
	for _, id := range []string{"comes", "never"} {
		rabbitmqtest.Send(t, url, b.topology.Exchange, "payment.succeeded", order(id))
	}
	b.stats(t, func(s rabbitmq.ConsumerStats) bool { return s.Acknowledged == 1 && waits.Load() })
	require.Zero(t, b.consumer.Stats().DeadLettered)
	later.Store(int64(parkMax))
	m := dead.Next(t)
	require.Equal(t, "never", m.MessageID)
	d := rabbitmq.LetterOf(m)
	require.Equal(t, fault.OrderUnknown, d.Reason)
	require.Zero(t, d.Attempts)
	require.GreaterOrEqual(t, d.FailedAt.Sub(d.FirstSeen.Time), parkMax)
	b.stats(t, func(s rabbitmq.ConsumerStats) bool { return s.Acknowledged == 1 && s.DeadLettered == 1 })
}

func TestTooLargeBodyIsDeadLettered(t *testing.T) {
	url := testenv.AMQP(t)
	b := startConsumer(t, url, func(c *rabbitmq.ConsumerConfig) {
		c.Handler = func(context.Context, rabbitmq.Delivery) error { t.Error("handled"); return nil }
	})
	dead := rabbitmqtest.Queue(t, url, b.topology.Dead())
	m := order("o-1")
	m.Body = bytes.Repeat([]byte("x"), 2<<20)
	rabbitmqtest.Send(t, url, b.topology.Exchange, "order.created", m)
	got := dead.Next(t)
	require.Equal(t, m.Body, got.Body)
	require.Equal(t, fault.TooLarge, rabbitmq.LetterOf(got).Reason)
}

func TestReplayedDeadLetterStartsWithNoAttempts(t *testing.T) {
	url := testenv.AMQP(t)
	var fixed atomic.Bool
	got := make(chan rabbitmq.Delivery, 1)
	var publisher *rabbitmq.Publisher
	b := startConsumer(t, url, func(c *rabbitmq.ConsumerConfig) {
		publisher = c.Publisher
		c.Handler = func(ctx context.Context, d rabbitmq.Delivery) error {
			if fixed.Load() {
				return hand(ctx, got, d)
			}
			return fault.New(fault.Conflict, "no")
		}
	})
	rabbitmqtest.Send(t, url, b.topology.Exchange, "order.created", order("o-1"))
	m := rabbitmqtest.Queue(t, url, b.topology.Dead()).Next(t)
	fixed.Store(true)
	require.NoError(t, publisher.Send(patient(t), b.topology.Inbox(), rabbitmq.Replay(rabbitmq.LetterOf(m).Message, "letter-1", 1)))
	d := receive(t, got)
	require.Equal(t, "order.created", d.Message.RoutingKey)
	require.Zero(t, d.Attempts)
}

// The queue to put a message into is gone: the message stays in the inbox until there is one again.
func TestMessageThatCannotBeMovedStays(t *testing.T) {
	url := testenv.AMQP(t)
	var give atomic.Bool
	b := startConsumer(t, url, func(c *rabbitmq.ConsumerConfig) {
		c.RequeueDelay = unhurried
		c.Handler = func(context.Context, rabbitmq.Delivery) error {
			if give.Load() {
				return nil
			}
			return fault.New(fault.Invalid, "no")
		}
	})
	rabbitmqtest.Exec(t, url, func(ch *amqp.Channel) {
		_, err := ch.QueueDelete(b.topology.Dead(), false, false, false)
		require.NoError(t, err)
	})
	rabbitmqtest.Send(t, url, b.topology.Exchange, "order.created", order("o-1"))
	b.stats(t, func(s rabbitmq.ConsumerStats) bool { return s.Requeued >= 2 })
	give.Store(true)
	b.stats(t, func(s rabbitmq.ConsumerStats) bool { return s.Acknowledged == 1 })
}

func TestMessagesStayWhilePublisherIsDown(t *testing.T) {
	url := testenv.AMQP(t)
	never, err := rabbitmq.NewPublisher(rabbitmq.PublisherConfig{Config: config("amqp://127.0.0.1:1", rabbitmq.Topology{})})
	require.NoError(t, err)
	never.Start()
	t.Cleanup(func() { require.NoError(t, never.Stop(context.Background())) })
	b := startConsumer(t, url, func(c *rabbitmq.ConsumerConfig) {
		c.Publisher, c.MoveTimeout, c.RequeueDelay = never, 10*time.Millisecond, unhurried
		c.Handler = func(context.Context, rabbitmq.Delivery) error { return errors.New("down") }
	})
	rabbitmqtest.Send(t, url, b.topology.Exchange, "order.created", order("o-1"))
	b.stats(t, func(s rabbitmq.ConsumerStats) bool { return s.Requeued >= 2 })
	require.NoError(t, b.consumer.Stop(patient(t)))
	require.Equal(t, "o-1", rabbitmqtest.Queue(t, url, b.topology.Inbox()).Next(t).MessageID)
	require.Zero(t, rabbitmqtest.Depth(t, url, b.topology.Inbox()), "it is there once")
}

// The connection breaks while a handler works: what it says afterwards must not reach the next session, where
// the same delivery tag belongs to another message.
func TestStaleAcknowledgementIsDropped(t *testing.T) {
	url := testenv.AMQP(t)
	proxy := rabbitmqtest.NewProxy(t, url)
	entered, release := make(chan rabbitmq.Delivery, 8), make(chan struct{})
	letGo := sync.OnceFunc(func() { close(release) })
	b := startConsumer(t, url, func(c *rabbitmq.ConsumerConfig) {
		c.URL = proxy.URL
		c.Handler = func(ctx context.Context, d rabbitmq.Delivery) error {
			err := hand(ctx, entered, d)
			<-release
			return err
		}
	})
	t.Cleanup(letGo) // or a test that fails would not end
	rabbitmqtest.Send(t, url, b.topology.Exchange, "order.created", order("o-1"))
	first := receive(t, entered)
	proxy.Cut()
	again := receive(t, entered)
	require.Equal(t, first.Message.MessageID, again.Message.MessageID)
	require.Greater(t, again.Session, first.Session)
	require.True(t, again.Message.Redelivered)
	letGo()
	b.stats(t, func(s rabbitmq.ConsumerStats) bool { return s.Stale == 1 && s.Acknowledged == 1 })
	require.NoError(t, b.consumer.Ready())
}

// Connections break again and again: every message is handled at least once, and none is left. A message whose
// acknowledgement is lost comes again, so that the number of acknowledgements says nothing about a single one.
func TestLostConnectionsLoseNoMessage(t *testing.T) {
	url := testenv.AMQP(t)
	proxy := rabbitmqtest.NewProxy(t, url)
	var seen, done, sessions sync.Map
	var finished atomic.Int64
	b := startConsumer(t, url, func(c *rabbitmq.ConsumerConfig) {
		c.URL = proxy.URL
		c.Handler = func(_ context.Context, d rabbitmq.Delivery) error {
			sessions.Store(fmt.Sprint(d.Message.MessageID, "/", d.Attempts), d.Session)
			if _, again := seen.LoadOrStore(d.Message.MessageID, true); !again {
				return fault.New(fault.Unavailable, "once more")
			}
			if _, again := done.LoadOrStore(d.Message.MessageID, true); !again {
				finished.Add(1)
			}
			return nil
		}
	})
	const messages = 200
	for i := range messages {
		if i%40 == 20 {
			proxy.Cut()
		}
		rabbitmqtest.Send(t, url, b.topology.Exchange, "order.created", order(fmt.Sprintf("o-%d", i)))
	}
	require.Eventually(t, func() bool { return finished.Load() == messages }, rabbitmqtest.Timeout, 5*time.Millisecond, "%v",
		testenv.LazyString(func() any { return fmt.Sprintf("%d are done, %+v", finished.Load(), b.consumer.Stats()) }))
	b.stats(t, func(s rabbitmq.ConsumerStats) bool { return s.Acknowledged >= messages })
	queues := []string{b.topology.Inbox()}
	for _, delay := range quick {
		queues = append(queues, rabbitmq.WaitOf(b.topology.Inbox(), delay))
	}
	empty := func() bool {
		return !slices.ContainsFunc(queues, func(queue string) bool { return rabbitmqtest.Depth(t, url, queue) > 0 })
	}
	require.Eventually(t, empty, rabbitmqtest.Timeout, 20*time.Millisecond, "duplicates are worked off too")
	last := b.consumer.Status().Session
	require.NoError(t, b.consumer.Stop(patient(t)))
	s := b.consumer.Stats()
	require.Equal(t, s.Handled, s.Acknowledged+s.Redelivered+s.Requeued+s.Stale, "each delivery has one outcome: %+v", s)
	// A duplicate may still be on its way from one queue to the other, or unseen in the consumer's hands.
	depth := rabbitmqtest.Depth(t, url, b.topology.Inbox())
	for _, m := range rabbitmqtest.Queue(t, url, b.topology.Inbox()).Collect(t, depth) {
		attempts, _ := m.Headers[rabbitmq.HeaderAttempts].(int64)
		session, _ := sessions.Load(fmt.Sprint(m.MessageID, "/", attempts))
		require.NotEqual(t, last, session, "%s was acknowledged and is there again", m.MessageID)
	}
}

func TestDeadLetterConsumerMovesNothing(t *testing.T) {
	url := testenv.AMQP(t)
	b := startConsumer(t, url, func(c *rabbitmq.ConsumerConfig) {
		c.Handler = func(context.Context, rabbitmq.Delivery) error { return fault.New(fault.Conflict, "no") }
	})
	reasons := make(chan fault.Code, 8)
	var calls atomic.Int64
	deadLetters := start(t, rabbitmq.ConsumerConfig{Config: config(url, b.topology), Dead: true, RequeueDelay: time.Millisecond,
		Handler: func(_ context.Context, d rabbitmq.Delivery) error {
			if calls.Add(1) <= 3 {
				return fault.New(fault.Invalid, "the database says no")
			}
			reasons <- rabbitmq.LetterOf(d.Message).Reason
			return nil
		}})
	rabbitmqtest.Send(t, url, b.topology.Exchange, "order.created", order("o-1"))
	require.Equal(t, fault.Conflict, receive(t, reasons))
	// A message that is given back may be handled again before it is counted.
	(&bench{consumer: deadLetters}).stats(t, func(s rabbitmq.ConsumerStats) bool { return s.Acknowledged == 1 && s.Requeued >= 3 })
	require.EqualValues(t, 3, deadLetters.Stats().Requeued)
}

// What is never acknowledged is dead-lettered by the broker itself, and its story is still known.
func TestDeliveryLimitDeadLetters(t *testing.T) {
	url := testenv.AMQP(t)
	topology := rabbitmqtest.Topology(t, url, quick...)
	topology.DeliveryLimit = 2
	startPublisher(t, rabbitmq.PublisherConfig{Config: config(url, topology)})
	rabbitmqtest.Send(t, url, topology.Exchange, "OrderCreated", order("o-1"))
	rabbitmqtest.Exec(t, url, func(ch *amqp.Channel) {
		deliveries, err := ch.Consume(topology.Inbox(), "", false, false, false, false, nil)
		require.NoError(t, err)
		for range 3 {
			d := receive(t, deliveries)
			require.NoError(t, d.Reject(true))
		}
	})
	d := rabbitmq.LetterOf(rabbitmqtest.Queue(t, url, topology.Dead()).Next(t))
	require.Equal(t, deadletter.ReasonDeliveryLimit, d.Reason)
	require.Equal(t, "OrderCreated", d.Message.RoutingKey)
	require.Equal(t, topology.Exchange, d.Message.Exchange)
}

func TestConsumerSurvivesDeletedQueue(t *testing.T) {
	url := testenv.AMQP(t)
	got := make(chan rabbitmq.Delivery, 1)
	b := startConsumer(t, url, func(c *rabbitmq.ConsumerConfig) {
		c.Handler = func(_ context.Context, d rabbitmq.Delivery) error {
			select {
			case got <- d:
			default: // several were sent until the first of them came
			}
			return nil
		}
	})
	rabbitmqtest.Exec(t, url, func(ch *amqp.Channel) {
		_, err := ch.QueueDelete(b.topology.Inbox(), false, false, false)
		require.NoError(t, err)
	})
	require.Eventually(t, func() bool {
		rabbitmqtest.Send(t, url, b.topology.Exchange, "order.created", order("o-1"))
		return len(got) > 0
	}, rabbitmqtest.Timeout, 50*time.Millisecond, "it is declared again with the next session")
	require.Greater(t, receive(t, got).Session, uint64(1))
}

// The broker cancels the consumer while every handler is busy: the session ends all the same, and what comes next is handled.
func TestCancelledConsumerIsDetectedWhileHandlersAreBusy(t *testing.T) {
	url := testenv.AMQP(t)
	entered, release := make(chan string, 4), make(chan struct{})
	letGo := sync.OnceFunc(func() { close(release) })
	b := startConsumer(t, url, func(c *rabbitmq.ConsumerConfig) {
		c.Prefetch, c.Handlers = 4, 1
		c.Handler = func(ctx context.Context, d rabbitmq.Delivery) error {
			err := hand(ctx, entered, d.Message.MessageID)
			<-release
			return err
		}
	})
	t.Cleanup(letGo) // or a test that fails would not end
	for _, id := range []string{"o-1", "o-2"} {
		rabbitmqtest.Send(t, url, b.topology.Exchange, "order.created", order(id))
	}
	require.Equal(t, "o-1", receive(t, entered))
	require.Eventually(t, func() bool { return rabbitmqtest.Depth(t, url, b.topology.Inbox()) == 0 }, rabbitmqtest.Timeout, 10*time.Millisecond)
	before := b.consumer.Status().Session // not always the first: a connection may have been lost to a pause
	rabbitmqtest.Exec(t, url, func(ch *amqp.Channel) {
		_, err := ch.QueueDelete(b.topology.Inbox(), false, false, false)
		require.NoError(t, err)
	})
	require.Eventually(t, func() bool {
		s := b.consumer.Status()
		return s.State == rabbitmq.StateConnected && s.Session > before
	}, rabbitmqtest.Timeout, 5*time.Millisecond, "%v", testenv.LazyString(func() any { return b.consumer.Status() }))
	letGo()
	b.stats(t, func(s rabbitmq.ConsumerStats) bool { return s.Stale >= 1 })
	rabbitmqtest.Send(t, url, b.topology.Exchange, "order.created", order("o-3"))
	b.stats(t, func(s rabbitmq.ConsumerStats) bool { return s.Acknowledged >= 1 })
}
