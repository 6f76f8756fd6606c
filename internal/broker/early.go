package broker

import (
	"context"
	"errors"
	"slices"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ordersaga/ordersaga/internal/event/wire"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// returnWaiting returns the messages that wait at this moment to the queue that they came from, before their time is up: a copy
// is confirmed there before the message is acknowledged. The shortest wait queue is left alone. Several consumers may
// do so at once: each message is in the hands of one of them. Those that fail again while this runs are behind the ones that are
// returned, and are left where they are.
//
// It returns how many it has returned. Errors: Unavailable; what is not acknowledged waits on.
func (c *Consumer) returnWaiting(ctx context.Context) (returned int, err error) {
	if err := c.link.wait(ctx); err != nil {
		return 0, err
	}
	conn := c.conn.Load()
	if conn == nil {
		return 0, fault.Wrap(errConnecting, fault.Unavailable, "return waiting messages")
	}
	delays := slices.Clone(c.policy.delays[1:])
	slices.Reverse(delays) // what has failed most often came first
	for _, delay := range delays {
		n, err := c.returnFrom(ctx, conn, WaitOf(c.queue, delay))
		returned += n
		if err != nil {
			return returned, err
		}
	}
	return returned, nil
}

// returnFrom returns the messages of one wait queue, in their order. Its channel is its own: what cannot be returned goes back
// to its place in the wait queue with the channel.
func (c *Consumer) returnFrom(ctx context.Context, conn *amqp.Connection, queue string) (returned int, err error) {
	ch, err := conn.Channel()
	if err != nil {
		return 0, fault.Wrap(err, fault.Unavailable, "open channel")
	}
	defer func() { _ = ch.Close() }() // it may be closed already
	state, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
	if refused(err, amqp.NotFound) {
		return 0, nil // the next session declares it
	}
	if err != nil {
		return 0, fault.Wrap(err, fault.Unavailable, "look at %s", queue)
	}
	for range state.Messages {
		raw, ok, err := ch.Get(queue, false)
		if err != nil {
			return returned, fault.Wrap(err, fault.Unavailable, "get from %s", queue)
		}
		if !ok || ctx.Err() != nil {
			return returned, ctx.Err()
		}
		err = c.cfg.Publisher.Send(ctx, c.queue, returnedEarly(FromDelivery(&raw)))
		if errors.Is(err, fault.Invalid) {
			continue // put there by somebody else, and nothing that can be sent: it returns by its time to live
		}
		if err != nil {
			return returned, err
		}
		if err := raw.Ack(false); err != nil {
			return returned, fault.Wrap(err, fault.Unavailable, "acknowledge to %s", queue)
		}
		returned++
		c.tally(&c.stats.returned, outcomeReturned)
	}
	return returned, nil
}

// returnedEarly is the copy of a waiting message that is returned before its time: as it is, but for the broker's own headers, and
// with one more return.
func returnedEarly(m wire.Message) wire.Message {
	early := count(m, HeaderEarly) + 1
	m = withHeaders(m, map[string]any{HeaderEarly: int64(early)})
	for _, name := range brokerHeaders {
		delete(m.Headers, name)
	}
	return m
}
