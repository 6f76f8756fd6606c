package rabbitmq

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// returnWaiting returns the messages that wait now to their original queue, before their delay is over: a copy is confirmed there before
// the message is acknowledged. The shortest wait queue is skipped. One process does this at a time. Each message is returned once:
// messages that fail again meanwhile stay in their wait queue.
//
// Errors: Unavailable, also while another process returns messages, which may have started before the newest message failed. An
// unacknowledged message continues to wait.
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
	for _, delay := range slices.Backward(c.cfg.Topology.WaitDelays[1:]) { // the messages with most failures are the oldest
		n, err := c.returnFrom(ctx, conn, WaitOf(c.queue, delay), run)
		returned += n
		if err != nil {
			return returned, err
		}
	}
	return returned, nil
}

const (
	// returnPrefetch is the maximum number of messages of a wait queue that are held unacknowledged.
	returnPrefetch = 16
	// returnIdle is the time without a message after which the length of the queue is read.
	returnIdle = 200 * time.Millisecond
)

// returnFrom returns the messages of one wait queue, in order. It uses its own channel: when the channel closes, messages that were not
// returned go back to their place in the wait queue.
//
// It uses basic.consume, not basic.get: if the first message of a quorum queue has expired, RabbitMQ answers a get with "empty", takes
// the message out, and hands it to its dead-letter worker only at the next command to that queue.
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
		if err != nil || !ok || raw.Headers[HeaderReturn] == run { // returned by this run and failed again: all older messages are done
			return count, err
		}
		err = c.cfg.Publisher.Send(ctx, c.queue, returnedEarly(FromDelivery(&raw), run))
		if errors.Is(err, fault.Invalid) {
			continue // published by another client and cannot be sent: it returns when its time to live ends
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

// lock acquires a lock across processes: an exclusive queue without messages. It is released when the connection closes. The error is
// Unavailable if another connection holds it.
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
		_, _ = ch.QueueDelete(name, false, false, false) // on failure it is deleted when the connection closes
		_ = ch.Close()
	}, nil
}

// depth returns the number of ready messages in a queue; 0 if it does not exist: the next session declares it.
func depth(ch *amqp.Channel, queue string) (int, error) {
	state, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
	if refused(err, amqp.NotFound) {
		return 0, nil
	}
	return state.Messages, fault.Wrap(err, fault.Unavailable, "read length of %s", queue)
}

// drainer consumes a queue until it is empty.
type drainer struct {
	channel  *amqp.Channel
	queue    string
	messages <-chan amqp.Delivery
	// cancelled is set after basic.cancel: the client closes messages after those in transit.
	cancelled bool
}

// next waits for the next message; ok is false if there are no more.
//
// If the queue has no ready message, one may still be in transit: the answer to basic.cancel arrives after it.
func (d *drainer) next(ctx context.Context) (raw amqp.Delivery, ok bool, err error) {
	idle := time.NewTicker(returnIdle)
	defer idle.Stop()
	for {
		select {
		case raw, ok := <-d.messages:
			if !ok && (!d.cancelled || d.channel.IsClosed()) {
				return raw, false, fault.Wrap(errCancelled, fault.Unavailable, "consume %s", d.queue)
			}
			return raw, ok, nil
		case <-idle.C:
			if d.cancelled {
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
			d.cancelled = true
		case <-ctx.Done():
			return raw, false, ctx.Err()
		}
	}
}

// returnedEarly returns the copy of a waiting message for an early return: without the broker's headers, and with its Early count
// incremented.
func returnedEarly(m wire.Message, run string) wire.Message {
	m = withHeaders(m, map[string]any{HeaderEarly: int64(headerCount(m, HeaderEarly) + 1), HeaderReturn: run})
	for _, name := range brokerHeaders {
		delete(m.Headers, name)
	}
	return m
}

// probeTimeout bounds one probe.
const probeTimeout = 5 * time.Second

// recovery returns messages that wait because a dependency was down to their queue soon after the dependency recovers.
//
// A failed message waits longer after each attempt: after a few short outages it would wait for minutes although everything works. When
// a message has failed, recovery probes the dependencies of the handler. When they are available, it returns all waiting messages: at
// once if a probe had failed before, otherwise after a pause that doubles each time, because then the cause may be the message itself.
// Two returns are at least the shortest delay apart, also if a dependency keeps failing and recovering.
//
// In a new process the first successful probe counts as a recovery: the process that saw the outage may have ended.
type recovery struct {
	// probe returns nil if the dependencies are available; it is called at the interval every.
	probe func(context.Context) error
	every time.Duration
	// least and most bound the pause before a return without an observed outage: the shortest and the longest delay.
	least, most time.Duration
	// returnWaiting returns the messages that wait at the time of the call to their queue.
	returnWaiting func(context.Context) (returned int, err error)
	log           *slog.Logger

	// failed holds a token if a message has failed since the last call of returnWaiting.
	failed chan struct{}
	// pause is the pause before the next return if no outage is observed; last is the time of the last return.
	pause time.Duration
	last  time.Time
}

// noteFailure records that a failed message waits.
func (r *recovery) noteFailure() {
	select {
	case r.failed <- struct{}{}:
	default:
	}
}

// run returns when ctx ends.
func (r *recovery) run(ctx context.Context) {
	for r.await(ctx) {
		select {
		case <-r.failed: // that message already waits and is among the returned ones
		default:
		}
		returned, err := r.returnWaiting(ctx)
		r.last = time.Now()
		if returned > 0 || err != nil {
			r.log.LogAttrs(ctx, slog.LevelInfo, "dependencies are available; waiting messages returned to their queue",
				slog.Int("messages", returned), slog.Any("error", err))
		}
		if err != nil {
			continue // after the next pause
		}
		select {
		case <-r.failed:
		case <-ctx.Done():
		}
		if time.Since(r.last) > r.most {
			r.pause = r.least // the last return was long ago
		}
	}
}

// await waits until the dependencies are available and the pause is over. It returns false if ctx ends first.
func (r *recovery) await(ctx context.Context) bool {
	for began, down := time.Now(), false; ctx.Err() == nil; pause(ctx, r.every) {
		probe, cancel := context.WithTimeout(ctx, probeTimeout)
		err := r.probe(probe)
		cancel()
		switch {
		case ctx.Err() != nil: // the result is meaningless
		case err != nil:
			down = true
		case down && time.Since(r.last) >= r.least:
			r.pause = r.least
			return true
		case !down && time.Since(began) >= r.pause:
			r.pause = min(max(2*r.pause, r.least), r.most)
			return true
		}
	}
	return false
}
