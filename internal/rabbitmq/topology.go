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

// defaultDeliveryLimit is how often the broker delivers one message before it dead-letters it by itself. It must be far above our
// own count of attempts: when a process dies, every message that it had not acknowledged is counted, not only the one that killed
// it. It is explicit because the broker's own default is none up to 3.13 and 20 from 4.0.
const defaultDeliveryLimit = 1000

// deadDeliveryLimit replaces the broker's default for the dead letter queue: what it drops is gone. RabbitMQ before 4.0 has no value
// for "no limit".
const deadDeliveryLimit = 1 << 30

// Topology names the exchanges and queues and gives their arguments.
//
// All queues are quorum queues. Dead-lettering is at least once everywhere, which needs reject-publish as overflow behaviour and
// otherwise silently is not. Every declaration is idempotent, and RabbitMQ 3.10 to 4.3 accept it. What exists with other arguments
// is never changed, and used as far as that is safe: see Deviation.
type Topology struct {
	// Exchange is the durable topic exchange that events are published to, shared with other services. Default domain_events.
	Exchange string
	// Prefix begins the names of everything that belongs to this service alone. Default ordersaga.
	Prefix string
	// WaitDelays are the delays before a message is tried again, growing; the last one repeats. A delay is part
	// of its queue's name. Default 5 s, 30 s, 5 min.
	WaitDelays []time.Duration
	// DeliveryLimit is the inbox's x-delivery-limit, and that of every other queue that is consumed. Default 1000.
	DeliveryLimit int64
	// Subscriptions are queues besides the inbox, each with wait queues of its own.
	Subscriptions []Subscription
}

// Subscription is a queue for events which this service publishes. The inbox never gets those: no echo.
type Subscription struct {
	// Name is the end of the queue's name, after the prefix and a dot.
	Name string
	// Keys are the routing keys that it is bound to.
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
			fmt.Sprintf("/topology/waitDelays/%d", i), "must be whole milliseconds, and growing")
	}
	return p
}

// Inbox is the queue of the events that start and signal workflows.
func (t Topology) Inbox() string { return t.Queue(inboxName) }

// Dead is the queue of the dead letters.
func (t Topology) Dead() string { return t.Queue(deadName) }

// DeadLetterExchange is where the broker sends what it gives up on.
func (t Topology) DeadLetterExchange() string { return t.Queue("dlx") }

// Queue is the queue of a subscription.
func (t Topology) Queue(subscription string) string {
	return t.withDefaults().Prefix + "." + subscription
}

// WaitOf is the queue in which messages wait for delay before they return to a queue.
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

// consumed are the queues that are consumed: the inbox, and the subscriptions.
func (t Topology) consumed() []Subscription {
	return append([]Subscription{{Name: inboxName, Keys: t.Keys()}}, t.Subscriptions...)
}

// Keys lists the routing keys that the inbox is bound to: the inbound types and their aliases, nothing else.
func (t Topology) Keys() []string {
	var keys []string
	for _, typ := range event.Types(event.Inbound) {
		keys = append(append(keys, typ.Name), typ.Aliases...)
	}
	return keys
}

// Declare makes everything that is not there yet, and returns what exists otherwise than declared. Publishers and consumers do
// it in each session. Errors: Conflict for what exists and cannot be used at all; Unavailable.
func (t Topology) Declare(conn *amqp.Connection) ([]Deviation, error) {
	t = t.withDefaults()
	d := &declarer{conn: conn}
	err := t.declare(d)
	if err == nil {
		err = d.do(func(ch *amqp.Channel) error { return fault.Wrap(ch.Close(), fault.Unavailable, "close channel") })
	}
	return d.deviations, err
}

// declare declares the dead letters first: nothing may be able to fail before it has a place to go.
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

// exchange is a durable exchange to declare.
func exchange(p purpose, name, kind string) entity {
	return entity{purpose: p, name: name, args: amqp.Table{argType: kind, argDurable: true, argAutoDelete: false, argInternal: false}}
}

// quorumQueue is a durable queue to declare.
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

// waitQueueOf is the queue in which messages wait before they return to target: through the default exchange, by the queue's name,
// because the original routing key would bring the message to all the other queues again.
func waitQueueOf(target string, delay time.Duration) entity {
	e := quorumQueue(waitQueue, WaitOf(target, delay), amqp.Table{amqp.QueueMessageTTLArg: delay.Milliseconds(),
		argDeadLetterExchange: "", argDeadLetterKey: target, argDeadLetterStrategy: atLeastOnce, amqp.QueueOverflowArg: amqp.QueueOverflowRejectPublish})
	e.target = target
	return e
}
