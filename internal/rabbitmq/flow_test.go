package rabbitmq_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/rabbitmq"
	"github.com/ordersaga/ordersaga/internal/rabbitmq/rabbitmqtest"
	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// metric finds the metric of a name whose label values are these.
func metric(t testing.TB, registry *prometheus.Registry, name string, labels ...string) *dto.Metric {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			var values []string
			for _, l := range m.GetLabel() {
				values = append(values, l.GetValue())
			}
			if strings.Join(values, " ") == strings.Join(labels, " ") {
				return m
			}
		}
	}
	return &dto.Metric{}
}

func gauge(t testing.TB, registry *prometheus.Registry, name string, labels ...string) float64 {
	t.Helper()
	return metric(t, registry, name, labels...).GetGauge().GetValue()
}

func counter(t testing.TB, registry *prometheus.Registry, name string, labels ...string) float64 {
	t.Helper()
	return metric(t, registry, name, labels...).GetCounter().GetValue()
}

// last accepts the message with that sequence.
func last(sequence int64) func(wire.Message) bool {
	return func(m wire.Message) bool { s, _ := wire.Sequence(m); return s == sequence }
}

// Seen from the broker, whose confirms are held back for a while: each stream has one event there, not more, and all
// the streams have theirs.
func TestOneUnconfirmedEventPerStream(t *testing.T) {
	url := testenv.AMQP(t)
	topology := rabbitmqtest.Topology(t, url)
	listener := rabbitmqtest.Listen(t, url, topology.Exchange)
	proxy := rabbitmqtest.NewProxy(t, url)
	registry := prometheus.NewRegistry()
	cfg := config(proxy.URL, topology)
	cfg.Heartbeat, cfg.Metrics = time.Minute, rabbitmq.NewMetrics(registry)
	p := startPublisher(t, rabbitmq.PublisherConfig{Config: cfg, ConfirmTimeout: 2 * rabbitmqtest.Timeout, PublishTimeout: 2 * rabbitmqtest.Timeout})
	const streams, each = 50, 4
	t.Cleanup(proxy.Thaw) // or a test that fails would wait for what is published
	proxy.FreezeAnswers()
	var all sync.WaitGroup
	for i := range streams {
		all.Go(func() {
			if _, err := p.PublishRecords(patient(t), rabbitmqtest.Records(fmt.Sprintf("order-%d", i), each)); err != nil {
				t.Errorf("stream %d: %v", i, err)
			}
		})
	}
	seen := map[string]bool{}
	for _, m := range listener.Collect(t, streams) {
		sequence, _ := wire.Sequence(m)
		require.EqualValues(t, 1, sequence)
		e, err := wire.Decode(m)
		require.NoError(t, err)
		require.False(t, seen[e.Subject], "%s has two unconfirmed events", e.Subject)
		seen[e.Subject] = true
	}
	// What is sent through the proxy now comes after everything that was sent before.
	mark := rabbitmqtest.Records("mark", 1)
	all.Go(func() {
		if _, err := p.PublishRecords(patient(t), mark); err != nil {
			t.Errorf("mark: %v", err)
		}
	})
	require.Equal(t, mark[0].ID, listener.Next(t).MessageID, "nothing else came")
	require.InDelta(t, streams+1, gauge(t, registry, "ordersaga_broker_publishing"), 0)
	require.Zero(t, counter(t, registry, "ordersaga_broker_confirmed_total", "exchange"))
	proxy.Thaw()
	all.Wait()
	for _, m := range listener.Collect(t, streams*(each-1)) {
		sequence, _ := wire.Sequence(m)
		require.Greater(t, sequence, int64(1))
	}
	require.InDelta(t, streams*each+1, counter(t, registry, "ordersaga_broker_confirmed_total", "exchange"), 0)
	require.EqualValues(t, streams*each+1, metric(t, registry, "ordersaga_broker_confirm_seconds").GetHistogram().GetSampleCount())
}

// The broker takes events and confirms none. That is not ready, and it is over with the first confirm.
func TestPublisherWithoutConfirmsIsStalled(t *testing.T) {
	url := testenv.AMQP(t)
	topology := rabbitmqtest.Topology(t, url)
	proxy := rabbitmqtest.NewProxy(t, url)
	registry := prometheus.NewRegistry()
	cfg := config(proxy.URL, topology)
	cfg.Heartbeat, cfg.Metrics = time.Minute, rabbitmq.NewMetrics(registry)
	p := startPublisher(t, rabbitmq.PublisherConfig{Config: cfg, ConfirmTimeout: 50 * time.Millisecond, PublishTimeout: 2 * rabbitmqtest.Timeout})
	t.Cleanup(proxy.Thaw) // or a test that fails would wait for what is published
	proxy.FreezeAnswers()
	published := make(chan error, 1)
	go func() {
		_, err := p.PublishRecords(patient(t), rabbitmqtest.Records("order-1", 2))
		published <- err
	}()
	require.Eventually(t, func() bool { return p.Status().State == rabbitmq.StateStalled }, rabbitmqtest.Timeout, 5*time.Millisecond, "%v", status(p))
	require.ErrorIs(t, p.Ready(), fault.Unavailable)
	require.Contains(t, p.Status().Remedy, "have no leader")
	require.GreaterOrEqual(t, counter(t, registry, "ordersaga_broker_unconfirmed_total", "exchange"), 3.0)
	proxy.Thaw()
	require.NoError(t, receive(t, published), "it went on trying")
	require.NoError(t, p.Ready())
	require.Equal(t, rabbitmq.StateConnected, p.Status().State)
}

// None of these holds up the others, and each ends where it belongs.
func TestPoisonMessagesDoNotBlockOthers(t *testing.T) {
	url := testenv.AMQP(t)
	var good, calls atomic.Int64
	registry := prometheus.NewRegistry()
	b := startConsumer(t, url, func(c *rabbitmq.ConsumerConfig) {
		c.Metrics = rabbitmq.NewMetrics(registry)
		c.Prefetch, c.Handlers, c.MaxAttempts, c.HandlerTimeout = 4, 2, 3, 200*time.Millisecond
		c.Handler = func(ctx context.Context, d rabbitmq.Delivery) error {
			switch d.Message.MessageID {
			case "panics":
				panic("a bug")
			case "hangs":
				<-ctx.Done()
				return ctx.Err()
			case "absurd", "deep", "wide":
				calls.Add(1)
				return fault.New(fault.Unavailable, "down")
			}
			good.Add(1)
			return nil
		}
	})
	dead := rabbitmqtest.Queue(t, url, b.topology.Dead())
	// Our headers, set by another client, in a length that no routing key has, beside headers that fill a frame.
	absurd := amqp.Publishing{MessageId: "absurd", DeliveryMode: amqp.Persistent, Body: []byte("{}"), Headers: amqp.Table{
		rabbitmq.HeaderOriginRoutingKey: strings.Repeat("k", 30<<10), rabbitmq.HeaderOriginExchange: strings.Repeat("e", 10<<10),
		rabbitmq.HeaderAttempts: "many", rabbitmq.HeaderFirstSeen: "tomorrow", "big": strings.Repeat("x", 70<<10),
		"deep": nested(30), "list": []any{nil, []byte{0, 255}, 1.5, true},
	}}
	// What the client cannot read at all, and ends the connection for.
	deep, wide := absurd, absurd
	deep.MessageId, deep.Headers = "deep", amqp.Table{"deep": nested(40)}
	wide.MessageId, wide.Headers = "wide", amqp.Table{"wide": make([]any, 10_000)}
	large := order("large")
	large.Body = make([]byte, wire.MaxBody+1)
	const messages = 100
	for i := range messages {
		switch i {
		case 5, 25:
			rabbitmqtest.Send(t, url, b.topology.Exchange, "order.created", order("panics"))
			rabbitmqtest.Send(t, url, b.topology.Exchange, "order.created", order("hangs"))
		case 10, 30:
			rabbitmqtest.Exec(t, url, func(ch *amqp.Channel) {
				for _, m := range []amqp.Publishing{absurd, deep, wide} {
					require.NoError(t, ch.PublishWithContext(t.Context(), b.topology.Exchange, "order.created", false, false, m))
				}
			})
			rabbitmqtest.Send(t, url, b.topology.Exchange, "order.created", large)
		}
		rabbitmqtest.Send(t, url, b.topology.Exchange, "order.created", order(fmt.Sprintf("o-%d", i)))
	}
	reasons := map[string]fault.Code{}
	for range 12 {
		m := dead.Next(t)
		reasons[m.MessageID] = rabbitmq.LetterOf(m).Reason
	}
	require.Equal(t, map[string]fault.Code{
		"panics": fault.Internal, "hangs": fault.CodeOf(context.DeadlineExceeded), "absurd": fault.Unavailable, "deep": fault.Unavailable, "wide": fault.Unavailable, "large": fault.TooLarge,
	}, reasons)
	// What waits may be handled again, and end, before it is counted.
	b.stats(t, func(s rabbitmq.ConsumerStats) bool {
		return s.DeadLettered == 12 && s.Acknowledged == messages && s.Redelivered >= 20
	})
	require.EqualValues(t, messages, good.Load())
	require.EqualValues(t, 18, calls.Load(), "three of them, twice, three attempts")
	require.Zero(t, b.consumer.Stats().Requeued)
	require.EqualValues(t, 1, b.consumer.Status().Session, "no message costs the connection")
	require.InDelta(t, messages, counter(t, registry, "ordersaga_broker_deliveries_total", "acknowledged", "consumer"), 0)
	require.InDelta(t, 12, counter(t, registry, "ordersaga_broker_deliveries_total", "dead_lettered", "consumer"), 0)
	require.InDelta(t, 20, counter(t, registry, "ordersaga_broker_deliveries_total", "redelivered", "consumer"), 0)
	require.Eventually(t, func() bool { return gauge(t, registry, "ordersaga_broker_in_hand", "consumer") == 0 }, rabbitmqtest.Timeout, 20*time.Millisecond,
		"a delivery is in hand until its outcome is counted")
	require.Equal(t, b.consumer.Stats().Handled, metric(t, registry, "ordersaga_broker_handler_seconds", "consumer").GetHistogram().GetSampleCount())
}

// nested is a table in a table in a table …
func nested(depth int) amqp.Table {
	table := amqp.Table{}
	for range depth {
		table = amqp.Table{"t": table}
	}
	return table
}

// A broker that was away for long is there again and works: when it is lost once more, it is looked for at once.
func TestBackoffRestartsAfterSteadySession(t *testing.T) {
	url := testenv.AMQP(t)
	proxy := rabbitmqtest.NewProxy(t, url)
	proxy.Refuse()
	cfg := config(proxy.URL, rabbitmqtest.Topology(t, url))
	cfg.ReconnectMax = time.Minute
	var log delays
	cfg.Logger = slog.New(&log)
	p, err := rabbitmq.NewPublisher(rabbitmq.PublisherConfig{Config: cfg})
	require.NoError(t, err)
	p.Start()
	t.Cleanup(func() { require.NoError(t, p.Stop(patient(t))) })
	require.Eventually(t, func() bool { return p.Status().Session >= 10 }, rabbitmqtest.Timeout, time.Millisecond, "%v", status(p))
	require.Greater(t, log.after(9), time.Second)
	proxy.Serve()
	require.NoError(t, p.WaitReady(patient(t)))
	<-time.NewTimer(1100 * time.Millisecond).C
	session := p.Status().Session
	proxy.Cut()
	require.Eventually(t, func() bool { s := p.Status(); return s.Session > session && s.State == rabbitmq.StateConnected },
		rabbitmqtest.Timeout, time.Millisecond, "%v", status(p))
	require.LessOrEqual(t, log.after(session), cfg.ReconnectMin, "after as many failures as before it would be more than five seconds")
}

// delays is a log handler that notes how long is waited after each session.
type delays struct {
	slog.Handler
	waited sync.Map
}

// after returns how long was waited after a session.
func (d *delays) after(session uint64) time.Duration {
	waited, _ := d.waited.Load(session)
	delay, _ := waited.(time.Duration)
	return delay
}

// Enabled implements slog.Handler.
func (d *delays) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs implements slog.Handler.
func (d *delays) WithAttrs([]slog.Attr) slog.Handler { return d }

// Handle implements slog.Handler.
func (d *delays) Handle(_ context.Context, r slog.Record) error {
	said := map[string]slog.Value{}
	r.Attrs(func(a slog.Attr) bool { said[a.Key] = a.Value; return true })
	if delay, ok := said["retry_in"]; ok {
		d.waited.Store(said["session"].Uint64(), delay.Duration())
	}
	return nil
}
