package rabbitmq_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/rabbitmq"
	"github.com/ordersaga/ordersaga/internal/rabbitmq/rabbitmqtest"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

// longest is a wait queue that no test waits for.
const longest = 10 * time.Hour

// dependency is what handlers depend on; it can be down.
type dependency struct{ down atomic.Bool }

func (d *dependency) probe(context.Context) error {
	if d.down.Load() {
		return errors.New("down")
	}
	return nil
}

func newDependency() *dependency {
	d := new(dependency)
	d.down.Store(true)
	return d
}

// recovering is the configuration of a consumer that sees its dependency recover.
func recovering(cfg rabbitmq.Config, p *rabbitmq.Publisher, d *dependency, handle rabbitmq.Handler) rabbitmq.ConsumerConfig {
	return rabbitmq.ConsumerConfig{Config: cfg, Publisher: p, RequeueDelay: unhurried, Probe: d.probe, ProbeEvery: 5 * time.Millisecond,
		Handler: func(ctx context.Context, delivery rabbitmq.Delivery) error {
			if d.down.Load() {
				return fault.New(fault.Unavailable, "down")
			}
			return handle(ctx, delivery)
		}}
}

// After some short outages a message waits for long. It is handled as soon as the dependency is back.
func TestMessageIsRetriedSoonAfterRecovery(t *testing.T) {
	url := testenv.AMQP(t)
	topology := rabbitmqtest.Topology(t, url, quick[0], quick[1], longest)
	p := startPublisher(t, rabbitmq.PublisherConfig{Config: config(url, topology)})
	d, handled := newDependency(), make(chan rabbitmq.Delivery, 1)
	c := start(t, recovering(config(url, topology), p, d, func(ctx context.Context, delivery rabbitmq.Delivery) error { return hand(ctx, handled, delivery) }))
	sent := order("o-1")
	rabbitmqtest.Send(t, url, topology.Exchange, "OrderCreated", sent)
	require.Eventually(t, func() bool { return rabbitmqtest.Depth(t, url, topology.Wait(longest)) == 1 }, rabbitmqtest.Timeout, 10*time.Millisecond,
		"%v", testenv.LazyString(func() any { return c.Stats() }))
	d.down.Store(false)
	got := receive(t, handled)
	require.Equal(t, sent.Body, got.Message.Body)
	require.Equal(t, sent.CorrelationID, got.Message.CorrelationID)
	require.Equal(t, "OrderCreated", got.Message.RoutingKey, "the type is still known")
	require.Equal(t, topology.Exchange, got.Message.Exchange)
	require.Equal(t, []any{"a"}, got.Message.Headers["list"])
	require.GreaterOrEqual(t, got.Attempts, 3)
	require.GreaterOrEqual(t, got.Early, 1)
	(&bench{consumer: c}).stats(t, func(s rabbitmq.ConsumerStats) bool { return s.Acknowledged >= 1 && s.Returned >= 1 })
	require.Eventually(t, func() bool { return rabbitmqtest.Depth(t, url, topology.Wait(longest)) == 0 }, rabbitmqtest.Timeout, 10*time.Millisecond)
}

// The process that saw the outage is gone: another one returns what waits when it starts.
func TestNewConsumerReturnsWaitingMessages(t *testing.T) {
	url := testenv.AMQP(t)
	topology := rabbitmqtest.Topology(t, url, quick[0], longest)
	p := startPublisher(t, rabbitmq.PublisherConfig{Config: config(url, topology)})
	require.NoError(t, p.Send(patient(t), topology.Wait(longest), order("o-1")))
	d, handled := new(dependency), make(chan string, 1)
	start(t, recovering(config(url, topology), p, d, func(ctx context.Context, delivery rabbitmq.Delivery) error {
		return hand(ctx, handled, delivery.Message.MessageID)
	}))
	require.Equal(t, "o-1", receive(t, handled))
}

// Several processes see the same recovery, outages follow each other, and connections break: every message is handled, and none
// becomes a dead letter although there were more failures than attempts.
func TestManyConsumersReturnWaitingMessagesWithoutLoss(t *testing.T) {
	url := testenv.AMQP(t)
	proxy := rabbitmqtest.NewProxy(t, url)
	topology := rabbitmqtest.Topology(t, url, quick[0], quick[1], longest)
	d := newDependency()
	var handled sync.Map
	var consumers []*rabbitmq.Consumer
	for range 3 {
		cfg := config(proxy.URL, topology)
		p := startPublisher(t, rabbitmq.PublisherConfig{Config: cfg})
		consumers = append(consumers, start(t, recovering(cfg, p, d, func(_ context.Context, delivery rabbitmq.Delivery) error {
			handled.Store(delivery.Message.MessageID, true)
			return nil
		})))
	}
	const messages, outages = 100, 3
	all := func(n int) func() bool {
		return func() bool {
			for i := range n {
				if !has(&handled, fmt.Sprintf("o-%d", i)) {
					return false
				}
			}
			return true
		}
	}
	stats := testenv.LazyString(func() any {
		return fmt.Sprintf("%+v %+v %+v", consumers[0].Stats(), consumers[1].Stats(), consumers[2].Stats())
	})
	for outage := range outages {
		d.down.Store(true)
		for i := range messages {
			rabbitmqtest.Send(t, url, topology.Exchange, "order.created", order(fmt.Sprintf("o-%d", outage*messages+i)))
		}
		require.Eventually(t, func() bool { return rabbitmqtest.Depth(t, url, topology.Wait(longest)) > 0 }, rabbitmqtest.Timeout, 10*time.Millisecond, "%v", stats)
		d.down.Store(false)
		proxy.Cut()
		require.Eventually(t, all((outage+1)*messages), 2*rabbitmqtest.Timeout, 10*time.Millisecond, "%v", stats)
	}
	for _, queue := range []string{topology.Inbox(), topology.Wait(quick[0]), topology.Wait(quick[1]), topology.Wait(longest)} {
		require.Eventually(t, func() bool { return rabbitmqtest.Depth(t, url, queue) == 0 }, rabbitmqtest.Timeout, 10*time.Millisecond, "%s: %v", queue, stats)
	}
	if rabbitmqtest.Depth(t, url, topology.Dead()) > 0 {
		letter := rabbitmqtest.Queue(t, url, topology.Dead()).Next(t)
		t.Fatalf("%s is a dead letter: %+v; %v", letter.MessageID, rabbitmq.LetterOf(letter), stats)
	}
}

// A message that always fails, among others that do not, is not returned without end: it becomes a dead letter.
func TestAlwaysFailingMessageIsDeadLettered(t *testing.T) {
	url := testenv.AMQP(t)
	topology := rabbitmqtest.Topology(t, url, quick...)
	p := startPublisher(t, rabbitmq.PublisherConfig{Config: config(url, topology)})
	cfg := recovering(config(url, topology), p, new(dependency), func(context.Context, rabbitmq.Delivery) error { return errors.New("a bug") })
	cfg.MaxAttempts = 5
	start(t, cfg)
	rabbitmqtest.Send(t, url, topology.Exchange, "order.created", order("o-1"))
	letter := rabbitmq.LetterOf(rabbitmqtest.Queue(t, url, topology.Dead()).Next(t))
	require.GreaterOrEqual(t, letter.Attempts, 5)
	require.LessOrEqual(t, letter.Attempts, 25)
}

// The session is lost when the copy of a failed message is in a wait queue and the message is not acknowledged yet: the copy does
// not wait for its delay, although the message itself succeeds.
func TestCopyOfLostSessionIsReturned(t *testing.T) {
	url := testenv.AMQP(t)
	proxy, answers := rabbitmqtest.NewProxy(t, url), rabbitmqtest.NewProxy(t, url)
	topology := rabbitmqtest.Topology(t, url, quick[0], longest)
	p := startPublisher(t, rabbitmq.PublisherConfig{Config: config(answers.URL, topology)})
	handled := make(chan rabbitmq.Delivery, 16)
	var cut atomic.Bool
	freeze := sync.OnceFunc(answers.FreezeAnswers)
	require.NoError(t, p.Send(patient(t), topology.Wait(longest), order("o-0")))
	c := start(t, recovering(config(proxy.URL, topology), p, new(dependency), func(ctx context.Context, delivery rabbitmq.Delivery) error {
		if delivery.Attempts == 1 && !cut.Load() {
			freeze() // the copy's confirm does not come
			return errors.New("not yet")
		}
		return hand(ctx, handled, delivery)
	}))
	b := &bench{consumer: c}
	// What a consumer returns when it starts must not be the copy.
	require.Equal(t, "o-0", receive(t, handled).Message.MessageID)
	b.stats(t, func(s rabbitmq.ConsumerStats) bool { return s.Returned >= 1 && s.Acknowledged >= 1 })
	sent := order("o-1")
	sent.Headers[rabbitmq.HeaderAttempts] = int64(1)
	rabbitmqtest.Send(t, url, topology.Exchange, "order.created", sent)
	require.Eventually(t, func() bool { return rabbitmqtest.Depth(t, url, topology.Wait(longest)) > 0 }, rabbitmqtest.Timeout, 5*time.Millisecond)
	cut.Store(true)
	proxy.Cut()
	require.Equal(t, 1, receive(t, handled).Attempts, "the message itself comes again")
	answers.Thaw()
	copied := receive(t, handled)
	for copied.Attempts < 2 { // it may have come again once more
		copied = receive(t, handled)
	}
	require.GreaterOrEqual(t, copied.Early, 1)
	b.stats(t, func(s rabbitmq.ConsumerStats) bool { return s.Stale >= 1 })
}
