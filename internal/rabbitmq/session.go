package rabbitmq

import (
	"context"
	"errors"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// consumerTag is the tag of the only consumer of a channel.
const consumerTag = "ordersaga"

func (c *Consumer) serve(ctx context.Context, conn *connection, session uint64) error {
	ch, err := conn.Channel()
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "open channel")
	}
	closed := ch.NotifyClose(make(chan *amqp.Error, 1))
	cancelled := ch.NotifyCancel(make(chan string, 1))
	deliveries, err := consume(ch, c.queue, c.cfg.Prefetch)
	if err != nil {
		return err
	}
	c.conn.Store(conn)
	defer c.conn.Store(nil)
	c.link.up(session)
	inHand := c.cfg.Metrics.unacknowledged.WithLabelValues(c.link.role)
	for {
		select {
		case <-ctx.Done():
			return c.finish(conn, ch, deliveries)
		case <-cancelled:
			return endReason(closed)
		case raw, ok := <-deliveries:
			if !ok {
				return endReason(closed)
			}
			inHand.Inc()
			select {
			case c.slots <- struct{}{}:
				c.handling.Go(func() {
					d := c.deliveryOf(raw, conn, session)
					c.dispose(d, c.handle(d))
					inHand.Dec()
					<-c.slots
				})
				continue
			case <-cancelled: // also sent when the channel closes: while all handlers are busy, deliveries is not read
				err = endReason(closed)
			case <-ctx.Done():
				requeueUnhandled(raw)
				err = c.finish(conn, ch, deliveries)
			}
			inHand.Dec()
			return err
		}
	}
}

// consume starts consuming a queue.
func consume(ch *amqp.Channel, queue string, prefetch int) (<-chan amqp.Delivery, error) {
	err := ch.Qos(prefetch, 0, false)
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "set prefetch")
	}
	deliveries, err := ch.Consume(queue, consumerTag, false, false, false, false, nil)
	return deliveries, fault.Wrap(err, fault.Unavailable, "consume %s", queue)
}

// errCancelled ends a session whose channel is still open. The consumer no longer owns its messages, so the connection is closed like a
// lost one.
var errCancelled = errors.New("the broker cancelled the consumer: its queue is gone, or, from RabbitMQ 4.3, " +
	"a message was not acknowledged within consumer_timeout")

// endReason returns why deliveries ended: the channel was closed, or the broker cancelled the consumer.
func endReason(closed <-chan *amqp.Error) error {
	select {
	case reason := <-closed:
		return closeError(reason)
	default:
		return errCancelled
	}
}

// finish drains the session: it stops consuming, requeues unhandled messages, and waits for running handlers while the channel is open for
// their acknowledgements. If the broker does not answer, it closes the connection when the drain context ends.
func (c *Consumer) finish(conn *connection, ch *amqp.Channel, deliveries <-chan amqp.Delivery) error {
	stop := conn.closeAfter(c.drain)
	if err := ch.Cancel(consumerTag, false); err == nil {
		for d := range deliveries {
			requeueUnhandled(d)
		}
	}
	stop()
	c.awaitHandlers()
	return nil
}

// requeueUnhandled returns an unhandled message to its queue; if the channel is closed, the broker has already done so. Up to RabbitMQ
// 4.2 it counts as a delivery.
func requeueUnhandled(d amqp.Delivery) { _ = d.Nack(false, true) }

// deliveryOf returns the delivery for the handler.
func (c *Consumer) deliveryOf(raw amqp.Delivery, conn *connection, session uint64) Delivery {
	m := FromDelivery(&raw)
	d := Delivery{raw: raw, conn: conn, Message: m, Session: session, Attempts: headerCount(m, HeaderAttempts), Parked: headerCount(m, HeaderParked),
		Early: headerCount(m, HeaderEarly), FirstSeen: headerTime(m, HeaderFirstSeen)}
	if now := c.cfg.Now(); d.FirstSeen.IsZero() || d.FirstSeen.After(now) {
		d.FirstSeen = now
	}
	if c.cfg.Dead {
		return d // LetterOf reads the other headers
	}
	d.Message.Exchange, d.Message.RoutingKey = originOf(m)
	if to, ok := m.Headers[HeaderReplyTo].(string); ok && len(to) <= maxShort {
		d.Message.ReplyTo = to
	}
	return d
}
