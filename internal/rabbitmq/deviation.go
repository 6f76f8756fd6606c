package rabbitmq

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// Deviation is an exchange, a queue or a binding whose actual arguments differ from the declared ones. It is used as it is if that is
// safe.
type Deviation struct {
	// Kind is exchange, queue or binding.
	Kind string `json:"kind"`
	Name string `json:"name"`
	// Differences lists the differences, such as "x-delivery-limit: 7 (declared: 1000)"; only the first one if that is enough.
	Differences []string `json:"differences"`
	// Unsafe is the reason why the entity is not used: messages could be lost. Empty if it is used.
	Unsafe string `json:"unsafe,omitempty"`
	// Remedy is how to get the entity as declared.
	Remedy string `json:"remedy"`
}

// Error returns the deviation in one line, without the remedy.
func (d Deviation) Error() string {
	text := fmt.Sprintf("%s %s: %s", d.Kind, d.Name, strings.Join(d.Differences, ", "))
	if d.Unsafe != "" {
		text += "; not used: " + d.Unsafe
	}
	return text
}

// unusable returns the Conflict error of a deviation that prevents a session.
func unusable(d Deviation) error {
	return &fault.Error{Code: fault.Conflict, Err: d, Message: fmt.Sprintf(
		"%s %s exists with other arguments than this version declares (%s) and cannot be used: %s. %s",
		d.Kind, d.Name, strings.Join(d.Differences, ", "), d.Unsafe, d.Remedy)}
}

// Names of arguments that the client does not define. The first ones are fields of the AMQP methods; the broker uses these names.
const (
	argType       = "type"
	argDurable    = "durable"
	argAutoDelete = "auto_delete"
	argInternal   = "internal"
	argAlternate  = "alternate-exchange"

	argDeadLetterExchange = "x-dead-letter-exchange"
	argDeadLetterKey      = "x-dead-letter-routing-key"
	argDeadLetterStrategy = "x-dead-letter-strategy"
	argDeliveryLimit      = "x-delivery-limit"
	atLeastOnce           = "at-least-once"
)

// Kinds of entities.
const (
	kindExchange = "exchange"
	kindQueue    = "queue"
	kindBinding  = "binding"
)

// purpose is what an entity is for. It decides which deviations are safe.
type purpose int

const (
	// eventExchange is the exchange that events are published to.
	eventExchange purpose = iota
	deadLetterExchange
	// consumedQueue is only consumed; its messages come from the exchange. It is used with any arguments: leaving it unconsumed would
	// not save a message.
	consumedQueue
	// waitQueue receives copies of acknowledged messages and must return every one.
	waitQueue
	// deadLetterQueue must keep every message until it is consumed.
	deadLetterQueue
)

// entity is an exchange or a queue as it is declared, or as it exists.
type entity struct {
	purpose purpose
	name    string
	args    amqp.Table // includes the type and the method fields; a missing argument has its default
	// target is the queue to which a wait queue returns its messages.
	target string
}

func (e entity) kind() string {
	if e.purpose <= deadLetterExchange {
		return kindExchange
	}
	return kindQueue
}

func (e entity) deviation(differences []string, unsafe string) Deviation {
	return Deviation{Kind: e.kind(), Name: e.name, Differences: differences, Unsafe: unsafe, Remedy: e.remedy()}
}

func (e entity) clone() entity {
	e.args = maps.Clone(e.args)
	return e
}

// text returns an argument; empty if it is missing or not a string.
func (e entity) text(name string) string { s, _ := e.args[name].(string); return s }

// flag returns an argument; false if it is missing or not a boolean.
func (e entity) flag(name string) bool { b, _ := e.args[name].(bool); return b }

func (e entity) has(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { _, ok := e.args[name]; return ok })
}

// queueType returns the type of a queue. The default is classic.
func (e entity) queueType() string { return cmp.Or(e.text(amqp.QueueTypeArg), amqp.QueueTypeClassic) }

// correct sets an argument to its actual value; nil removes it. Arguments that only quorum queues have are removed with the type.
func (e entity) correct(name string, value any) {
	if e.args[name] = value; value == nil {
		delete(e.args, name)
	}
	if name == amqp.QueueTypeArg && e.queueType() != amqp.QueueTypeQuorum {
		delete(e.args, argDeliveryLimit)
		delete(e.args, argDeadLetterStrategy)
	}
}

func differences(declared, actual entity) []string {
	show := func(e entity, name string) string {
		if !e.has(name) {
			return "not set"
		}
		return cmp.Or(fmt.Sprint(e.args[name]), `""`)
	}
	names := maps.Clone(declared.args)
	maps.Copy(names, actual.args)
	var found []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if is, want := show(actual, name), show(declared, name); is != want {
			found = append(found, fmt.Sprintf("%s: %s (declared: %s)", name, is, want))
		}
	}
	return found
}

// oneDifference reports whether one difference is enough to decide whether the entity can be used.
func (p purpose) oneDifference() bool { return p < waitQueue }

// unknown returns why an entity whose arguments cannot be determined is not used; empty if it is used.
func (p purpose) unknown() string {
	switch p {
	case consumedQueue:
		return ""
	case eventExchange, deadLetterExchange:
		return "its routing could not be determined"
	}
	return "it is unknown whether it keeps its messages"
}

// unsafe returns why messages would be lost if the existing entity were used; empty if it is safe.
func (e entity) unsafe() string {
	switch e.purpose {
	case eventExchange:
		switch kind := e.text(argType); {
		case e.flag(argInternal):
			return "an internal exchange accepts no messages from clients"
		case kind != amqp.ExchangeTopic && kind != amqp.ExchangeDirect && kind != "x-delayed-message": // these route plain keys in the same way
			return "an exchange of type " + kind + " does not route by the type of an event"
		}
	case deadLetterExchange:
		if e.text(argType) != amqp.ExchangeFanout {
			return "it would not route every dead letter to its queue"
		}
	case consumedQueue:
		if e.queueType() == amqp.QueueTypeStream {
			return "a stream keeps acknowledged messages and delivers them again"
		}
	case waitQueue, deadLetterQueue:
		return e.unsafeStore()
	}
	return ""
}

// unsafeStore is unsafe for wait queues and the dead letter queue.
func (e entity) unsafeStore() string {
	quorum := e.queueType() == amqp.QueueTypeQuorum
	waits := e.purpose == waitQueue
	switch {
	case !e.flag(argDurable), e.flag(argAutoDelete), e.has(amqp.QueueTTLArg):
		return "it may be deleted with its messages"
	case !quorum && (waits || e.queueType() != amqp.QueueTypeClassic):
		return "a queue of type " + e.queueType() + " would lose messages here"
	case e.has(amqp.QueueMaxLenArg, amqp.QueueMaxLenBytesArg) && e.text(amqp.QueueOverflowArg) != amqp.QueueOverflowRejectPublish:
		return "it drops messages when it is full"
	}
	limit, limited := e.args[argDeliveryLimit].(int64)
	switch {
	case !waits && e.has(amqp.QueueMessageTTLArg):
		return "dead letters expire in it"
	case !waits && quorum && (!limited || limit >= 0 && limit < 1<<20):
		return "since RabbitMQ 4.0 it drops dead letters that were delivered too often"
	case !waits:
		return ""
	case !e.has(amqp.QueueMessageTTLArg):
		return "messages would stay in it forever"
	case e.text(argDeadLetterExchange) != "" || !e.has(argDeadLetterExchange) || e.text(argDeadLetterKey) != e.target:
		return "messages would not return from it to " + e.target
	case e.text(argDeadLetterStrategy) != atLeastOnce || e.text(amqp.QueueOverflowArg) != amqp.QueueOverflowRejectPublish:
		return "it does not dead-letter at least once: returning messages may be lost"
	}
	return ""
}

// remedy returns how to get an entity as declared without losing its messages.
func (e entity) remedy() string {
	deleteIt := fmt.Sprintf("delete it when it is empty (rabbitmqctl list_queues name messages; rabbitmqctl delete_queue %s), and restart "+
		"the service, which declares it again. Or set another BROKER_PREFIX", e.name)
	switch e.purpose {
	case waitQueue:
		return "Its messages return when their time to live ends: " + deleteIt
	case deadLetterQueue:
		return "The service consumes its messages: " + deleteIt
	case consumedQueue:
		return "It is consumed as it is. To get it as declared, stop its publishers and " + deleteIt
	case deadLetterExchange:
		return fmt.Sprintf("Delete it (%s, in the management UI or with rabbitmqadmin): an exchange holds no messages. Restart the service, which declares and binds it again", e.name)
	}
	if e.unsafe() != "" {
		return "Set EVENT_EXCHANGE to the name of a durable topic exchange, or delete this one after its other users agree: the service declares it again"
	}
	return "Nothing needs to be done: it is used as it is. An alternate exchange receives messages that no binding matches; a non-durable exchange " +
		"loses other services' bindings when the broker restarts"
}
