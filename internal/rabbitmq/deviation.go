package rabbitmq

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// Deviation is an exchange, a queue or a binding that exists otherwise than this version declares it. It is used as it is,
// as far as that is safe.
type Deviation struct {
	// Kind is exchange, queue or binding.
	Kind string
	Name string
	// Differences says what is different, "x-delivery-limit: 7 (declared: 1000)", or the first of it where that is enough to know.
	Differences []string
	// Unsafe says why nothing is put into it: messages could be lost. Empty when it is used.
	Unsafe string
	// Remedy says how to get it as it is declared.
	Remedy string
}

// String returns the deviation in one line, without the remedy.
func (d Deviation) String() string {
	text := fmt.Sprintf("%s %s: %s", d.Kind, d.Name, strings.Join(d.Differences, ", "))
	if d.Unsafe != "" {
		text += "; not used: " + d.Unsafe
	}
	return text
}

func (d Deviation) equal(other Deviation) bool {
	return d.Kind == other.Kind && d.Name == other.Name && d.Unsafe == other.Unsafe && slices.Equal(d.Differences, other.Differences)
}

// deviationError is a deviation that a connection cannot work with.
type deviationError struct{ Deviation }

func (e deviationError) Error() string { return e.String() }

// unusable returns the error of a deviation. It is a Conflict.
func unusable(d Deviation) error {
	return &fault.Error{Code: fault.Conflict, Err: deviationError{d}, Message: fmt.Sprintf(
		"%s %s exists with other arguments than this version declares (%s) and cannot be used: %s. %s",
		d.Kind, d.Name, strings.Join(d.Differences, ", "), d.Unsafe, d.Remedy)}
}

// Names of arguments. The first ones are fields of their own in AMQP; the broker names them alike.
const (
	argType       = "type"
	argDurable    = "durable"
	argAutoDelete = "auto_delete"
	argInternal   = "internal"
	argAlternate  = "alternate-exchange"

	argDeadLetterExchange = "x-dead-letter-exchange"
	argDeadLetterKey      = "x-dead-letter-routing-key"
	argDeadLetterStrategy = "x-dead-letter-strategy"
	argOverflow           = "x-overflow"
	argMessageTTL         = "x-message-ttl"
	argExpires            = "x-expires"
	argMaxLength          = "x-max-length"
	argMaxBytes           = "x-max-length-bytes"
	argDeliveryLimit      = "x-delivery-limit"
)

// Kinds of entities.
const (
	kindExchange = "exchange"
	kindQueue    = "queue"
	kindBinding  = "binding"
)

// entity is an exchange or a queue as it is declared, or as it exists.
type entity struct {
	kind, name string
	args       amqp.Table // the type of an exchange, and the fields, too; what is missing has its default
}

// text returns an argument that is a string; empty when it is missing or something else.
func (e entity) text(name string) string {
	s, _ := e.args[name].(string)
	return s
}

// flag returns an argument that is a boolean.
func (e entity) flag(name string) bool {
	b, _ := e.args[name].(bool)
	return b
}

// has reports whether an argument is there.
func (e entity) has(name string) bool {
	_, ok := e.args[name]
	return ok
}

// queueType returns the type of a queue; without an argument it is the classic one, the default.
func (e entity) queueType() string { return cmp.Or(e.text(amqp.QueueTypeArg), amqp.QueueTypeClassic) }

// differences compares what exists with what is declared.
func differences(declared, actual entity) []string {
	names := make(map[string]bool)
	for name := range declared.args {
		names[name] = true
	}
	for name := range actual.args {
		names[name] = true
	}
	var found []string
	show := func(e entity, name string) string {
		if v, ok := e.args[name]; ok {
			return fmt.Sprintf("%v", v)
		}
		return "not set"
	}
	for name := range names {
		is, want := show(actual, name), show(declared, name)
		if is == want {
			continue
		}
		found = append(found, fmt.Sprintf("%s: %s (declared: %s)", name, cmp.Or(is, `""`), cmp.Or(want, `""`)))
	}
	slices.Sort(found)
	return found
}

// role is what a queue is for. It decides which deviations are safe.
type role int

const (
	// consumed queues are read and nothing is put into them here. However they exist, reading empties them; not reading them
	// would keep no message that is there.
	consumed role = iota
	// waiting queues get copies of messages that are acknowledged then, and must give each of them back.
	waiting
	// deadLetters is the queue of the dead letters, which must keep every one until it is taken out.
	deadLetters
)

// unsafeQueue returns why messages could be lost in a queue, or an empty string. target is where a waiting queue's messages
// return to.
func unsafeQueue(r role, actual entity, target string) string {
	kind := actual.queueType()
	if r == consumed {
		if kind == amqp.QueueTypeStream {
			return "a stream keeps what was acknowledged, and delivers it again"
		}
		return ""
	}
	switch {
	case !actual.flag(argDurable), actual.flag(argAutoDelete), actual.has(argExpires):
		return "it may vanish with its messages"
	case kind != amqp.QueueTypeQuorum && (kind != amqp.QueueTypeClassic || r == waiting):
		return "a queue of type " + kind + " cannot do what this one is for without losing messages"
	case (actual.has(argMaxLength) || actual.has(argMaxBytes)) && actual.text(argOverflow) != "reject-publish":
		return "it drops messages when it is full"
	}
	if r == deadLetters {
		limit, limited := actual.args[argDeliveryLimit].(int64)
		switch {
		case actual.has(argMessageTTL):
			return "dead letters expire in it"
		case kind == amqp.QueueTypeQuorum && (!limited || limit >= 0 && limit < 1<<20):
			return "from RabbitMQ 4.0 on it drops dead letters that were delivered too often"
		}
		return ""
	}
	switch {
	case !actual.has(argMessageTTL):
		return "messages would stay in it for ever"
	case actual.text(argDeadLetterExchange) != "" || !actual.has(argDeadLetterExchange) || actual.text(argDeadLetterKey) != target:
		return "messages would not return from it to " + target
	case actual.text(argDeadLetterStrategy) != "at-least-once" || actual.text(argOverflow) != "reject-publish":
		return "it does not dead-letter at least once: messages on their way back may be lost"
	}
	return ""
}

// remedyQueue says how to get a queue as it is declared, without losing what is in it.
func remedyQueue(r role, name string) string {
	again := fmt.Sprintf("delete it when it is empty (rabbitmqctl list_queues name messages; rabbitmqctl delete_queue %s), and restart the service, "+
		"which declares it as it should be. Or set another BROKER_PREFIX", name)
	switch r {
	case waiting:
		return "Messages that are in it return by their time to live: " + again
	case deadLetters:
		return "The service takes out what is in it: " + again
	}
	return "It is consumed as it is. To get it as it is declared, stop what publishes to it and " + again
}

// unsafeExchange returns why an exchange cannot be used, or an empty string.
func unsafeExchange(actual entity, ofDeadLetters bool) string {
	kind := actual.text(argType)
	switch {
	case ofDeadLetters && kind != amqp.ExchangeFanout:
		return "it would not route every dead letter to its queue"
	case ofDeadLetters:
		return ""
	case actual.flag(argInternal):
		return "an internal exchange takes no messages from clients"
	case kind == amqp.ExchangeTopic, kind == amqp.ExchangeDirect, kind == "x-delayed-message":
		return "" // they route the keys that are used here alike
	}
	return "an exchange of type " + kind + " does not route by the type of an event"
}

// remedyExchange says what to do about an exchange.
func remedyExchange(actual entity, unsafe string, ofDeadLetters bool) string {
	switch {
	case ofDeadLetters:
		return fmt.Sprintf("Delete it (%s, in the management UI or with rabbitmqadmin): it has no messages. Restart the service, which declares and binds it as it should be", actual.name)
	case unsafe != "":
		return "Set EVENT_EXCHANGE to the name of a durable topic exchange, or delete this one when its other users agree: the service declares it anew"
	}
	return "Nothing needs to be done: it is used as it is. An alternate exchange gets what no queue is bound to; an exchange that is not durable " +
		"loses the bindings of others when the broker restarts"
}

// judgeExchange judges an exchange.
func judgeExchange(ofDeadLetters bool) judge {
	unsafe := func(actual entity) string { return unsafeExchange(actual, ofDeadLetters) }
	return judge{first: true, unsafe: unsafe, blind: "it could not be found out how it routes",
		remedy: func(actual entity) string { return remedyExchange(actual, unsafe(actual), ofDeadLetters) }}
}

// judgeQueue judges a queue.
func judgeQueue(r role, target string) judge {
	j := judge{
		unsafe: func(actual entity) string { return unsafeQueue(r, actual, target) },
		remedy: func(actual entity) string { return remedyQueue(r, actual.name) },
	}
	j.first = r == consumed
	if r != consumed {
		j.blind = "it could not be found out whether it keeps what is put into it"
	}
	return j
}
