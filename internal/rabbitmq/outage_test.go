package rabbitmq_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/rabbitmq"
	"github.com/ordersaga/ordersaga/internal/rabbitmq/rabbitmqtest"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

// Whatever ends or holds up the connections while streams are published and messages are handled: nothing is lost, in
// either direction, and what is published stays in order.
func TestOutagesLoseAndReorderNothing(t *testing.T) {
	node := rabbitmqtest.NewNode(t)
	for name, disturb := range map[string]func(t *testing.T, name string, proxy *rabbitmqtest.Proxy){
		"the broker closes the connections": func(t *testing.T, name string, _ *rabbitmqtest.Proxy) {
			for range 3 {
				node.CloseConnections(t, name)
			}
		},
		"memory alarm": func(t *testing.T, _ string, _ *rabbitmqtest.Proxy) {
			node.MemoryAlarm(t)()
		},
		"the network stalls until the heartbeats are missed": func(t *testing.T, _ string, proxy *rabbitmqtest.Proxy) {
			proxy.Freeze()
			<-time.NewTimer(4 * time.Second).C // longer than three heartbeats
			proxy.Thaw()
		},
	} {
		t.Run(name, func(t *testing.T) {
			url := testenv.AMQP(t)
			proxy := rabbitmqtest.NewProxy(t, url)
			own := testenv.Unique("client")
			change := func(c *rabbitmq.Config) { c.URL, c.Name, c.Heartbeat = proxy.URL, own, time.Second }
			const atLeast = 100
			var handled sync.Map
			b := startConsumer(t, url, func(c *rabbitmq.ConsumerConfig) {
				change(&c.Config)
				c.Handler = func(_ context.Context, d rabbitmq.Delivery) error {
					handled.Store(d.Message.MessageID, true)
					return nil
				}
			})
			cfg := config(url, b.topology)
			change(&cfg)
			p := startPublisher(t, rabbitmq.PublisherConfig{Config: cfg})
			listener := rabbitmqtest.Listen(t, url, b.topology.Exchange, "order.needs_attention")
			// Through a supervised publisher, which blocks and reconnects as another service's should.
			inbound := startPublisher(t, rabbitmq.PublisherConfig{Config: config(url, b.topology), PublishTimeout: rabbitmqtest.Timeout})
			over, sent := make(chan struct{}), make(chan int, 1)
			go func() {
				for i := 0; t.Context().Err() == nil; i++ {
					select {
					case <-over:
						if i >= atLeast {
							sent <- i
							return
						}
					default:
					}
					for inbound.Send(t.Context(), b.topology.Inbox(), order(fmt.Sprintf("o-%d", i))) != nil && t.Context().Err() == nil {
						_ = inbound.WaitReady(t.Context())
					}
				}
			}()
			publishThrough(t, p, listener, func() { disturb(t, own, proxy) })
			close(over)
			messages := await(t, sent)
			missing := func() any {
				var ids []string
				for i := range messages {
					if id := fmt.Sprintf("o-%d", i); !has(&handled, id) {
						ids = append(ids, id)
					}
				}
				return fmt.Sprintf("%d of %d are missing: %q; %+v", len(ids), messages, ids[:min(10, len(ids))], b.consumer.Status())
			}
			require.Eventually(t, func() bool {
				for i := range messages {
					if !has(&handled, fmt.Sprintf("o-%d", i)) {
						return false
					}
				}
				return true
			}, 2*rabbitmqtest.Timeout, 50*time.Millisecond, "every message is handled: %v", testenv.LazyString(missing))
			require.Eventually(t, func() bool { return rabbitmqtest.Depth(t, url, b.topology.Inbox()) == 0 }, rabbitmqtest.Timeout, 50*time.Millisecond)
		})
	}
}

func has(m *sync.Map, key string) bool {
	_, ok := m.Load(key)
	return ok
}

// The broker is short of memory before anybody connects. Consumers go on; a publisher says that it is blocked, and what it
// was given is published when the alarm is over.
func TestSessionDuringMemoryAlarm(t *testing.T) {
	url, node := testenv.AMQP(t), rabbitmqtest.NewNode(t)
	handled := make(chan string, 1)
	b := startConsumer(t, url, func(c *rabbitmq.ConsumerConfig) {
		c.Handler = func(ctx context.Context, d rabbitmq.Delivery) error { return hand(ctx, handled, d.Message.MessageID) }
	})
	listener := rabbitmqtest.Listen(t, url, b.topology.Exchange, "order.needs_attention")
	reset := node.MemoryAlarm(t)
	metrics := prometheus.NewRegistry()
	cfg := config(url, b.topology)
	cfg.Metrics = rabbitmq.NewMetrics(metrics)
	p := startPublisher(t, rabbitmq.PublisherConfig{Config: cfg, ConfirmTimeout: 500 * time.Millisecond, PublishTimeout: 3 * time.Minute})
	require.Equal(t, rabbitmq.StateConnected, p.Status().State, "the broker says nothing before something is published")
	published := make(chan error, 1)
	go func() {
		_, err := p.PublishRecords(t.Context(), rabbitmqtest.Records("order-1", 3))
		published <- err
	}()
	require.Eventually(t, func() bool { return p.Status().State == rabbitmq.StateBlocked }, rabbitmqtest.Timeout, 5*time.Millisecond)
	require.ErrorIs(t, p.Ready(), fault.Unavailable)
	require.InDelta(t, 1, gauge(t, metrics, "ordersaga_broker_blocked", "publisher"), 0)
	require.InDelta(t, 1, gauge(t, metrics, "ordersaga_broker_connected", "publisher"), 0)
	require.NoError(t, b.consumer.Ready(), "consumers are not blocked")
	require.Empty(t, published)
	reset()
	require.NoError(t, receive(t, published))
	rabbitmqtest.RequireOrdered(t, listener.Until(t, last(3)), 3)
	require.NoError(t, p.Ready())
	require.InDelta(t, 0, gauge(t, metrics, "ordersaga_broker_blocked", "publisher"), 0)
	rabbitmqtest.Send(t, url, b.topology.Exchange, "order.created", order("o-1"))
	require.Equal(t, "o-1", receive(t, handled))
}

// A handler takes longer than the broker waits for an acknowledgement: the broker closes the channel, or cancels the consumer
// from 4.3 on. The message comes again, its first outcome is dropped, and everything else goes on.
func TestConsumerTimeout(t *testing.T) {
	url, node := testenv.AMQP(t), rabbitmqtest.NewNode(t)
	reset := node.ConsumerTimeout(t, time.Second)
	release := make(chan struct{})
	letGo := sync.OnceFunc(func() { close(release) })
	var mu sync.Mutex
	calls := map[string][]uint64{}
	b := startConsumer(t, url, func(c *rabbitmq.ConsumerConfig) {
		c.Handler = func(_ context.Context, d rabbitmq.Delivery) error {
			mu.Lock()
			calls[d.Message.MessageID] = append(calls[d.Message.MessageID], d.Session)
			first := len(calls[d.Message.MessageID]) == 1
			mu.Unlock()
			if d.Message.MessageID == "slow" && first {
				<-release
				return fault.New(fault.Invalid, "too late")
			}
			return nil
		}
	})
	t.Cleanup(letGo) // or a test that fails would not end
	reset()          // for the next session: there the machine may stand still
	rabbitmqtest.Send(t, url, b.topology.Exchange, "order.created", order("slow"))
	const messages = 50
	for i := range messages {
		rabbitmqtest.Send(t, url, b.topology.Exchange, "order.created", order(fmt.Sprintf("o-%d", i)))
	}
	handled := func() any {
		mu.Lock()
		defer mu.Unlock()
		return fmt.Sprintf("%v; %+v; %+v", calls, b.consumer.Stats(), b.consumer.Status())
	}
	// What was acknowledged when the channel was closed comes again, too: the number of acknowledgements says little.
	require.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(calls) == messages+1 && len(calls["slow"]) > 1
	}, rabbitmqtest.Timeout, 5*time.Millisecond, "%v", testenv.LazyString(handled))
	b.stats(t, func(s rabbitmq.ConsumerStats) bool { return s.Acknowledged > messages })
	status := b.consumer.Status()
	require.Equal(t, rabbitmq.StateConnected, status.State)
	require.Greater(t, status.Session, uint64(1))
	require.Regexp(t, "PRECONDITION_FAILED|cancelled the consumer", status.LastError)
	letGo()
	b.stats(t, func(s rabbitmq.ConsumerStats) bool { return s.Stale >= 1 })
	rabbitmqtest.Send(t, url, b.topology.Exchange, "order.created", order("after"))
	require.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(calls["after"]) == 1
	}, rabbitmqtest.Timeout, 5*time.Millisecond, "%v", testenv.LazyString(handled))
	require.NoError(t, b.consumer.Stop(patient(t)))
	s := b.consumer.Stats()
	require.Equal(t, s.Handled, s.Acknowledged+s.Stale, "an outcome of a session that is over moves nothing: %+v", s)
	require.Zero(t, rabbitmqtest.Depth(t, url, b.topology.Inbox()), "nothing is left")
	require.Zero(t, rabbitmqtest.Depth(t, url, b.topology.Dead()))
	require.Len(t, calls["slow"], 2, "not lost, and not again and again")
	require.Greater(t, calls["slow"][1], calls["slow"][0])
}

func TestWrongCredentialsAreReportedWithoutPassword(t *testing.T) {
	url := testenv.AMQP(t)
	wrong := strings.Replace(url, "guest:guest@", "guest:hunter2@", 1)
	require.NotEqual(t, url, wrong)
	registry := prometheus.NewRegistry()
	cfg := config(wrong, rabbitmq.Topology{})
	cfg.Metrics = rabbitmq.NewMetrics(registry)
	p, err := rabbitmq.NewPublisher(rabbitmq.PublisherConfig{Config: cfg})
	require.NoError(t, err)
	require.Equal(t, rabbitmq.StateNotStarted, p.Status().State)
	began := time.Now()
	p.Start()
	var s rabbitmq.Status
	require.Eventually(t, func() bool {
		s = p.Status() // an attempt may also have run out of time
		return s.Session >= 3 && strings.Contains(s.LastError, "username or password not allowed")
	}, rabbitmqtest.Timeout, 5*time.Millisecond, "it goes on trying: %v", status(p))
	require.Equal(t, rabbitmq.StateDisconnected, s.State)
	require.Contains(t, s.Remedy, "AMQP_URL")
	require.WithinRange(t, s.Since, began, time.Now())
	require.WithinRange(t, s.LastErrorAt, began, time.Now())
	require.NotContains(t, fmt.Sprint(s, p.Ready()), "hunter2")
	require.InDelta(t, 0, gauge(t, registry, "ordersaga_broker_connected", "publisher"), 0)
	require.NoError(t, p.Stop(context.Background()))
	require.Equal(t, rabbitmq.StateStopped, p.Status().State)
}
