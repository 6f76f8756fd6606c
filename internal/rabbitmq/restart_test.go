package rabbitmq_test

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/rabbitmq"
	"github.com/ordersaga/ordersaga/internal/rabbitmq/rabbitmqtest"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

// TestRestarts starts the node anew, in this order, with a broker of its own: when other tests delete queues right after a
// start, RabbitMQ 3.10 may lose its dead-letter workers.
func TestRestarts(t *testing.T) {
	testenv.OwnBroker(t)
	t.Run("nothing is lost or reordered", restartLosesAndReordersNothing)
	t.Run("lost dead-letter workers are recognized", lostDeadLetterWorkersAreRecognized)
}

// The broker itself is stopped, killed and started while streams are published and messages wait: nothing is
// lost or out of order, in either direction.
func restartLosesAndReordersNothing(t *testing.T) {
	url, devstack := testenv.AMQP(t), testenv.Control(t)
	const each, inbound = 3, 50
	var handled sync.Map
	b := startConsumer(t, url, func(c *rabbitmq.ConsumerConfig) {
		c.MaxAttempts = 1000
		c.Handler = func(_ context.Context, d rabbitmq.Delivery) error {
			if d.Attempts < 3 {
				return fault.New(fault.Unavailable, "later")
			}
			handled.Store(d.Message.MessageID, true)
			return nil
		}
	})
	// Two starts, each of which devstack gives ten minutes.
	ctx, cancel := context.WithTimeout(context.Background(), 25*time.Minute)
	defer cancel()
	p := startPublisher(t, rabbitmq.PublisherConfig{Config: config(url, b.topology)})
	name := b.topology.Prefix + ".listens" // durable: it outlives the broker
	rabbitmqtest.Exec(t, url, func(ch *amqp.Channel) {
		_, err := ch.QueueDeclare(name, true, false, false, false, amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeQuorum})
		require.NoError(t, err)
		require.NoError(t, ch.QueueBind(name, "order.needs_attention", b.topology.Exchange, false, nil))
	})
	for i := range inbound {
		rabbitmqtest.Send(t, url, b.topology.Exchange, "order.created", order(fmt.Sprintf("o-%d", i)))
	}

	restarted, streams := make(chan struct{}), make(chan int, 1)
	var progress atomic.Int64
	go func() {
		for i := 0; ctx.Err() == nil; i++ {
			for records := rabbitmqtest.Records(fmt.Sprintf("order-%d", i), each); len(records) > 0 && ctx.Err() == nil; {
				if p.WaitReady(ctx) == nil {
					n, _ := p.PublishRecords(ctx, records)
					records = records[n:]
				}
			}
			progress.Add(1)
			select {
			case <-restarted:
				streams <- i + 1
				return
			default:
			}
		}
	}()
	for _, how := range []string{"stop", "kill"} {
		goal := progress.Load() + 20
		require.Eventually(t, func() bool { return progress.Load() >= goal }, 2*rabbitmqtest.Timeout, time.Millisecond, "%v", status(p))
		for _, command := range []string{how, "start"} {
			out, err := exec.CommandContext(ctx, devstack, command, "rabbitmq").CombinedOutput()
			require.NoError(t, err, "%s", out)
		}
		require.NoError(t, p.WaitReady(ctx))
	}
	close(restarted)
	published := await(t, streams)
	t.Logf("%d streams", published)
	rabbitmqtest.RequireOrdered(t, collectUntilComplete(t, rabbitmqtest.Queue(t, url, name), published, each), each)
	// Duplicates are acknowledged, too: their number says nothing about a single message.
	require.Eventually(t, func() bool {
		for i := range inbound {
			if !has(&handled, fmt.Sprintf("o-%d", i)) {
				return false
			}
		}
		return true
	}, 2*rabbitmqtest.Timeout, 20*time.Millisecond, "%v", testenv.LazyString(func() any { return b.consumer.Stats() }))
	b.stats(t, func(s rabbitmq.ConsumerStats) bool { return s.Acknowledged >= inbound })
	rabbitmqtest.Exec(t, url, func(ch *amqp.Channel) {
		if _, err := ch.QueueDelete(name, false, false, false); err != nil {
			t.Logf("queue %s stays: %v", name, err)
		}
	})
}

// RabbitMQ 3.10 has lost the supervisor of its dead-letter workers: it refuses queues that dead-letter at least once, for
// good. Readiness says what to do, and that helps.
func lostDeadLetterWorkersAreRecognized(t *testing.T) {
	url, node := testenv.AMQP(t), rabbitmqtest.NewNode(t)
	// Its queues stay: RabbitMQ 3.10 gets into this state by itself when queues are deleted right after a start.
	topology := rabbitmq.Topology{Exchange: testenv.Unique("events"), Prefix: testenv.Unique("saga"), WaitDelays: quick}
	restart := node.LoseDeadLetterWorkers(t)
	cfg := config(url, topology)
	cfg.ReconnectMin, cfg.ReconnectMax = 500*time.Millisecond, time.Second // such a node does not bear more
	p, err := rabbitmq.NewPublisher(rabbitmq.PublisherConfig{Config: cfg})
	require.NoError(t, err)
	p.Start()
	t.Cleanup(func() { require.NoError(t, p.Stop(patient(t))) })
	var recognized rabbitmq.Status
	require.Eventually(t, func() bool {
		recognized = p.Status()
		return strings.Contains(recognized.Remedy, "rabbit_fifo_dlx_sup")
	}, 2*rabbitmqtest.Timeout, 10*time.Millisecond, "%v", status(p))
	require.Contains(t, recognized.LastError, "INTERNAL_ERROR")
	restart()
	for tries := 1; !ready(p); tries++ {
		require.Less(t, tries, 4, "%v", status(p))
		require.Contains(t, p.Status().Remedy, "rabbit_fifo_dlx_sup")
		node.Stop(t) // it has lost them again while it started
		node.Start(t)
	}
	require.Empty(t, p.Status().Remedy)
	require.NotEmpty(t, p.Status().LastError, "it stays, with its time")
}

// ready waits until a publisher is connected, or long enough.
func ready(p *rabbitmq.Publisher) bool {
	ctx, cancel := context.WithTimeout(context.Background(), rabbitmqtest.Timeout)
	defer cancel()
	return p.WaitReady(ctx) == nil
}
