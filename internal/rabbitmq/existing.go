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

// declarer declares a topology over one connection. A refusal closes the channel: it opens another one then.
type declarer struct {
	conn       *amqp.Connection
	ch         *amqp.Channel
	deviations []Deviation
}

// do runs one operation on a channel that is open.
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

// refused reports whether the broker gave this code as its reason.
func refused(err error, code int) bool {
	var reason *amqp.Error
	return errors.As(err, &reason) && reason.Code == code
}

// maxRounds bounds how often a declaration is corrected: there are fewer arguments than that.
const maxRounds = 32

// ensure declares an entity that is not there yet, and otherwise finds out how it exists. The deviation is zero when nothing
// is different.
//
// The protocol cannot ask for arguments: the broker names the first that is different. Where one says enough, it is the only one
// that is found out. Otherwise it is corrected in the next declaration, until one is accepted or it is known to be unsafe. What is
// deleted meanwhile must not be made like that, so that each of those comes right after a look whether it still exists.
func (d *declarer) ensure(declared entity, judge judge) (Deviation, error) {
	actual := entity{kind: declared.kind, name: declared.name, args: maps.Clone(declared.args)}
	seen := make(map[string]bool)
	for range maxRounds {
		err := d.do(func(ch *amqp.Channel) error { return declare(ch, actual, false) })
		switch {
		case err == nil && len(seen) == 0:
			return Deviation{}, nil
		case err == nil:
			return d.note(actual, differences(declared, actual), judge.unsafe(actual), judge.remedy(actual)), nil
		case refused(err, amqp.AccessRefused):
			return d.unknown(declared, err)
		case !refused(err, amqp.PreconditionFailed):
			return Deviation{}, fault.Wrap(err, fault.Unavailable, "declare %s %s", declared.kind, declared.name)
		}
		name, value, ok := inequivalent(err)
		if !ok || seen[name] {
			return d.note(actual, append(differences(declared, actual), err.Error()), judge.blind, judge.remedy(actual)), nil
		}
		seen[name] = true
		actual.correct(name, value)
		if unsafe := judge.unsafe(actual); judge.first || unsafe != "" {
			return d.note(actual, differences(declared, actual), unsafe, judge.remedy(actual)), nil
		}
		if d.do(func(ch *amqp.Channel) error { return declare(ch, declared, true) }) != nil {
			actual, seen = entity{kind: declared.kind, name: declared.name, args: maps.Clone(declared.args)}, make(map[string]bool)
		}
	}
	return d.note(actual, differences(declared, actual), judge.blind, judge.remedy(actual)), nil
}

// judge says what a deviation means.
type judge struct {
	// unsafe says why what exists cannot be used, or nothing; remedy says what to do.
	unsafe, remedy func(actual entity) string
	// first: the first difference says enough.
	first bool
	// blind is said instead of unsafe when it cannot be found out how something exists.
	blind string
}

// note keeps a deviation.
func (d *declarer) note(actual entity, differences []string, unsafe, remedy string) Deviation {
	deviation := Deviation{Kind: actual.kind, Name: actual.name, Differences: differences, Unsafe: unsafe, Remedy: remedy}
	d.deviations = append(d.deviations, deviation)
	return deviation
}

// unknown keeps that the user may not declare an entity, which exists: somebody else has made it. The error is the
// broker's refusal when it does not exist.
func (d *declarer) unknown(declared entity, refusal error) (Deviation, error) {
	if err := d.do(func(ch *amqp.Channel) error { return declare(ch, declared, true) }); err != nil {
		return Deviation{}, fault.Wrap(refusal, fault.Unavailable, "declare %s %s", declared.kind, declared.name)
	}
	return d.note(declared, []string{"its arguments are not known"}, "",
		"The user of AMQP_URL may not configure it. Permit that, or make sure that its arguments are those of docs/messaging.md"), nil
}

// bind binds a queue to an exchange by keys. That the user may not do so is kept as a deviation: whoever made the queue may have
// bound it.
func (d *declarer) bind(queue, exchange string, keys ...string) error {
	var unknown []string
	for _, key := range keys {
		err := d.do(func(ch *amqp.Channel) error { return ch.QueueBind(queue, key, exchange, false, nil) })
		if refused(err, amqp.AccessRefused) {
			unknown = append(unknown, key)
			continue
		}
		if err != nil {
			return fault.Wrap(err, fault.Unavailable, "bind queue %s to %s", queue, exchange)
		}
	}
	if len(unknown) > 0 {
		d.note(entity{kind: kindBinding, name: queue + " to " + exchange}, []string{fmt.Sprintf("it is not known whether they exist: %q", unknown)}, "",
			"The user of AMQP_URL may not bind the queue, which needs permission to write to it and to read the exchange. Permit that, or make sure that it is bound")
	}
	return nil
}

// declare declares an entity; passively, it is only looked for.
func declare(ch *amqp.Channel, e entity, passive bool) error {
	args := maps.Clone(e.args)
	for _, name := range []string{argType, argDurable, argAutoDelete, argInternal} {
		delete(args, name)
	}
	if e.kind == kindQueue {
		f := ch.QueueDeclare
		if passive {
			f = ch.QueueDeclarePassive
		}
		_, err := f(e.name, e.flag(argDurable), e.flag(argAutoDelete), false, false, args)
		return err
	}
	f := ch.ExchangeDeclare
	if passive {
		f = ch.ExchangeDeclarePassive
	}
	return f(e.name, e.text(argType), e.flag(argDurable), e.flag(argAutoDelete), e.flag(argInternal), false, args)
}

// correct changes an argument to what exists; a nil value is none. What the other types of queues have no use for goes with
// the type.
func (e entity) correct(name string, value any) {
	if e.args[name] = value; value == nil {
		delete(e.args, name)
	}
	if name == amqp.QueueTypeArg && e.queueType() != amqp.QueueTypeQuorum {
		delete(e.args, argDeliveryLimit)
		delete(e.args, argDeadLetterStrategy)
	}
}

// inequivalence is how the broker, from 3.10 to 4.3, names an argument that is different.
var inequivalence = regexp.MustCompile(`(?s)inequivalent arg '([^']*)' for .*: received .* but current is (?:(none)|the value '(.*)' of type '([a-z]+)'|'(.*)')$`)

// inequivalent reads the argument that is different, and what it is; nil when there is none.
func inequivalent(err error) (name string, value any, ok bool) {
	var reason *amqp.Error
	if !errors.As(err, &reason) {
		return "", nil, false
	}
	m := inequivalence.FindStringSubmatch(reason.Reason)
	if m == nil {
		return argAlternate, "another one", strings.Contains(reason.Reason, "inequivalent arg '"+argAlternate+"'")
	}
	name = m[1]
	switch {
	case m[2] != "":
		return name, nil, true
	case m[4] == "":
		switch m[5] {
		case "true", "false":
			return name, m[5] == "true", true
		}
		return name, m[5], true
	case m[4] == "longstr":
		return name, m[3], true
	case m[4] == "bool":
		return name, m[3] == "true", true
	}
	number, err := strconv.ParseInt(m[3], 10, 64)
	return name, number, err == nil
}
