package rabbitmq

import (
	"fmt"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// defaultDeliveryLimit is how often the broker delivers one message before it goes to the dead letters by
// itself. It is a net below our own count of attempts: every message that was unacknowledged when a process
// died is counted, not only the one that killed it, so that a tight limit buries the innocent. Explicit, because
// the broker's own default is none up to 3.13 and 20 from 4.0.
const defaultDeliveryLimit = 1000

// deadDeliveryLimit keeps the broker's default away from the dead letter queue: what it drops is gone. "No
// limit" cannot be said to RabbitMQ before 4.0.
const deadDeliveryLimit = 1 << 30

// Topology names the exchanges and queues and gives their arguments.
//
// All queues are quorum queues. Dead-lettering is at least once everywhere, which needs reject-publish as
// overflow behaviour and otherwise silently is not. Every declaration is idempotent; RabbitMQ 3.10 to 4.x
// understand them all. What exists with other arguments is never changed, and used as far as that is safe: see Deviation.
type Topology struct {
	// Exchange is the durable topic exchange that events are published to, everybody's. Default domain_events.
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

// Subscription is a queue that hears of events which this service publishes. The inbox never does: no echo.
type Subscription struct {
	// Name is the end of the queue's name, behind the prefix and a dot.
	Name string
	// Keys are the routing keys that it is bound to.
	Keys []string
}

func (t Topology) withDefaults() Topology {
	setDefault(&t.Exchange, wire.Exchange)
	setDefault(&t.Prefix, "ordersaga")
	setDefault(&t.DeliveryLimit, defaultDeliveryLimit)
	if len(t.WaitDelays) == 0 {
		t.WaitDelays = []time.Duration{5 * time.Second, 30 * time.Second, 5 * time.Minute}
	}
	return t
}

func (t Topology) problems() []fault.Field {
	var fields []fault.Field
	for at, name := range map[string]string{"/topology/exchange": t.Exchange, "/topology/prefix": t.Prefix} {
		if len(name) > 128 || strings.HasPrefix(name, "amq.") {
			fields = append(fields, fault.Fieldf(at, "must have at most 128 bytes and not begin with amq."))
		}
	}
	if t.DeliveryLimit < 1 {
		fields = append(fields, fault.Fieldf("/topology/deliveryLimit", "must be at least 1"))
	}
	for i, s := range t.Subscriptions {
		if s.Name == "" || s.Name == "inbox" || s.Name == "dead" || len(s.Name) > 64 || len(s.Keys) == 0 {
			fields = append(fields, fault.Fieldf(fmt.Sprintf("/topology/subscriptions/%d", i), "must have keys, and a name of its own of at most 64 bytes"))
		}
	}
	for i, delay := range t.WaitDelays {
		if delay < time.Millisecond || delay%time.Millisecond != 0 || i > 0 && delay <= t.WaitDelays[i-1] {
			fields = append(fields, fault.Fieldf(fmt.Sprintf("/topology/waitDelays/%d", i), "must be whole milliseconds, and growing"))
		}
	}
	return fields
}

// Inbox is the queue of the events that start and signal workflows.
func (t Topology) Inbox() string { return t.withDefaults().Prefix + ".inbox" }

// Dead is the queue of the dead letters.
func (t Topology) Dead() string { return t.withDefaults().Prefix + ".dead" }

// DeadLetterExchange is where the broker sends what it gives up on.
func (t Topology) DeadLetterExchange() string { return t.withDefaults().Prefix + ".dlx" }

// Queue is the queue of a subscription.
func (t Topology) Queue(subscription string) string {
	return t.withDefaults().Prefix + "." + subscription
}

// Wait is the queue in which messages wait for delay before they return to the inbox.
func (t Topology) Wait(delay time.Duration) string { return WaitOf(t.Inbox(), delay) }

// WaitOf is the queue in which messages wait for delay before they return to a queue.
func WaitOf(queue string, delay time.Duration) string {
	name := delay.String() // 5m0s
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
	return append([]Subscription{{Name: "inbox", Keys: t.Keys()}}, t.Subscriptions...)
}

// Keys lists the routing keys that the inbox is bound to: the inbound types and their aliases, nothing else.
func (t Topology) Keys() []string {
	var keys []string
	for _, typ := range event.Types(event.Inbound) {
		keys = append(append(keys, typ.Name), typ.Aliases...)
	}
	return keys
}

// atLeastOnce returns the arguments of a quorum queue that loses nothing when it dead-letters.
func atLeastOnce(exchange string, more amqp.Table) amqp.Table {
	args := amqp.Table{
		amqp.QueueTypeArg:     amqp.QueueTypeQuorum,
		argDeadLetterExchange: exchange,
		argDeadLetterStrategy: "at-least-once",
		argOverflow:           "reject-publish",
	}
	for name, value := range more {
		args[name] = value
	}
	return args
}

// Declare makes everything that is not there yet, and returns what exists otherwise than declared. Publishers and consumers do
// it in each session. The dead letters come first: nothing may be able to fail before it has a place to go. Errors: Conflict for
// what exists and cannot be used at all; Unavailable.
func (t Topology) Declare(conn *amqp.Connection) ([]Deviation, error) {
	t = t.withDefaults()
	d := &declarer{conn: conn}
	err := t.declare(d)
	if err == nil {
		err = d.do(func(ch *amqp.Channel) error { return fault.Wrap(ch.Close(), fault.Unavailable, "close channel") })
	}
	return d.deviations, err
}

func (t Topology) declare(d *declarer) error {
	if err := t.declareExchange(d); err != nil {
		return err
	}
	dlx := t.DeadLetterExchange()
	if _, err := d.ensure(exchange(dlx, amqp.ExchangeFanout), judgeExchange(true)); err != nil {
		return err
	}
	if _, err := d.ensure(queue(t.Dead(), amqp.Table{
		amqp.QueueTypeArg: amqp.QueueTypeQuorum, argDeliveryLimit: int64(deadDeliveryLimit),
	}), judgeQueue(deadLetters, "")); err != nil {
		return err
	}
	if err := d.bind(t.Dead(), dlx, ""); err != nil {
		return err
	}
	for _, s := range t.consumed() {
		if err := t.declareConsumed(d, t.Queue(s.Name), s.Keys); err != nil {
			return err
		}
	}
	return nil
}

// declareExchange declares the exchange that events are published to.
func (t Topology) declareExchange(d *declarer) error {
	deviation, err := d.ensure(exchange(t.Exchange, amqp.ExchangeTopic), judgeExchange(false))
	if err == nil && deviation.Unsafe != "" {
		err = unusable(deviation)
	}
	return err
}

// declareConsumed declares a queue that is consumed, its wait queues and its bindings.
func (t Topology) declareConsumed(d *declarer, name string, keys []string) error {
	deviation, err := d.ensure(queue(name, atLeastOnce(t.DeadLetterExchange(), amqp.Table{argDeliveryLimit: t.DeliveryLimit})), judgeQueue(consumed, ""))
	if err != nil {
		return err
	}
	if deviation.Unsafe != "" {
		return unusable(deviation)
	}
	for _, delay := range t.WaitDelays {
		// Through the default exchange, by the queue's name: the original routing key is not wanted on the bus again.
		if _, err := d.ensure(queue(WaitOf(name, delay), atLeastOnce("", amqp.Table{
			argDeadLetterKey: name, argMessageTTL: delay.Milliseconds(),
		})), judgeQueue(waiting, name)); err != nil {
			return err
		}
	}
	return d.bind(name, t.Exchange, keys...)
}

// exchange is a durable exchange to declare.
func exchange(name, kind string) entity {
	return entity{kind: kindExchange, name: name, args: amqp.Table{argType: kind, argDurable: true, argAutoDelete: false, argInternal: false}}
}

// queue is a durable queue to declare.
func queue(name string, args amqp.Table) entity {
	args[argDurable], args[argAutoDelete] = true, false
	return entity{kind: kindQueue, name: name, args: args}
}
