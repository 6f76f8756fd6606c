package rabbitmq

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// declarer declares a topology over one connection. The broker closes the channel when it refuses; do then opens another one.
type declarer struct {
	conn       *amqp.Connection
	ch         *amqp.Channel
	deviations []Deviation
}

// do runs one operation on an open channel.
func (d *declarer) do(operation func(*amqp.Channel) error) error {
	if d.ch == nil || d.ch.IsClosed() {
		ch, err := d.conn.Channel()
		if err != nil {
			return fault.Wrap(err, fault.Unavailable, "open channel")
		}
		d.ch = ch
	}
	return operation(d.ch)
}

// refused reports whether err is a refusal of the broker with this code.
func refused(err error, code int) bool {
	var reason *amqp.Error
	return errors.As(err, &reason) && reason.Code == code
}

// maxRounds bounds the declarations of one entity. It exceeds the number of arguments.
const maxRounds = 32

// ensure declares entities that do not exist, and records how existing ones differ. The error is Conflict for an event exchange or a
// consumed queue that cannot be used: the service cannot work without it.
func (d *declarer) ensure(entities ...entity) error {
	for _, e := range entities {
		deviation, err := d.compare(e)
		if deviation.Kind != "" {
			d.deviations = append(d.deviations, deviation)
		}
		if err == nil && deviation.Unsafe != "" && (e.purpose == eventExchange || e.purpose == consumedQueue) {
			err = unusable(deviation)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// compare declares an entity and returns how an existing one differs; the deviation is zero if nothing differs.
//
// AMQP has no way to read the arguments of an entity. When a declaration is refused, the broker names the first argument that
// differs. For some entities that one is enough. For others, compare corrects the argument and declares again, until the declaration
// is accepted or the entity is known to be unsafe. The entity may be deleted meanwhile and must not be created with wrong arguments:
// each corrected declaration directly follows a check that the entity still exists.
func (d *declarer) compare(declared entity) (Deviation, error) {
	actual, seen := declared.clone(), make(map[string]bool)
	for range maxRounds {
		err := d.do(func(ch *amqp.Channel) error { return actual.declare(ch, false) })
		switch {
		case err == nil && len(seen) == 0:
			return Deviation{}, nil
		case err == nil:
			return actual.deviation(differences(declared, actual), actual.unsafe()), nil
		case refused(err, amqp.AccessRefused):
			return d.compareUnknown(declared, err)
		case !refused(err, amqp.PreconditionFailed):
			return Deviation{}, fault.Wrap(err, fault.Unavailable, "declare %s %s", declared.kind(), declared.name)
		}
		name, value, ok := inequivalent(err)
		if !ok || seen[name] {
			return actual.deviation(append(differences(declared, actual), err.Error()), declared.purpose.unknown()), nil
		}
		seen[name] = true
		actual.correct(name, value)
		if unsafe := actual.unsafe(); declared.purpose.oneDifference() || unsafe != "" {
			return actual.deviation(differences(declared, actual), unsafe), nil
		}
		if d.do(func(ch *amqp.Channel) error { return declared.declare(ch, true) }) != nil {
			actual, seen = declared.clone(), make(map[string]bool)
		}
	}
	return actual.deviation(differences(declared, actual), declared.purpose.unknown()), nil
}

// compareUnknown describes an entity that the user may not declare. If it does not exist, the error is the broker's refusal.
func (d *declarer) compareUnknown(declared entity, refusal error) (Deviation, error) {
	if err := d.do(func(ch *amqp.Channel) error { return declared.declare(ch, true) }); err != nil {
		return Deviation{}, fault.Wrap(refusal, fault.Unavailable, "declare %s %s", declared.kind(), declared.name)
	}
	return Deviation{Kind: declared.kind(), Name: declared.name, Differences: []string{"its arguments are not known"},
		Remedy: "The user of AMQP_URL may not configure it. Permit that, or make sure that its arguments are those of docs/reference/messaging.md"}, nil
}

// bind binds a queue to an exchange by keys. Missing permission is recorded as a deviation, not an error: the owner of the queue may
// have bound it.
func (d *declarer) bind(queue, exchange string, keys ...string) error {
	var unknown []string
	for _, key := range keys {
		err := d.do(func(ch *amqp.Channel) error { return ch.QueueBind(queue, key, exchange, false, nil) })
		if refused(err, amqp.AccessRefused) {
			unknown = append(unknown, key)
		} else if err != nil {
			return fault.Wrap(err, fault.Unavailable, "bind queue %s to %s", queue, exchange)
		}
	}
	if len(unknown) > 0 {
		d.deviations = append(d.deviations, Deviation{Kind: kindBinding, Name: queue + " to " + exchange,
			Differences: []string{fmt.Sprintf("it is not known whether they exist: %q", unknown)},
			Remedy: "The user of AMQP_URL may not bind the queue, which needs permission to write to it and to read the exchange. " +
				"Permit that, or make sure that it is bound"})
	}
	return nil
}

// declare declares an entity. If passive is set, it only checks that the entity exists.
func (e entity) declare(ch *amqp.Channel, passive bool) error {
	args := maps.Clone(e.args)
	for _, name := range []string{argType, argDurable, argAutoDelete, argInternal} {
		delete(args, name)
	}
	switch {
	case e.kind() == kindQueue && passive:
		_, err := ch.QueueDeclarePassive(e.name, false, false, false, false, nil)
		return err
	case e.kind() == kindQueue:
		_, err := ch.QueueDeclare(e.name, e.flag(argDurable), e.flag(argAutoDelete), false, false, args)
		return err
	case passive:
		return ch.ExchangeDeclarePassive(e.name, e.text(argType), false, false, false, false, nil)
	}
	return ch.ExchangeDeclare(e.name, e.text(argType), e.flag(argDurable), e.flag(argAutoDelete), e.flag(argInternal), false, args)
}

// inequivalence is how RabbitMQ 3.10 to 4.3 names an argument that differs.
var inequivalence = regexp.MustCompile(`(?s)inequivalent arg '([^']*)' for .*: received .* but current is (?:(none)|the value '(.*)' of type '([a-z]+)'|'(.*)')$`)

// inequivalent returns the argument that differs and its actual value; nil if it is not set.
func inequivalent(err error) (name string, value any, ok bool) {
	var reason *amqp.Error
	if !errors.As(err, &reason) {
		return "", nil, false
	}
	m := inequivalence.FindStringSubmatch(reason.Reason)
	if m == nil {
		return argAlternate, "another one", strings.Contains(reason.Reason, "inequivalent arg '"+argAlternate+"'")
	}
	name, none, typed, kind, text := m[1], m[2] != "", m[3], m[4], m[5]
	switch {
	case none:
		return name, nil, true
	case kind == "" && (text == "true" || text == "false"):
		return name, text == "true", true
	case kind == "":
		return name, text, true
	case kind == "longstr":
		return name, typed, true
	case kind == "bool":
		return name, typed == "true", true
	}
	number, err := strconv.ParseInt(typed, 10, 64)
	return name, number, err == nil
}
