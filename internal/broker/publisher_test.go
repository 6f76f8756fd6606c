package broker_test

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

	"github.com/ordersaga/ordersaga/internal/broker"
	"github.com/ordersaga/ordersaga/internal/broker/brokertest"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// config is quick to reconnect, and no pause of the machine ends a connection: what was on its way would come again.
func config(url string, topology broker.Topology) broker.Config {
	return broker.Config{
		URL: url, Topology: topology, Heartbeat: brokertest.Heartbeat, ReconnectMin: 10 * time.Millisecond, ReconnectMax: 200 * time.Millisecond,
	}
}

// confirmTimeout is longer than the broker stands still on a machine that is busy: what is not confirmed until then is
// published again, and many a test counts.
const confirmTimeout = 30 * time.Second

// patient is the context for what must succeed.
func patient(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*brokertest.Patience)
	t.Cleanup(cancel)
	return ctx
}

func startPublisher(t testing.TB, cfg broker.PublisherConfig) *broker.Publisher {
	t.Helper()
	cfg.ConfirmTimeout = cmp.Or(cfg.ConfirmTimeout, confirmTimeout)
	cfg.Patience = cmp.Or(cfg.Patience, brokertest.Patience)
	p, err := broker.NewPublisher(cfg)
	require.NoError(t, err)
	p.Start()
	t.Cleanup(func() { require.NoError(t, p.Stop(patient(t))) })
	require.NoError(t, p.WaitReady(patient(t)))
	// With heartbeats of a second the connection may be lost in between.
	require.Eventually(t, func() bool { return p.Ready() == nil }, brokertest.Patience, 5*time.Millisecond, "%v", status(p))
	return p
}

// status is where a connection stands when that is printed.
func status(of interface{ Status() broker.Status }) testenv.Lately {
	return func() any { return of.Status() }
}

func TestPublisherContract(t *testing.T) {
	url := testenv.AMQP(t)
	brokertest.Run(t, func(t *testing.T) brokertest.Subject {
		topology := brokertest.Topology(t, url)
		ears := brokertest.Listen(t, url, topology.Exchange)
		return brokertest.Subject{Publisher: startPublisher(t, broker.PublisherConfig{Config: config(url, topology)}), Collect: ears.Collect}
	})
}

func TestWhatIsPublishedIsWhatTheDocsSay(t *testing.T) {
	url := testenv.AMQP(t)
	topology := brokertest.Topology(t, url)
	ears := brokertest.Listen(t, url, topology.Exchange, "order.*")
	p := startPublisher(t, broker.PublisherConfig{Config: config(url, topology),
		Headers: func(context.Context) map[string]string {
			return map[string]string{"traceparent": "00-ab-cd-01"}
		}})
	_, err := p.PublishRecords(patient(t), brokertest.Records("order-1", 1))
	require.NoError(t, err)
	m := ears.Next(t)
	require.Equal(t, topology.Exchange, m.Exchange)
	require.Equal(t, "order.needs_attention", m.RoutingKey)
	require.Equal(t, wire.ContentType, m.ContentType)
	require.Equal(t, wire.AppID, m.AppID)
	trace, _ := m.Header("traceparent")
	require.Equal(t, "00-ab-cd-01", trace)
}

// Nobody wants it, and it is published: the exchange has no other queue than the inbox.
func TestAnOutcomeThatNoQueueWantsIsPublished(t *testing.T) {
	url := testenv.AMQP(t)
	topology := brokertest.Topology(t, url)
	n, err := startPublisher(t, broker.PublisherConfig{Config: config(url, topology)}).
		PublishRecords(patient(t), brokertest.Records("order-1", 3))
	require.NoError(t, err)
	require.Equal(t, 3, n)
	require.Zero(t, brokertest.Depth(t, url, topology.Inbox()), "what goes out does not come in")
}

func TestSendToAQueueThatIsNotThere(t *testing.T) {
	url := testenv.AMQP(t)
	topology := brokertest.Topology(t, url)
	p := startPublisher(t, broker.PublisherConfig{Config: config(url, topology)})
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

func TestWithoutAConnectionPublishingFailsAtOnce(t *testing.T) {
	p, err := broker.NewPublisher(broker.PublisherConfig{Config: config("amqp://127.0.0.1:1", broker.Topology{})})
	require.NoError(t, err)
	require.ErrorIs(t, p.Ready(), fault.Unavailable)
	p.Start()
	n, err := p.PublishRecords(context.Background(), brokertest.Records("order-1", 1))
	require.ErrorIs(t, err, fault.Unavailable)
	require.Zero(t, n)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, p.WaitReady(ctx), fault.Unavailable)
	require.NoError(t, p.Stop(context.Background()))
	require.NoError(t, p.Stop(context.Background()), "again")
	require.ErrorIs(t, p.WaitReady(context.Background()), fault.Unavailable, "nobody waits for what is stopped")
}

func TestStopWithoutStart(t *testing.T) {
	p, err := broker.NewPublisher(broker.PublisherConfig{Config: config("amqp://127.0.0.1:1", broker.Topology{})})
	require.NoError(t, err)
	require.NoError(t, p.Stop(context.Background()))
	p.Start()
	require.ErrorIs(t, p.Ready(), fault.Unavailable)
}

// The connection breaks again and again while streams are published: everything arrives, in order once
// duplicates are dropped.
func TestLostConnectionsLoseAndReorderNothing(t *testing.T) {
	url := testenv.AMQP(t)
	topology := brokertest.Topology(t, url)
	ears := brokertest.Listen(t, url, topology.Exchange)
	proxy := brokertest.NewProxy(t, url)
	p := startPublisher(t, broker.PublisherConfig{Config: config(proxy.URL, topology)})
	publishThrough(t, p, ears, func() {
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
func publishThrough(t *testing.T, p *broker.Publisher, ears *brokertest.Listener, disturb func()) {
	const lanes, each = 20, 10
	ctx, cancel := context.WithCancel(t.Context()) // some ways to disturb take their time
	var streams atomic.Int64
	over := make(chan struct{})
	var wg sync.WaitGroup
	defer func() { cancel(); wg.Wait() }()
	for range lanes {
		wg.Go(func() {
			for {
				records := brokertest.Records(fmt.Sprintf("order-%d", streams.Add(1)), each)
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
	defer time.AfterFunc(2*brokertest.Patience, cancel).Stop()
	wg.Wait()
	brokertest.RequireOrdered(t, collectUntilComplete(t, ears, int(streams.Load()), each), each)
}

// collectUntilComplete collects until the last event of every stream was seen.
func collectUntilComplete(t *testing.T, ears *brokertest.Listener, streams int, each int64) []wire.Message {
	complete := make(map[string]bool)
	return ears.Until(t, func(m wire.Message) bool {
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
func TestABrokerThatHangsHoldsNobody(t *testing.T) {
	proxy := brokertest.NewProxy(t, testenv.AMQP(t))
	topology := brokertest.Topology(t, testenv.AMQP(t), quick...)
	p, err := broker.NewPublisher(broker.PublisherConfig{Config: config(proxy.URL, topology)})
	require.NoError(t, err)
	p.Start()
	require.NoError(t, p.WaitReady(patient(t)))
	c, err := broker.NewConsumer(broker.ConsumerConfig{Config: config(proxy.URL, topology), Publisher: p,
		Handler: func(context.Context, broker.Delivery) error { return nil }})
	require.NoError(t, err)
	c.Start()
	require.NoError(t, c.WaitReady(patient(t)))

	proxy.Freeze()
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	n, err := p.PublishRecords(ctx, brokertest.Records("order-1", 1))
	require.ErrorIs(t, err, fault.Unavailable)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Zero(t, n)
	began := time.Now()
	_ = c.Stop(ctx) // nothing was being handled: whether it calls that late does not matter
	require.NoError(t, p.Stop(ctx))
	require.Less(t, time.Since(began), 2*brokertest.Heartbeat, "before three missed heartbeats would be noticed")
}

func TestAPublisherSurvivesTheLossOfItsExchange(t *testing.T) {
	url := testenv.AMQP(t)
	topology := brokertest.Topology(t, url)
	p := startPublisher(t, broker.PublisherConfig{Config: config(url, topology)})
	brokertest.Exec(t, url, func(ch *amqp.Channel) { require.NoError(t, ch.ExchangeDelete(topology.Exchange, false, false)) })
	n, err := p.PublishRecords(patient(t), brokertest.Records("order-1", 2))
	require.NoError(t, err, "it is declared again with the next session")
	require.Equal(t, 2, n)
}

func BenchmarkPublishRecords(b *testing.B) {
	url := testenv.AMQP(b)
	topology := brokertest.Topology(b, url)
	p := startPublisher(b, broker.PublisherConfig{Config: config(url, topology)})
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		records := brokertest.Records("order-1", 7)
		for pb.Next() {
			if _, err := p.PublishRecords(context.Background(), records); err != nil {
				b.Error(err)
			}
		}
	})
}
