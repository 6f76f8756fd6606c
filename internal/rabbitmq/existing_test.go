package rabbitmq_test

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/rabbitmq"
	"github.com/ordersaga/ordersaga/internal/rabbitmq/rabbitmqtest"
	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// deviation returns the one of a name; there must be one.
func deviation(t *testing.T, s rabbitmq.Status, name string) rabbitmq.Deviation {
	t.Helper()
	i := slices.IndexFunc(s.Deviations, func(d rabbitmq.Deviation) bool { return d.Name == name })
	require.GreaterOrEqual(t, i, 0, "%s is not among %v", name, s.Deviations)
	require.NotEmpty(t, s.Deviations[i].Remedy)
	return s.Deviations[i]
}

// The exchange exists with other arguments: it is used as it is, and what is different is reported.
func TestDifferentExchangeIsUsed(t *testing.T) {
	url := testenv.AMQP(t)
	alternate := testenv.Unique("unrouted")
	for name, test := range map[string]struct {
		kind              string
		durable, vanishes bool
		args              amqp.Table
		differences       []string
	}{
		"alternate exchange": {amqp.ExchangeTopic, true, false, amqp.Table{"alternate-exchange": alternate},
			[]string{"alternate-exchange: " + alternate + " (declared: not set)"}},
		"not durable, and an alternate exchange": {amqp.ExchangeTopic, false, false, amqp.Table{"alternate-exchange": alternate},
			[]string{"durable: false (declared: true)"}},
		"an alternate exchange of a long name": {amqp.ExchangeTopic, true, false, amqp.Table{"alternate-exchange": strings.Repeat("a", 200)},
			[]string{"alternate-exchange: another one (declared: not set)"}},
		"direct, goes with its last binding": {amqp.ExchangeDirect, true, true, nil, []string{"type: direct (declared: topic)"}},
		"arguments of others":                {amqp.ExchangeTopic, true, false, amqp.Table{"x-team": "shop"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			topology := rabbitmqtest.Topology(t, url, quick...)
			rabbitmqtest.Exec(t, url, func(ch *amqp.Channel) {
				require.NoError(t, ch.ExchangeDeclare(topology.Exchange, test.kind, test.durable, test.vanishes, false, false, test.args))
			})
			registry := prometheus.NewRegistry()
			cfg := config(url, topology)
			cfg.Metrics = rabbitmq.NewMetrics(registry)
			p := startPublisher(t, rabbitmq.PublisherConfig{Config: cfg})
			handled := make(chan string, 1)
			c := start(t, rabbitmq.ConsumerConfig{Config: cfg, Publisher: p,
				Handler: func(ctx context.Context, d rabbitmq.Delivery) error { return hand(ctx, handled, d.Message.MessageID) }})
			err := p.Publish(patient(t), wire.Message{MessageID: "o-1", RoutingKey: "order.created", Body: []byte("{}")})
			require.NoError(t, err)
			require.Equal(t, "o-1", receive(t, handled))
			if test.differences == nil {
				require.Empty(t, p.Status().Deviations)
				return
			}
			require.Equal(t, test.differences, deviation(t, p.Status(), topology.Exchange).Differences)
			require.Empty(t, deviation(t, c.Status(), topology.Exchange).Unsafe)
			require.InDelta(t, 1, gauge(t, registry, "ordersaga_broker_deviations", "publisher"), 0)
			require.Empty(t, p.Status().Remedy, "there is nothing to mend")
		})
	}
}

func TestUnsuitableExchangeIsRefused(t *testing.T) {
	url := testenv.AMQP(t)
	for name, declare := range map[string]func(ch *amqp.Channel, exchange string) error{
		"fanout": func(ch *amqp.Channel, e string) error {
			return ch.ExchangeDeclare(e, "fanout", true, false, false, false, nil)
		},
		"headers": func(ch *amqp.Channel, e string) error {
			return ch.ExchangeDeclare(e, "headers", true, false, false, false, nil)
		},
		"internal": func(ch *amqp.Channel, e string) error {
			return ch.ExchangeDeclare(e, "topic", true, false, true, false, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			topology := rabbitmqtest.Topology(t, url, quick...)
			rabbitmqtest.Exec(t, url, func(ch *amqp.Channel) { require.NoError(t, declare(ch, topology.Exchange)) })
			p, err := rabbitmq.NewPublisher(rabbitmq.PublisherConfig{Config: config(url, topology)})
			require.NoError(t, err)
			p.Start()
			defer func() { require.NoError(t, p.Stop(patient(t))) }()
			require.Eventually(t, func() bool { return strings.Contains(p.Status().Remedy, "EVENT_EXCHANGE") }, rabbitmqtest.Timeout, 10*time.Millisecond, "%v", status(p))
			require.NotEmpty(t, deviation(t, p.Status(), topology.Exchange).Unsafe)
			rabbitmqtest.Exec(t, url, func(ch *amqp.Channel) { require.NoError(t, ch.ExchangeDelete(topology.Exchange, false, false)) })
			require.NoError(t, p.WaitReady(patient(t)), "the remedy helps, without a restart")
			require.Empty(t, p.Status().Deviations)
		})
	}
}

// An inbox that exists otherwise is consumed: nothing else would empty it.
func TestDifferentInboxIsConsumed(t *testing.T) {
	url := testenv.AMQP(t)
	for name, test := range map[string]struct {
		durable bool
		args    amqp.Table
	}{
		"a client's own": {true, nil},
		"another delivery limit": {true, amqp.Table{"x-queue-type": "quorum", "x-delivery-limit": int64(7), "x-overflow": "reject-publish",
			"x-dead-letter-strategy": "at-least-once", "x-dead-letter-exchange": "DLX"}},
		"time to live and no dead letters": {true, amqp.Table{"x-queue-type": "quorum", "x-message-ttl": int64(86400000), "x-single-active-consumer": true}},
	} {
		t.Run(name, func(t *testing.T) {
			topology := rabbitmqtest.Topology(t, url, quick...)
			if test.args["x-dead-letter-exchange"] != nil {
				test.args["x-dead-letter-exchange"] = topology.DeadLetterExchange()
			}
			rabbitmqtest.Exec(t, url, func(ch *amqp.Channel) {
				_, err := ch.QueueDeclare(topology.Inbox(), test.durable, false, false, false, test.args)
				require.NoError(t, err)
			})
			p := startPublisher(t, rabbitmq.PublisherConfig{Config: config(url, topology)})
			handled := make(chan string, 1)
			c := start(t, rabbitmq.ConsumerConfig{Config: config(url, topology), Publisher: p, Handler: func(ctx context.Context, d rabbitmq.Delivery) error {
				if d.Attempts == 0 {
					return fault.New(fault.Unavailable, "later")
				}
				return hand(ctx, handled, d.Message.MessageID)
			}})
			rabbitmqtest.Send(t, url, topology.Exchange, "order.created", order("o-1"))
			require.Equal(t, "o-1", receive(t, handled))
			found := deviation(t, c.Status(), topology.Inbox())
			require.Empty(t, found.Unsafe)
			require.NotEmpty(t, found.Differences)
			require.Contains(t, found.Remedy, "rabbitmqctl delete_queue "+topology.Inbox())
		})
	}
}

// Nothing is put into queues that may lose it: another wait queue is used, and a dead letter stays where it is.
func TestUnsafeQueuesAreNotUsed(t *testing.T) {
	url := testenv.AMQP(t)
	topology := rabbitmqtest.Topology(t, url, quick...)
	lossy := func(ch *amqp.Channel, name string, args amqp.Table) {
		_, err := ch.QueueDeclare(name, true, false, false, false, args)
		require.NoError(t, err)
	}
	rabbitmqtest.Exec(t, url, func(ch *amqp.Channel) {
		lossy(ch, topology.Wait(quick[0]), amqp.Table{"x-queue-type": "quorum", "x-dead-letter-exchange": "",
			"x-dead-letter-routing-key": topology.Inbox(), "x-message-ttl": quick[0].Milliseconds()})
		lossy(ch, topology.Dead(), amqp.Table{"x-max-length": int64(10)})
	})
	p := startPublisher(t, rabbitmq.PublisherConfig{Config: config(url, topology)})
	handled := make(chan string, 1)
	c := start(t, rabbitmq.ConsumerConfig{Config: config(url, topology), Publisher: p, RequeueDelay: unhurried,
		Handler: func(ctx context.Context, d rabbitmq.Delivery) error {
			switch {
			case d.Message.MessageID == "bad":
				return fault.New(fault.Invalid, "no")
			case d.Attempts == 0:
				return fault.New(fault.Unavailable, "later")
			}
			return hand(ctx, handled, d.Message.MessageID)
		}})
	require.Contains(t, deviation(t, c.Status(), topology.Wait(quick[0])).Unsafe, "at least once")
	require.Contains(t, deviation(t, c.Status(), topology.Dead()).Unsafe, "drops messages")
	rabbitmqtest.Send(t, url, topology.Exchange, "order.created", order("o-1"))
	require.Equal(t, "o-1", receive(t, handled), "it waited in the next queue")
	require.ErrorIs(t, p.Send(patient(t), topology.Wait(quick[0]), order("o-2")), fault.Conflict)
	rabbitmqtest.Send(t, url, topology.Exchange, "order.created", order("bad"))
	(&bench{consumer: c}).stats(t, func(s rabbitmq.ConsumerStats) bool { return s.Requeued >= 2 })
	require.Zero(t, c.Stats().DeadLettered)
	require.Zero(t, rabbitmqtest.Depth(t, url, topology.Dead()))

	rabbitmqtest.Exec(t, url, func(ch *amqp.Channel) {
		_, err := ch.QueueDelete(topology.Dead(), false, false, false)
		require.NoError(t, err)
		_, err = ch.QueueDelete(topology.Wait(quick[0]), false, false, false)
		require.NoError(t, err)
		_, err = ch.QueueDelete(topology.Inbox(), false, false, false) // ends the session
		require.NoError(t, err)
	})
	require.Eventually(t, func() bool { return c.Ready() == nil && len(c.Status().Deviations) == 0 }, rabbitmqtest.Timeout, 10*time.Millisecond,
		"%v", testenv.LazyString(func() any { return c.Status() }))
}

// A user that may not configure anything works with what another user has declared.
func TestUserWithoutConfigurePermission(t *testing.T) {
	address, node := testenv.AMQP(t), rabbitmqtest.NewNode(t)
	topology := rabbitmqtest.Topology(t, address, quick...)
	startPublisher(t, rabbitmq.PublisherConfig{Config: config(address, topology)})
	name := testenv.Unique("user")
	// It may publish, put into queues and read, and neither declare nor bind.
	node.User(t, name, "secret", "^$", "^("+topology.Exchange+"|amq\\.default)$", ".*")
	u, err := url.Parse(address)
	require.NoError(t, err)
	u.User = url.UserPassword(name, "secret")
	p := startPublisher(t, rabbitmq.PublisherConfig{Config: config(u.String(), topology)})
	handled := make(chan string, 1)
	start(t, rabbitmq.ConsumerConfig{Config: config(u.String(), topology), Publisher: p,
		Handler: func(ctx context.Context, d rabbitmq.Delivery) error {
			if d.Attempts == 0 {
				return fault.New(fault.Unavailable, "later")
			}
			return hand(ctx, handled, d.Message.MessageID)
		}})
	err = p.Publish(patient(t), wire.Message{MessageID: "o-1", RoutingKey: "order.created", Body: []byte("{}")})
	require.NoError(t, err)
	require.Equal(t, "o-1", receive(t, handled))
	require.Contains(t, deviation(t, p.Status(), topology.Inbox()).Remedy, "may not configure")
	require.Contains(t, deviation(t, p.Status(), topology.Inbox()+" to "+topology.Exchange).Differences[0], "order.created")

	// What does not exist is still an error that says what is missing.
	nothing := rabbitmq.Topology{Exchange: topology.Exchange, Prefix: testenv.Unique("saga")}
	q, err := rabbitmq.NewPublisher(rabbitmq.PublisherConfig{Config: config(u.String(), nothing)})
	require.NoError(t, err)
	q.Start()
	defer func() { require.NoError(t, q.Stop(patient(t))) }()
	require.Eventually(t, func() bool {
		s := q.Status()
		return strings.Contains(s.LastError, "ACCESS_REFUSED") && strings.Contains(s.Remedy, "permissions")
	}, rabbitmqtest.Timeout, 10*time.Millisecond, "%v", status(q))
}
