package rabbitmq

import (
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"
)

// What the broker says, from 3.10 to 4.3.
func TestInequivalent(t *testing.T) {
	for text, want := range map[string]struct {
		name  string
		value any
	}{
		"PRECONDITION_FAILED - inequivalent arg 'x-delivery-limit' for queue 'a.inbox' in vhost '/': received the value '1000' of type 'long' but current is the value '7' of type 'long'":                 {"x-delivery-limit", int64(7)},
		"PRECONDITION_FAILED - inequivalent arg 'x-dead-letter-strategy' for queue 'it's' in vhost '/': received the value 'at-least-once' of type 'longstr' but current is none":                          {"x-dead-letter-strategy", nil},
		"PRECONDITION_FAILED - inequivalent arg 'x-message-ttl' for queue 'a' in vhost '/': received none but current is the value '5000' of type 'signedint'":                                             {"x-message-ttl", int64(5000)},
		"PRECONDITION_FAILED - inequivalent arg 'x-dead-letter-routing-key' for queue 'a' in vhost '/': received none but current is the value 'it's a \n key' of type 'longstr'":                          {"x-dead-letter-routing-key", "it's a \n key"},
		"PRECONDITION_FAILED - inequivalent arg 'x-single-active-consumer' for queue 'a' in vhost '/': received none but current is the value 'true' of type 'bool'":                                       {"x-single-active-consumer", true},
		"PRECONDITION_FAILED - inequivalent arg 'durable' for exchange 'domain_events' in vhost '/': received 'true' but current is 'false'":                                                               {"durable", false},
		"PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'domain_events' in vhost '/': received 'topic' but current is 'x-delayed-message'":                                                     {"type", "x-delayed-message"},
		"PRECONDITION_FAILED - inequivalent arg 'alternate-exchange' for exchange 'domain_events' in vhost '/': received none but current is the value 'a name that is longer than the text that has room": {"alternate-exchange", "another one"},
	} {
		name, value, ok := inequivalent(&amqp.Error{Code: amqp.PreconditionFailed, Reason: text})
		require.True(t, ok, text)
		require.Equal(t, want.name, name)
		require.Equal(t, want.value, value)
	}
	_, _, ok := inequivalent(&amqp.Error{Code: amqp.PreconditionFailed, Reason: "PRECONDITION_FAILED - inequivalent arg 'x-expires' for queue 'a' in vhost '/': received none but curr"})
	require.False(t, ok)
}

func TestUnsafeQueues(t *testing.T) {
	topology := Topology{}.withDefaults()
	wait, dead, inbox := waitQueueOf("q", 5*time.Second), topology.deadLetterQueue(), topology.consumedQueue("q")
	for _, test := range []struct {
		declared entity
		name     string
		value    any // nil takes it away
		safe     bool
	}{
		{wait, amqp.QueueMessageTTLArg, int64(6000), true},
		{wait, "x-quorum-initial-group-size", int64(3), true},
		{wait, argDeliveryLimit, int64(20), true},
		{wait, amqp.QueueMaxLenArg, int64(10), true}, // with reject-publish
		{wait, amqp.QueueMessageTTLArg, nil, false},
		{wait, argDeadLetterStrategy, nil, false},
		{wait, amqp.QueueOverflowArg, "drop-head", false},
		{wait, argDeadLetterKey, "elsewhere", false},
		{wait, argDeadLetterExchange, nil, false},
		{wait, argDeadLetterExchange, "elsewhere", false},
		{wait, amqp.QueueTypeArg, "classic", false},
		{wait, argDurable, false, false},
		{wait, amqp.QueueTTLArg, int64(1000), false},
		{dead, argDeliveryLimit, int64(-1), true},
		{dead, argDeliveryLimit, int64(20), false},
		{dead, argDeliveryLimit, nil, false},
		{dead, amqp.QueueTypeArg, "classic", true},
		{dead, amqp.QueueTypeArg, nil, true},
		{dead, amqp.QueueTypeArg, "stream", false},
		{dead, amqp.QueueMessageTTLArg, int64(1000), false},
		{dead, amqp.QueueMaxLenBytesArg, int64(1000), false},
		{dead, argAutoDelete, true, false},
		{inbox, argDeliveryLimit, int64(7), true},
		{inbox, argDeadLetterExchange, nil, true},
		{inbox, argDurable, false, true},
		{inbox, amqp.QueueTypeArg, "classic", true},
		{inbox, amqp.QueueTypeArg, "stream", false},
	} {
		actual := test.declared.clone()
		actual.correct(test.name, test.value)
		why := actual.unsafe()
		require.Equal(t, test.safe, why == "", "%s: %s is %v: %s", test.declared.name, test.name, test.value, why)
		require.NotEmpty(t, differences(test.declared, actual))
		require.NotEmpty(t, actual.remedy())
	}
}
