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
// time. Each message is returned once: those that fail again while this runs are left where
// they are.
//
// It returns how many it has returned. Errors: Unavailable, also while another process does so, which may have begun before the newest
// of them failed; what is not acknowledged waits on.
func (c *Consumer) returnWaiting(ctx context.Context) (returned int, err error) {
	if err := c.link.wait(ctx); err != nil {
		return 0, err
	}
	conn := c.conn.Load()
	if conn == nil {
		return 0, fault.Wrap(errConnecting, fault.Unavailable, "return waiting messages")
	}
	free, err := lock(conn, c.queue+".returning")
	if err != nil {
		return 0, err
	}
	defer free()
	run := rand.Text()
	delays := slices.Clone(c.policy.delays[1:])
	slices.Reverse(delays) // what has failed most often came first
	for _, delay := range delays {
		n, err := c.returnFrom(ctx, conn, WaitOf(c.queue, delay), run)
		returned += n
		if err != nil {
			return returned, err
		}
	}
	return returned, nil
}

const (
	// returnPrefetch is how many messages of a wait queue are in the hands of one consumer, at most.
	returnPrefetch = 16
	// returnIdle is after what time without a message it is looked whether there are any.
	returnIdle = 200 * time.Millisecond
)

// returnFrom returns the messages of one wait queue, in their order. Its channel is its own: what cannot be returned goes back
// to its place in the wait queue with the channel.
//
// It consumes, and does not get: a quorum queue whose first message has expired answers a get that it is empty, takes the
// message out, and hands it to its dead-letter worker only with the next command to that queue, whenever that is.
func (c *Consumer) returnFrom(ctx context.Context, conn *amqp.Connection, queue, run string) (returned int, err error) {
	ch, err := conn.Channel()
	if err != nil {
		return 0, fault.Wrap(err, fault.Unavailable, "open channel")
	}
	defer func() { _ = ch.Close() }() // it may be closed already
	waiting, err := depth(ch, queue)
	if err != nil || waiting == 0 {
		return 0, err
	}
	if err := ch.Qos(returnPrefetch, 0, false); err != nil {
		return 0, fault.Wrap(err, fault.Unavailable, "set prefetch")
	}
	messages, err := ch.Consume(queue, consumerTag, false, false, false, false, nil)
	if err != nil {
		return 0, fault.Wrap(err, fault.Unavailable, "consume %s", queue)
	}
	from := &source{channel: ch, queue: queue, messages: messages}
	for seen := 0; seen < waiting; seen++ {
		raw, ok, err := from.next(ctx)
		if err != nil || !ok {
			return returned, err
		}
		if raw.Headers[HeaderReturn] == run {
			return returned, nil // it has failed again: what was there when this began has been returned
		}
		err = c.cfg.Publisher.Send(ctx, c.queue, returnedEarly(FromDelivery(&raw), run))
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

// lock takes a lock that the connections of all processes compete for: an exclusive queue that nothing is put into. It goes with the
// connection. The error is Unavailable when another connection has it.
func lock(conn *amqp.Connection, name string) (free func(), err error) {
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

// source takes the messages of a queue until it is empty.
type source struct {
	channel  *amqp.Channel
	queue    string
	messages <-chan amqp.Delivery
	// ended is set when no more messages are asked for: messages is closed behind those that are here.
	ended bool
}

// next waits for the next message. It reports false when there are no more.
//
// That none is ready does not say that none is on its way here: the answer to the end of consuming comes behind those that are.
func (s *source) next(ctx context.Context) (raw amqp.Delivery, ok bool, err error) {
	idle := time.NewTicker(returnIdle)
	defer idle.Stop()
	for {
		select {
		case raw, ok := <-s.messages:
			if !ok && (!s.ended || s.channel.IsClosed()) {
				return raw, false, fault.Wrap(errCancelled, fault.Unavailable, "consume %s", s.queue)
			}
			return raw, ok, nil
		case <-idle.C:
			if s.ended {
				continue
			}
			waiting, err := depth(s.channel, s.queue)
			if err != nil {
				return raw, false, err
			}
			if waiting > 0 {
				continue
			}
			if err := s.channel.Cancel(consumerTag, false); err != nil {
				return raw, false, fault.Wrap(err, fault.Unavailable, "stop consuming %s", s.queue)
			}
			s.ended = true
		case <-ctx.Done():
			return raw, false, ctx.Err()
		}
	}
}

// returnedEarly is the copy of a waiting message that is returned before its time: as it is, but for the broker's own headers, and
// with one more return.
func returnedEarly(m wire.Message, run string) wire.Message {
	early := count(m, HeaderEarly) + 1
	m = withHeaders(m, map[string]any{HeaderEarly: int64(early), HeaderReturn: run})
	for _, name := range brokerHeaders {
		delete(m.Headers, name)
	}
	return m
}
