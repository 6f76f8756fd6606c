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

// Deviation is an exchange, a queue or a binding that exists otherwise than this version declares it. It is used as it is,
// as far as that is safe.
type Deviation struct {
	// Kind is exchange, queue or binding.
	Kind string `json:"kind"`
	Name string `json:"name"`
	// Differences says what is different, "x-delivery-limit: 7 (declared: 1000)", or the first of it where that is enough to know.
	Differences []string `json:"differences"`
	// Unsafe says why nothing is put into it: messages could be lost. Empty when it is used.
	Unsafe string `json:"unsafe,omitempty"`
	// Remedy says how to get it as it is declared.
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

// unusable returns the error of a deviation that a connection cannot work with. It is a Conflict.
func unusable(d Deviation) error {
	return &fault.Error{Code: fault.Conflict, Err: d, Message: fmt.Sprintf(
		"%s %s exists with other arguments than this version declares (%s) and cannot be used: %s. %s",
		d.Kind, d.Name, strings.Join(d.Differences, ", "), d.Unsafe, d.Remedy)}
}

// Names of arguments that the client has no names for. The first ones are fields of their own in AMQP; the broker names them alike.
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
	// consumedQueue is read, and nothing is put into it here. However it exists, reading empties it; not reading it would keep no
	// message that is there.
	consumedQueue
	// waitQueue gets copies of messages that are acknowledged then, and must give each of them back.
	waitQueue
	// deadLetterQueue must keep every dead letter until it is taken out.
	deadLetterQueue
)

// entity is an exchange or a queue as it is declared, or as it exists.
type entity struct {
	purpose purpose
	name    string
	args    amqp.Table // the type of an exchange, and the fields, too; what is missing has its default
	// target is where the messages of a wait queue return to.
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

// text returns an argument; empty when it is missing or something else than a string.
func (e entity) text(name string) string { s, _ := e.args[name].(string); return s }

// flag returns an argument; false when it is missing or something else than a boolean.
func (e entity) flag(name string) bool { b, _ := e.args[name].(bool); return b }

func (e entity) has(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { _, ok := e.args[name]; return ok })
}

// queueType returns the type of a queue; without an argument it is the classic one, the default.
func (e entity) queueType() string { return cmp.Or(e.text(amqp.QueueTypeArg), amqp.QueueTypeClassic) }

// correct changes an argument to what exists; a nil value is none. Arguments that only quorum queues have go with the type.
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

// oneDifference reports whether the first difference is enough to know whether the entity can be used.
func (p purpose) oneDifference() bool { return p < waitQueue }

// unknown returns why an entity is not used when it cannot be found out how it exists; empty when it is used all the same.
func (p purpose) unknown() string {
	switch p {
	case consumedQueue:
		return ""
	case eventExchange, deadLetterExchange:
		return "it could not be found out how it routes"
	}
	return "it could not be found out whether it keeps what is put into it"
}

// unsafe returns why an entity as it exists cannot be used without losing messages, or an empty string.
func (e entity) unsafe() string {
	switch e.purpose {
	case eventExchange:
		switch kind := e.text(argType); {
		case e.flag(argInternal):
			return "an internal exchange takes no messages from clients"
		case kind != amqp.ExchangeTopic && kind != amqp.ExchangeDirect && kind != "x-delayed-message": // these route our keys alike
			return "an exchange of type " + kind + " does not route by the type of an event"
		}
	case deadLetterExchange:
		if e.text(argType) != amqp.ExchangeFanout {
			return "it would not route every dead letter to its queue"
		}
	case consumedQueue:
		if e.queueType() == amqp.QueueTypeStream {
			return "a stream keeps what was acknowledged, and delivers it again"
		}
	case waitQueue, deadLetterQueue:
		return e.unsafeStore()
	}
	return ""
}

// unsafeStore is unsafe for a queue that messages are put into.
func (e entity) unsafeStore() string {
	quorum := e.queueType() == amqp.QueueTypeQuorum
	waits := e.purpose == waitQueue
	switch {
	case !e.flag(argDurable), e.flag(argAutoDelete), e.has(amqp.QueueTTLArg):
		return "it may vanish with its messages"
	case !quorum && (waits || e.queueType() != amqp.QueueTypeClassic):
		return "a queue of type " + e.queueType() + " cannot do what this one is for without losing messages"
	case e.has(amqp.QueueMaxLenArg, amqp.QueueMaxLenBytesArg) && e.text(amqp.QueueOverflowArg) != amqp.QueueOverflowRejectPublish:
		return "it drops messages when it is full"
	}
	limit, limited := e.args[argDeliveryLimit].(int64)
	switch {
	case !waits && e.has(amqp.QueueMessageTTLArg):
		return "dead letters expire in it"
	case !waits && quorum && (!limited || limit >= 0 && limit < 1<<20):
		return "from RabbitMQ 4.0 on it drops dead letters that were delivered too often"
	case !waits:
		return ""
	case !e.has(amqp.QueueMessageTTLArg):
		return "messages would stay in it for ever"
	case e.text(argDeadLetterExchange) != "" || !e.has(argDeadLetterExchange) || e.text(argDeadLetterKey) != e.target:
		return "messages would not return from it to " + e.target
	case e.text(argDeadLetterStrategy) != atLeastOnce || e.text(amqp.QueueOverflowArg) != amqp.QueueOverflowRejectPublish:
		return "it does not dead-letter at least once: messages on their way back may be lost"
	}
	return ""
}

// remedy says how to get an entity as it is declared, without losing what is in it.
func (e entity) remedy() string {
	deleteIt := fmt.Sprintf("delete it when it is empty (rabbitmqctl list_queues name messages; rabbitmqctl delete_queue %s), and restart "+
		"the service, which declares it as it should be. Or set another BROKER_PREFIX", e.name)
	switch e.purpose {
	case waitQueue:
		return "Messages that are in it return by their time to live: " + deleteIt
	case deadLetterQueue:
		return "The service takes out what is in it: " + deleteIt
	case consumedQueue:
		return "It is consumed as it is. To get it as it is declared, stop what publishes to it and " + deleteIt
	case deadLetterExchange:
		return fmt.Sprintf("Delete it (%s, in the management UI or with rabbitmqadmin): it has no messages. Restart the service, which declares and binds it as it should be", e.name)
	}
	if e.unsafe() != "" {
		return "Set EVENT_EXCHANGE to the name of a durable topic exchange, or delete this one when its other users agree: the service declares it anew"
	}
	return "Nothing needs to be done: it is used as it is. An alternate exchange gets what no queue is bound to; an exchange that is not durable " +
		"loses the bindings of others when the broker restarts"
}
