package rabbitmq

import (
	"context"
	"errors"
	"log/slog"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// consumerTag names the one consumer of a channel.
const consumerTag = "ordersaga"

// serve is one session of a consumer.
func (c *Consumer) serve(ctx context.Context, conn *amqp.Connection, session uint64) error {
	ch, err := conn.Channel()
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "open channel")
	}
	closed := ch.NotifyClose(make(chan *amqp.Error, 1))
	cancelled := ch.NotifyCancel(make(chan string, 1))
	if err := ch.Qos(c.cfg.Prefetch, 0, false); err != nil {
		return fault.Wrap(err, fault.Unavailable, "set prefetch")
	}
	deliveries, err := ch.Consume(c.queue, consumerTag, false, false, false, false, nil)
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "consume %s", c.queue)
	}
	c.session.Store(session)
	defer c.session.Store(0)
	c.conn.Store(conn)
	defer c.conn.Store(nil)
	c.link.up(session)
	for {
		select {
		case <-ctx.Done():
			return c.finish(conn, ch, deliveries)
		case <-cancelled:
			return ended(closed)
		case d, ok := <-deliveries:
			if !ok {
				return ended(closed)
			}
			it := item{raw: d, Delivery: c.deliveryOf(&d, session)}
			c.begin()
			select {
			case c.work <- it:
			case <-cancelled: // also when the channel is closed: with all handlers busy, nothing else would say so
				c.end()
				return ended(closed)
			case <-ctx.Done():
				c.end()
				c.giveBack(d)
				return c.finish(conn, ch, deliveries)
			}
		}
	}
}

// errCancelled is the end of a session whose channel is still open. What the consumer holds is not its own any more, so
// that the connection is given up like one that was lost.
var errCancelled = errors.New("the broker cancelled the consumer: its queue is gone, or, from RabbitMQ 4.3, " +
	"a message was not acknowledged within consumer_timeout")

// ended says why deliveries ended: the channel was closed, or the broker cancelled the consumer.
func ended(closed <-chan *amqp.Error) error {
	select {
	case reason := <-closed:
		return closeError(reason)
	default:
		return errCancelled
	}
}

func (c *Consumer) begin() {
	c.handling.Add(1)
	c.running.Add(1)
	c.cfg.Metrics.inHand.WithLabelValues(c.link.role).Inc()
}

func (c *Consumer) end() {
	c.cfg.Metrics.inHand.WithLabelValues(c.link.role).Dec()
	c.running.Add(-1)
	c.handling.Done()
}

// finish drains the session: nothing new, what nobody works on goes back, what is worked on is awaited while the
// channel is still there to acknowledge it. A broker that does not answer any more is left when the drain is over.
func (c *Consumer) finish(conn *amqp.Connection, ch *amqp.Channel, deliveries <-chan amqp.Delivery) error {
	leave := context.AfterFunc(c.drain, func() { _ = conn.CloseDeadline(time.Now().Add(closeTimeout)) })
	if err := ch.Cancel(consumerTag, false); err == nil {
		for d := range deliveries {
			c.giveBack(d)
		}
	}
	leave()
	c.awaitHandlers()
	return nil
}

// giveBack returns a message that nobody has looked at to its queue. On brokers that count it, it counts as a
// delivery; nack counts nowhere from 4.3.
func (c *Consumer) giveBack(d amqp.Delivery) {
	if err := d.Nack(false, true); err != nil {
		c.link.log.LogAttrs(context.Background(), slog.LevelDebug, "message was not given back: it is back already", slog.Any("error", err))
	}
}

// deliveryOf returns what the handler sees of a message.
func (c *Consumer) deliveryOf(raw *amqp.Delivery, session uint64) Delivery {
	d := Delivery{Message: FromDelivery(raw), Session: session}
	d.Attempts, d.Parked = count(d.Message, HeaderAttempts), count(d.Message, HeaderParked)
	d.Early = count(d.Message, HeaderEarly)
	d.FirstSeen = moment(d.Message, HeaderFirstSeen)
	now := c.cfg.Now()
	if d.FirstSeen.IsZero() || d.FirstSeen.After(now) {
		d.FirstSeen = now
	}
	if c.cfg.Dead {
		return d // DeadLetterOf reads the rest
	}
	d.Message.Exchange, d.Message.RoutingKey = originOf(d.Message)
	if to, ok := d.Message.Headers[HeaderReplyTo].(string); ok && len(to) <= maxShort {
		d.Message.ReplyTo = to
	}
	return d
}

// originOf returns how a message first came. What cannot be an exchange or a routing key is a stranger's header.
func originOf(m wire.Message) (exchange, key string) {
	key, ok := m.Headers[HeaderOriginRoutingKey].(string)
	exchange, _ = m.Headers[HeaderOriginExchange].(string)
	if !ok || len(key) > maxShort || len(exchange) > maxShort {
		return m.Exchange, m.RoutingKey
	}
	return exchange, key
}
