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

// probeTimeout bounds one probe.
const probeTimeout = 5 * time.Second

// recovery returns messages that wait because a dependency was down to their queue soon after it answers.
//
// A failed message waits longer with each attempt, so that after a few short outages it would wait for minutes although
// everything works. When a message has failed, recovery probes what the handler depends on. Once that answers, everything
// that waits is returned to its queue: at once when it had been seen not to answer, otherwise after a pause that doubles from one
// time to the next, because then the reason may be the message's own. Between two returns there is always the shortest
// delay, also when a dependency goes up and down.
//
// The first probe that succeeds counts as a recovery: the process that saw the outage may be gone.
type recovery struct {
	// probe reports whether the dependencies answer. every is the pause between two probes.
	probe func(context.Context) error
	every time.Duration
	// least and most bound the pause before what waits is returned although no outage was seen: the shortest and the longest
	// delay.
	least, most time.Duration
	// returnWaiting returns to their queue the messages that waited when it was called.
	returnWaiting func(context.Context) (returned int, err error)
	log           *slog.Logger

	// failed holds a token when a message waits that has failed since returnWaiting was called last.
	failed chan struct{}
	// pause is what the next return waits for, when no outage was seen; last is when there was one.
	pause time.Duration
	last  time.Time
}

// note notes that a message waits which has failed.
func (r *recovery) note() {
	select {
	case r.failed <- struct{}{}:
	default:
	}
}

// run returns when ctx ends.
func (r *recovery) run(ctx context.Context) {
	for r.await(ctx) {
		select {
		case <-r.failed: // it waits already, so that it is among those that are returned
		default:
		}
		returned, err := r.returnWaiting(ctx)
		r.last = time.Now()
		if returned > 0 || err != nil {
			r.log.LogAttrs(ctx, slog.LevelInfo, "dependencies answer: waiting messages are handled again",
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

// await waits until the dependencies answer and it is time. It reports false when ctx ended before.
func (r *recovery) await(ctx context.Context) bool {
	for began, down := time.Now(), false; ctx.Err() == nil; pause(ctx, r.every) {
		probe, cancel := context.WithTimeout(ctx, probeTimeout)
		err := r.probe(probe)
		cancel()
		switch {
		case ctx.Err() != nil: // it says nothing
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
