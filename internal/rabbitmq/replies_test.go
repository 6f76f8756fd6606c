package rabbitmq_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/rabbitmq"
	"github.com/ordersaga/ordersaga/internal/rabbitmq/rabbitmqtest"
	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// directReply is RabbitMQ's direct reply-to, which NestJS uses unless it is told otherwise.
const directReply = "amq.rabbitmq.reply-to"

// caller sends requests as NestJS's ClientProxy.send does, and gets what is replied.
type caller struct {
	t       *testing.T
	channel *amqp.Channel
	replies <-chan amqp.Delivery
}

func newCaller(t *testing.T, url string) caller {
	t.Helper()
	conn, err := amqp.DialConfig(url, amqp.Config{Heartbeat: rabbitmqtest.Heartbeat, Locale: "en_US"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	c := caller{t: t}
	c.channel, err = conn.Channel()
	require.NoError(t, err)
	c.replies, err = c.channel.Consume(directReply, "", true, true, false, false, nil)
	require.NoError(t, err)
	return c
}

func (c caller) send(exchange, key, replyTo, id string) {
	c.t.Helper()
	body := `{"pattern":"shipment.dispatched","data":{"orderId":"` + id + `"},"id":"` + id + `"}`
	require.NoError(c.t, c.channel.PublishWithContext(patient(c.t), exchange, key, false, false,
		amqp.Publishing{Body: []byte(body), ReplyTo: replyTo, CorrelationId: id}))
}

// answer is what NestJS reads of a reply.
type answer struct {
	ID       string `json:"id"`
	Response *struct {
		Status, Subject string
	} `json:"response"`
	Err *struct {
		Code fault.Code `json:"code"`
	} `json:"err"`
	IsDisposed bool `json:"isDisposed"`
}

// next waits for the next reply; ok is false when none came in time.
func (c caller) next(within time.Duration) (a answer, ok bool) {
	c.t.Helper()
	select {
	case d, open := <-c.replies:
		require.True(c.t, open, "the connection is lost")
		require.NoError(c.t, json.Unmarshal(d.Body, &a))
		require.Equal(c.t, a.ID, d.CorrelationId)
		require.True(c.t, a.IsDisposed)
		return a, true
	case <-time.After(within):
		return a, false
	}
}

func TestRequestsGetReplies(t *testing.T) {
	url := testenv.AMQP(t)
	b := startConsumer(t, url, func(c *rabbitmq.ConsumerConfig) {
		c.Reply = wire.NestReply
		c.Handler = func(_ context.Context, d rabbitmq.Delivery) error {
			e, err := wire.Decode(d.Message)
			switch {
			case err != nil:
				return err
			case e.Subject == "invalid":
				return fault.New(fault.Invalid, "no")
			case e.Subject == "early" && d.Parked < 2:
				return fault.New(fault.OrderUnknown, "not yet")
			}
			return nil
		}
	})
	c := newCaller(t, url)
	got := map[string]answer{}
	// A message that comes again is replied to again. A reply that cannot be sent in time is lost: asking again, as a client does,
	// is answered.
	deadline := time.Now().Add(2 * rabbitmqtest.Timeout)
	for len(got) < 3 {
		require.True(t, time.Now().Before(deadline), "replies are missing: %v", got)
		for _, id := range []string{"handled", "invalid", "early"} {
			if _, replied := got[id]; !replied {
				c.send(b.topology.Exchange, "shipment.dispatched", directReply, id)
			}
		}
		again := time.Now().Add(5 * time.Second)
		for len(got) < 3 {
			a, ok := c.next(time.Until(again))
			if !ok {
				break
			}
			got[a.ID] = a
		}
	}
	require.Equal(t, "accepted", got["handled"].Response.Status)
	require.Equal(t, "handled", got["handled"].Response.Subject)
	require.Nil(t, got["handled"].Err)
	require.Equal(t, fault.Invalid, got["invalid"].Err.Code)
	require.Nil(t, got["invalid"].Response)
	require.Equal(t, "accepted", got["early"].Response.Status, "it waited for its order, and its sender for the reply")
	dead := rabbitmqtest.Queue(t, url, b.topology.Dead()).Next(t)
	require.NotContains(t, dead.Headers, rabbitmq.HeaderReplyTo)
}

// TestRequestWithBadReplyToIsHandled: whatever the sender names as the place for the reply, his event is handled, and
// so are those after it, with their replies.
func TestRequestWithBadReplyToIsHandled(t *testing.T) {
	url := testenv.AMQP(t)
	handled := make(chan string, 16)
	b := startConsumer(t, url, func(c *rabbitmq.ConsumerConfig) {
		c.Reply, c.Prefetch, c.Handlers = wire.NestReply, 1, 1 // one after the other
		c.Handler = func(ctx context.Context, d rabbitmq.Delivery) error {
			return hand(ctx, handled, d.Message.CorrelationID)
		}
	})
	c := newCaller(t, url)
	waiting := map[string]bool{}
	for id, replyTo := range map[string]string{
		"nowhere": "no-such-queue-" + b.topology.Prefix, "itself": b.topology.Inbox(), "no-process": directReply + ".garbage", "none": "",
		// RabbitMQ 3.10 closes the connection of a client that sends there.
		"gone": directReply + ".g1h2AA5yZXBseUAyNjY5NzQ4NQAACQ8AAAAAZM1bPA==.Ac7eNPsDjL+fAvWvTBbZWA==",
	} {
		c.send(b.topology.Exchange, "shipment.dispatched", replyTo, id)
		waiting[id] = true
	}
	requests := uint64(len(waiting))
	for len(waiting) > 0 {
		delete(waiting, receive(t, handled))
	}
	// A reply may be lost with the connection that another one has had closed: asking again, as a client does, is answered.
	deadline := time.Now().Add(rabbitmqtest.Timeout)
	for replied := false; !replied; {
		require.True(t, time.Now().Before(deadline), "no reply")
		c.send(b.topology.Exchange, "shipment.dispatched", directReply, "again")
		for id := ""; id != "again"; { // one of those before may have come again
			id = receive(t, handled)
		}
		select {
		case d := <-c.replies:
			require.Equal(t, "again", d.CorrelationId)
			replied = true
		case <-time.After(time.Second):
		}
	}
	b.stats(t, func(s rabbitmq.ConsumerStats) bool { return s.Acknowledged >= requests && s.DeadLettered == 0 })
	require.Zero(t, rabbitmqtest.Depth(t, url, b.topology.Dead()))
}
