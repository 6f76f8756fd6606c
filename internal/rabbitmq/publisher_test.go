package rabbitmq_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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
	"github.com/ordersaga/ordersaga/internal/wire"
)

// config is quick to reconnect, and no pause of the machine ends a connection: what was on its way would come again.
func config(url string, topology rabbitmq.Topology) rabbitmq.Config {
	return rabbitmq.Config{
		URL: url, Topology: topology, Heartbeat: rabbitmqtest.Heartbeat, ReconnectMin: 10 * time.Millisecond, ReconnectMax: 200 * time.Millisecond,
	}
}

// confirmTimeout is longer than any pause of the broker on a busy machine: what is not confirmed until then is
// published again, and many a test counts.
const confirmTimeout = 30 * time.Second

// patient is the context for what must succeed.
func patient(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*rabbitmqtest.Timeout)
	t.Cleanup(cancel)
	return ctx
}

func startPublisher(t testing.TB, cfg rabbitmq.PublisherConfig) *rabbitmq.Publisher {
	t.Helper()
	cfg.ConfirmTimeout = cmp.Or(cfg.ConfirmTimeout, confirmTimeout)
	cfg.PublishTimeout = cmp.Or(cfg.PublishTimeout, rabbitmqtest.Timeout)
	p, err := rabbitmq.NewPublisher(cfg)
	require.NoError(t, err)
	p.Start()
	t.Cleanup(func() { require.NoError(t, p.Stop(patient(t))) })
	require.NoError(t, p.WaitReady(patient(t)))
	// With heartbeats of a second the connection may be lost in between.
	require.Eventually(t, func() bool { return p.Ready() == nil }, rabbitmqtest.Timeout, 5*time.Millisecond, "%v", status(p))
	return p
}

// status is the state of a connection, for the output.
func status(of interface{ Status() rabbitmq.Status }) testenv.LazyString {
	return func() any { return of.Status() }
}

func TestPublisherContract(t *testing.T) {
	url := testenv.AMQP(t)
	rabbitmqtest.Run(t, func(t *testing.T) rabbitmqtest.Subject {
		topology := rabbitmqtest.Topology(t, url)
		listener := rabbitmqtest.Listen(t, url, topology.Exchange)
		return rabbitmqtest.Subject{Publisher: startPublisher(t, rabbitmq.PublisherConfig{Config: config(url, topology)}), Collect: listener.Collect}
	})
}

func TestPublishedMessageFormat(t *testing.T) {
	url := testenv.AMQP(t)
	topology := rabbitmqtest.Topology(t, url)
	listener := rabbitmqtest.Listen(t, url, topology.Exchange, "order.*")
	p := startPublisher(t, rabbitmq.PublisherConfig{Config: config(url, topology),
		Headers: func(context.Context) map[string]string {
			return map[string]string{"traceparent": "00-ab-cd-01"}
		}})
	_, err := p.PublishRecords(patient(t), rabbitmqtest.Records("order-1", 1))
	require.NoError(t, err)
	m := listener.Next(t)
	require.Equal(t, topology.Exchange, m.Exchange)
	require.Equal(t, "order.needs_attention", m.RoutingKey)
	require.Equal(t, wire.ContentType, m.ContentType)
	require.Equal(t, wire.AppID, m.AppID)
	trace, _ := m.Header("traceparent")
	require.Equal(t, "00-ab-cd-01", trace)
}

// No queue takes it, and it is published: the exchange has no other queue than the inbox.
func TestUnroutedEventIsConfirmed(t *testing.T) {
	url := testenv.AMQP(t)
	topology := rabbitmqtest.Topology(t, url)
	n, err := startPublisher(t, rabbitmq.PublisherConfig{Config: config(url, topology)}).
		PublishRecords(patient(t), rabbitmqtest.Records("order-1", 3))
	require.NoError(t, err)
	require.Equal(t, 3, n)
	require.Zero(t, rabbitmqtest.Depth(t, url, topology.Inbox()), "what goes out does not come in")
}

func TestSendToMissingQueue(t *testing.T) {
	url := testenv.AMQP(t)
	topology := rabbitmqtest.Topology(t, url)
	p := startPublisher(t, rabbitmq.PublisherConfig{Config: config(url, topology)})
	var wg sync.WaitGroup
	for range 20 { // the ones that come back do not disturb the others
		wg.Go(func() {
			if err := p.Send(patient(t), "nowhere", wire.Message{}); fault.CodeOf(err) != fault.NotFound {
				t.Errorf("nowhere: %v", err)
			}
		})
		wg.Go(func() {
			if err := p.Send(patient(t), topology.Dead(), wire.Message{}); err != nil {
				t.Errorf("dead: %v", err)
			}
		})
	}
	wg.Wait()
}

func TestPublishWithoutConnectionFailsAtOnce(t *testing.T) {
	p, err := rabbitmq.NewPublisher(rabbitmq.PublisherConfig{Config: config("amqp://127.0.0.1:1", rabbitmq.Topology{})})
	require.NoError(t, err)
	require.ErrorIs(t, p.Ready(), fault.Unavailable)
	p.Start()
	n, err := p.PublishRecords(context.Background(), rabbitmqtest.Records("order-1", 1))
	require.ErrorIs(t, err, fault.Unavailable)
	require.Zero(t, n)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, p.WaitReady(ctx), fault.Unavailable)
	require.NoError(t, p.Stop(context.Background()))
	require.NoError(t, p.Stop(context.Background()), "again")
	require.ErrorIs(t, p.WaitReady(context.Background()), fault.Unavailable, "it does not wait when stopped")
}

func TestStopWithoutStart(t *testing.T) {
	p, err := rabbitmq.NewPublisher(rabbitmq.PublisherConfig{Config: config("amqp://127.0.0.1:1", rabbitmq.Topology{})})
	require.NoError(t, err)
	require.NoError(t, p.Stop(context.Background()))
	p.Start()
	require.ErrorIs(t, p.Ready(), fault.Unavailable)
}

// The connection breaks again and again while streams are published: everything arrives, in order once
// duplicates are dropped.
func TestLostConnectionsLoseAndReorderNothing(t *testing.T) {
	url := testenv.AMQP(t)
	topology := rabbitmqtest.Topology(t, url)
	listener := rabbitmqtest.Listen(t, url, topology.Exchange)
	proxy := rabbitmqtest.NewProxy(t, url)
	p := startPublisher(t, rabbitmq.PublisherConfig{Config: config(proxy.URL, topology)})
	publishThrough(t, p, listener, func() {
		for range 5 {
			require.NoError(t, p.WaitReady(patient(t)))
			proxy.Cut()
		}
		proxy.Refuse()
		proxy.Serve()
	})
}

// publishThrough publishes streams of 10 events, as many at once, for as long as disturb runs and at least one each, as a
// background activity would: what is not confirmed goes again.
func publishThrough(t *testing.T, p *rabbitmq.Publisher, listener *rabbitmqtest.Listener, disturb func()) {
	const publishers, each = 20, 10
	ctx, cancel := context.WithCancel(t.Context()) // some ways to disturb take their time
	var streams atomic.Int64
	over := make(chan struct{})
	var wg sync.WaitGroup
	defer func() { cancel(); wg.Wait() }()
	for range publishers {
		wg.Go(func() {
			for {
				records := rabbitmqtest.Records(fmt.Sprintf("order-%d", streams.Add(1)), each)
				for len(records) > 0 {
					if err := errors.Join(p.WaitReady(ctx), ctx.Err()); err != nil {
						t.Errorf("%s: %d records are not published: %v", records[0].Stream, len(records), err)
						return
					}
					n, err := p.PublishRecords(ctx, records)
					if err != nil && fault.CodeOf(err) != fault.Unavailable {
						t.Errorf("%s: %v", records[0].Stream, err)
					}
					records = records[n:]
				}
				select {
				case <-over:
					return
				default:
				}
			}
		})
	}
	before := streams.Load()
	disturb()
	t.Logf("%d streams, %d of them while it was disturbed", streams.Load(), streams.Load()-before)
	close(over)
	defer time.AfterFunc(2*rabbitmqtest.Timeout, cancel).Stop()
	wg.Wait()
	rabbitmqtest.RequireOrdered(t, collectUntilComplete(t, listener, int(streams.Load()), each), each)
}

// collectUntilComplete collects until the last event of every stream was seen.
func collectUntilComplete(t *testing.T, listener *rabbitmqtest.Listener, streams int, each int64) []wire.Message {
	complete := make(map[string]bool)
	return listener.Until(t, func(m wire.Message) bool {
		e, err := wire.Decode(m)
		require.NoError(t, err)
		if sequence, _ := wire.Sequence(m); sequence == each {
			complete[e.Subject] = true
		}
		return len(complete) == streams
	})
}

// The broker hangs: nothing is answered and nothing is closed. Callers get away when their context ends, and
// Stop does too.
func TestHangingBrokerBlocksNoCaller(t *testing.T) {
	proxy := rabbitmqtest.NewProxy(t, testenv.AMQP(t))
	topology := rabbitmqtest.Topology(t, testenv.AMQP(t), quick...)
	p, err := rabbitmq.NewPublisher(rabbitmq.PublisherConfig{Config: config(proxy.URL, topology)})
	require.NoError(t, err)
	p.Start()
	require.NoError(t, p.WaitReady(patient(t)))
	c, err := rabbitmq.NewConsumer(rabbitmq.ConsumerConfig{Config: config(proxy.URL, topology), Publisher: p,
		Handler: func(context.Context, rabbitmq.Delivery) error { return nil }})
	require.NoError(t, err)
	c.Start()
	require.NoError(t, c.WaitReady(patient(t)))

	proxy.Freeze()
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	n, err := p.PublishRecords(ctx, rabbitmqtest.Records("order-1", 1))
	require.ErrorIs(t, err, fault.Unavailable)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Zero(t, n)
	began := time.Now()
	_ = c.Stop(ctx) // nothing was being handled: whether it calls that late does not matter
	require.NoError(t, p.Stop(ctx))
	require.Less(t, time.Since(began), 2*rabbitmqtest.Heartbeat, "before three missed heartbeats would be noticed")
}

func TestPublisherSurvivesDeletedExchange(t *testing.T) {
	url := testenv.AMQP(t)
	topology := rabbitmqtest.Topology(t, url)
	p := startPublisher(t, rabbitmq.PublisherConfig{Config: config(url, topology)})
	rabbitmqtest.Exec(t, url, func(ch *amqp.Channel) { require.NoError(t, ch.ExchangeDelete(topology.Exchange, false, false)) })
	n, err := p.PublishRecords(patient(t), rabbitmqtest.Records("order-1", 2))
	require.NoError(t, err, "it is declared again with the next session")
	require.Equal(t, 2, n)
}

func BenchmarkPublishRecords(b *testing.B) {
	url := testenv.AMQP(b)
	topology := rabbitmqtest.Topology(b, url)
	p := startPublisher(b, rabbitmq.PublisherConfig{Config: config(url, topology)})
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		records := rabbitmqtest.Records("order-1", 7)
		for pb.Next() {
			if _, err := p.PublishRecords(context.Background(), records); err != nil {
				b.Error(err)
			}
		}
	})
}
