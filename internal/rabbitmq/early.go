package rabbitmq

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// returnWaiting returns the messages that wait at this moment to the queue that they came from, before their time is up: a copy
// is confirmed there before the message is acknowledged. The shortest wait queue is left alone. One process does so at a
// time. Each message is returned once: those that fail again while this runs are left where they are.
//
// Errors: Unavailable, also while another process does so, which may have begun before the newest of the messages failed; what is
// not acknowledged waits on.
func (c *Consumer) returnWaiting(ctx context.Context) (returned int, err error) {
	if err := c.WaitReady(ctx); err != nil {
		return 0, err
	}
	conn := c.conn.Load()
	if conn == nil {
		return 0, fault.Wrap(errConnecting, fault.Unavailable, "return waiting messages")
	}
	unlock, err := lock(conn, c.queue+".returning")
	if err != nil {
		return 0, err
	}
	defer unlock()
	run := rand.Text()
	for _, delay := range slices.Backward(c.cfg.Topology.WaitDelays[1:]) { // what has failed most often came first
		n, err := c.returnFrom(ctx, conn, WaitOf(c.queue, delay), run)
		returned += n
		if err != nil {
			return returned, err
		}
	}
	return returned, nil
}

const (
	// returnPrefetch is how many messages of a wait queue one consumer holds, at most.
	returnPrefetch = 16
	// returnIdle is after what time without a message the queue's length is read.
	returnIdle = 200 * time.Millisecond
)

// returnFrom returns the messages of one wait queue, in their order. Its channel is its own: what cannot be returned goes back
// to its place in the wait queue with the channel.
//
// It uses consume and not get: a quorum queue whose first message has expired answers a get that it is empty, takes the
// message out, and hands it to its dead-letter worker only with the next command to that queue, whenever that is.
func (c *Consumer) returnFrom(ctx context.Context, conn *connection, queue, run string) (count int, err error) {
	ch, err := conn.Channel()
	if err != nil {
		return 0, fault.Wrap(err, fault.Unavailable, "open channel")
	}
	defer func() { _ = ch.Close() }() // it may be closed already
	waiting, err := depth(ch, queue)
	if err != nil || waiting == 0 {
		return 0, err
	}
	messages, err := consume(ch, queue, returnPrefetch)
	if err != nil {
		return 0, err
	}
	from := &drainer{channel: ch, queue: queue, messages: messages}
	for seen := 0; seen < waiting; seen++ {
		raw, ok, err := from.next(ctx)
		if err != nil || !ok || raw.Headers[HeaderReturn] == run { // or it failed again: all that was there before has been returned
			return count, err
		}
		err = c.cfg.Publisher.Send(ctx, c.queue, returnedEarly(FromDelivery(&raw), run))
		if errors.Is(err, fault.Invalid) {
			continue // another client put it there, and it cannot be sent: it returns by its time to live
		}
		if err != nil {
			return count, err
		}
		if err := raw.Ack(false); err != nil {
			return count, fault.Wrap(err, fault.Unavailable, "acknowledge to %s", queue)
		}
		count++
		c.count(returned)
	}
	return count, nil
}

// lock takes a lock that the connections of all processes compete for: an exclusive queue that nothing is put into. It goes with the
// connection. The error is Unavailable when another connection has it.
func lock(conn *connection, name string) (unlock func(), err error) {
	ch, err := conn.Channel()
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "open channel")
	}
	_, err = ch.QueueDeclare(name, false, false, true, false, amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeClassic})
	if err != nil {
		_ = ch.Close() // it may be closed already
		return nil, fault.Wrap(err, fault.Unavailable, "declare %s", name)
	}
	return func() {
		_, _ = ch.QueueDelete(name, false, false, false) // or it goes with the connection
		_ = ch.Close()
	}, nil
}

// depth returns how many messages are ready in a queue; none when it does not exist: the next session declares it.
func depth(ch *amqp.Channel, queue string) (int, error) {
	state, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
	if refused(err, amqp.NotFound) {
		return 0, nil
	}
	return state.Messages, fault.Wrap(err, fault.Unavailable, "look at %s", queue)
}

// drainer takes the messages of a queue until it is empty.
type drainer struct {
	channel  *amqp.Channel
	queue    string
	messages <-chan amqp.Delivery
	// ended is set when consuming was ended: messages is closed after those that are on their way.
	ended bool
}

// next waits for the next message. It reports false when there are no more.
//
// When none is ready in the queue, one may still be on its way here: the answer to the end of consuming comes after it.
func (d *drainer) next(ctx context.Context) (raw amqp.Delivery, ok bool, err error) {
	idle := time.NewTicker(returnIdle)
	defer idle.Stop()
	for {
		select {
		case raw, ok := <-d.messages:
			if !ok && (!d.ended || d.channel.IsClosed()) {
				return raw, false, fault.Wrap(errCancelled, fault.Unavailable, "consume %s", d.queue)
			}
			return raw, ok, nil
		case <-idle.C:
			if d.ended {
				continue
			}
			waiting, err := depth(d.channel, d.queue)
			if err != nil {
				return raw, false, err
			}
			if waiting > 0 {
				continue
			}
			if err := d.channel.Cancel(consumerTag, false); err != nil {
				return raw, false, fault.Wrap(err, fault.Unavailable, "stop consuming %s", d.queue)
			}
			d.ended = true
		case <-ctx.Done():
			return raw, false, ctx.Err()
		}
	}
}

// returnedEarly is the copy of a waiting message that is returned before its time: as it is, without the broker's own headers, and
// with one more return.
func returnedEarly(m wire.Message, run string) wire.Message {
	m = withHeaders(m, map[string]any{HeaderEarly: int64(headerCount(m, HeaderEarly) + 1), HeaderReturn: run})
	for _, name := range brokerHeaders {
		delete(m.Headers, name)
	}
	return m
}
