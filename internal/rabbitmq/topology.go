package rabbitmq

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// defaultDeliveryLimit is the number of deliveries after which the broker dead-letters a message. It must be far above MaxAttempts: when a
// process dies, all its unacknowledged messages count a delivery, not only the one that caused it. It is explicit because the broker's
// default is none up to 3.13, and 20 since 4.0.
const defaultDeliveryLimit = 1000

// deadDeliveryLimit is the delivery limit of the dead letter queue, whose messages would be lost at the limit. RabbitMQ before 4.0 has no
// value for "no limit".
const deadDeliveryLimit = 1 << 30

// Topology has the names and arguments of exchanges and queues.
//
// All queues are quorum queues. They dead-letter at least once, which requires the overflow behaviour reject-publish; without it RabbitMQ
// silently falls back to at most once. All declarations are idempotent and accepted by RabbitMQ 3.10 to 4.3. Existing entities with other
// arguments are never changed, and used if that is safe: see Deviation.
type Topology struct {
	// Exchange is the durable topic exchange that events are published to, shared with other services. Default domain_events.
	Exchange string
	// Prefix is the prefix of the names of all other exchanges and queues. Default ordersaga.
	Prefix string
	// WaitDelays are the increasing delays before a message is retried; the last one repeats. Each delay has a queue, named after it.
	// Default 5 s, 30 s, 5 min.
	WaitDelays []time.Duration
	// DeliveryLimit is the x-delivery-limit of all consumed queues. Default 1000.
	DeliveryLimit int64
	// Subscriptions are additional queues, each with its own wait queues.
	Subscriptions []Subscription
}

// Subscription is a queue for events of this service. The inbox is not bound to them.
type Subscription struct {
	// Name is the name of the queue without the prefix and dot.
	Name string
	// Keys are its binding keys.
	Keys []string
}

const (
	inboxName = "inbox"
	deadName  = "dead"
)

func (t Topology) withDefaults() Topology {
	t.Exchange = cmp.Or(t.Exchange, wire.Exchange)
	t.Prefix = cmp.Or(t.Prefix, "ordersaga")
	t.DeliveryLimit = cmp.Or(t.DeliveryLimit, defaultDeliveryLimit)
	if len(t.WaitDelays) == 0 {
		t.WaitDelays = []time.Duration{5 * time.Second, 30 * time.Second, 5 * time.Minute}
	}
	return t
}

func (t Topology) problems() (p problems) {
	for at, name := range map[string]string{"/topology/exchange": t.Exchange, "/topology/prefix": t.Prefix} {
		p.require(len(name) <= 128 && !strings.HasPrefix(name, "amq."), at, "must have at most 128 bytes and not begin with amq.")
	}
	p.require(t.DeliveryLimit >= 1, "/topology/deliveryLimit", "must be at least 1")
	for i, s := range t.Subscriptions {
		p.require(s.Name != "" && s.Name != inboxName && s.Name != deadName && len(s.Name) <= 64 && len(s.Keys) > 0,
			fmt.Sprintf("/topology/subscriptions/%d", i), "must have keys, and a name of its own of at most 64 bytes")
	}
	for i, delay := range t.WaitDelays {
		p.require(delay >= time.Millisecond && delay%time.Millisecond == 0 && (i == 0 || delay > t.WaitDelays[i-1]),
			fmt.Sprintf("/topology/waitDelays/%d", i), "must be whole milliseconds and larger than the previous one")
	}
	return p
}

// Inbox is the queue of inbound events.
func (t Topology) Inbox() string { return t.Queue(inboxName) }

// Dead is the dead letter queue.
func (t Topology) Dead() string { return t.Queue(deadName) }

// DeadLetterExchange is the exchange for messages that the broker dead-letters.
func (t Topology) DeadLetterExchange() string { return t.Queue("dlx") }

// Queue is the queue of a subscription.
func (t Topology) Queue(subscription string) string {
	return t.withDefaults().Prefix + "." + subscription
}

// WaitOf is the queue in which messages wait before they return to queue.
func WaitOf(queue string, delay time.Duration) string {
	name := delay.String() // 5m0s, 1h0m0s
	if strings.HasSuffix(name, "m0s") {
		name = strings.TrimSuffix(name, "0s")
	}
	if strings.HasSuffix(name, "h0m") {
		name = strings.TrimSuffix(name, "0m")
	}
	return queue + ".wait." + name
}

// Queues lists every queue.
func (t Topology) Queues() []string {
	t = t.withDefaults()
	queues := []string{t.Inbox(), t.Dead()}
	for _, s := range t.Subscriptions {
		queues = append(queues, t.Queue(s.Name))
	}
	for _, s := range t.consumed() {
		for _, delay := range t.WaitDelays {
			queues = append(queues, WaitOf(t.Queue(s.Name), delay))
		}
	}
	return queues
}

// consumed returns the consumed queues: the inbox and the subscriptions.
func (t Topology) consumed() []Subscription {
	return append([]Subscription{{Name: inboxName, Keys: t.Keys()}}, t.Subscriptions...)
}

// Keys returns the binding keys of the inbox: the inbound types and their aliases.
func (t Topology) Keys() []string {
	var keys []string
	for _, typ := range event.Types(event.Inbound) {
		keys = append(append(keys, typ.Name), typ.Aliases...)
	}
	return keys
}

// Declare creates missing entities and returns the deviations of existing ones. Publishers and consumers call it in each session. Errors:
// Conflict for entities that exist and cannot be used; Unavailable.
func (t Topology) Declare(conn *amqp.Connection) ([]Deviation, error) {
	t = t.withDefaults()
	d := &declarer{conn: conn}
	err := t.declare(d)
	if err == nil {
		err = d.do(func(ch *amqp.Channel) error { return fault.Wrap(ch.Close(), fault.Unavailable, "close channel") })
	}
	return d.deviations, err
}

// declare declares the dead letter queue first, so that no message can fail before that queue exists.
func (t Topology) declare(d *declarer) error {
	dlx := t.DeadLetterExchange()
	if err := d.ensure(t.eventExchange(), exchange(deadLetterExchange, dlx, amqp.ExchangeFanout), t.deadLetterQueue()); err != nil {
		return err
	}
	if err := d.bind(t.Dead(), dlx, ""); err != nil {
		return err
	}
	for _, s := range t.consumed() {
		name := t.Queue(s.Name)
		entities := []entity{t.consumedQueue(name)}
		for _, delay := range t.WaitDelays {
			entities = append(entities, waitQueueOf(name, delay))
		}
		if err := d.ensure(entities...); err != nil {
			return err
		}
		if err := d.bind(name, t.Exchange, s.Keys...); err != nil {
			return err
		}
	}
	return nil
}

func (t Topology) eventExchange() entity {
	return exchange(eventExchange, t.Exchange, amqp.ExchangeTopic)
}

// exchange returns a durable exchange.
func exchange(p purpose, name, kind string) entity {
	return entity{purpose: p, name: name, args: amqp.Table{argType: kind, argDurable: true, argAutoDelete: false, argInternal: false}}
}

// quorumQueue returns a durable quorum queue.
func quorumQueue(p purpose, name string, args amqp.Table) entity {
	args[amqp.QueueTypeArg], args[argDurable], args[argAutoDelete] = amqp.QueueTypeQuorum, true, false
	return entity{purpose: p, name: name, args: args}
}

func (t Topology) deadLetterQueue() entity {
	return quorumQueue(deadLetterQueue, t.Dead(), amqp.Table{argDeliveryLimit: int64(deadDeliveryLimit)})
}

func (t Topology) consumedQueue(name string) entity {
	return quorumQueue(consumedQueue, name, amqp.Table{argDeliveryLimit: t.DeliveryLimit,
		argDeadLetterExchange: t.DeadLetterExchange(), argDeadLetterStrategy: atLeastOnce, amqp.QueueOverflowArg: amqp.QueueOverflowRejectPublish})
}

// waitQueueOf returns the queue in which messages wait before they return to target. They return through the default exchange by the name
// of the queue: their original routing key would route them to all bound queues.
func waitQueueOf(target string, delay time.Duration) entity {
	e := quorumQueue(waitQueue, WaitOf(target, delay), amqp.Table{amqp.QueueMessageTTLArg: delay.Milliseconds(),
		argDeadLetterExchange: "", argDeadLetterKey: target, argDeadLetterStrategy: atLeastOnce, amqp.QueueOverflowArg: amqp.QueueOverflowRejectPublish})
	e.target = target
	return e
}
