package rabbitmq

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// ConsumerStats counts what became of messages since the consumer was made.
type ConsumerStats struct {
	// Handled counts calls of the handler.
	Handled uint64
	// Acknowledged counts messages that were done with.
	Acknowledged uint64
	// Redelivered and Parked count copies to wait queues.
	Redelivered, Parked uint64
	// DeadLettered counts copies to the dead letter queue.
	DeadLettered uint64
	// Returned counts messages that were returned from wait queues before their time.
	Returned uint64
	// Requeued counts messages that went back to their queue because nothing better could be done.
	Requeued uint64
	// Stale counts settlements that were dropped because the session of the delivery was over; the broker delivers
	// those messages again.
	Stale uint64
}

type counters struct {
	handled, acknowledged, redelivered, parked, deadLettered, returned, requeued, stale atomic.Uint64
}

// Stats returns the counts so far.
func (c *Consumer) Stats() ConsumerStats {
	return ConsumerStats{
		Handled: c.stats.handled.Load(), Acknowledged: c.stats.acknowledged.Load(), Redelivered: c.stats.redelivered.Load(),
		Parked: c.stats.parked.Load(), DeadLettered: c.stats.deadLettered.Load(), Returned: c.stats.returned.Load(), Requeued: c.stats.requeued.Load(),
		Stale: c.stats.stale.Load(),
	}
}

// handle is one handler goroutine.
func (c *Consumer) handle() {
	defer c.handlers.Done()
	for it := range c.work {
		c.settle(it, c.call(it.Delivery))
		c.end()
	}
}

// call runs the handler. Nobody needs to look into a body that is too large.
func (c *Consumer) call(d Delivery) (err error) {
	if len(d.Message.Body) > wire.MaxBody && !c.cfg.Dead {
		return fault.New(fault.TooLarge, "the body has %d bytes; at most %d are read", len(d.Message.Body), wire.MaxBody)
	}
	ctx, cancel := context.WithTimeout(c.lifetime, c.cfg.HandlerTimeout)
	defer cancel()
	defer func() {
		if reason := recover(); reason != nil {
			c.log(slog.LevelError, "handler panicked", d, slog.Any("panic", reason), slog.String("stack", string(debug.Stack())))
			err = fault.Wrap(fmt.Errorf("panic: %v", reason), fault.Internal, "handle message")
		}
	}()
	c.stats.handled.Add(1)
	began := time.Now()
	defer func() { c.cfg.Metrics.handled(c.link.role, time.Since(began)) }()
	return c.cfg.Handler(ctx, d)
}

// settle does what the outcome asks for, and acknowledges only after that.
func (c *Consumer) settle(it item, err error) {
	if c.session.Load() != it.Session {
		c.stale(it)
		return
	}
	if err != nil && (c.cfg.Dead || c.lifetime.Err() != nil) {
		c.log(slog.LevelWarn, "message stays in its queue", it.Delivery, slog.Any("error", err))
		c.requeue(it)
		return
	}
	now := c.cfg.Now()
	v := c.policy.decide(it.Delivery, err, now)
	counter, outcome := &c.stats.acknowledged, outcomeAcknowledged
	var moved error
	switch v.action {
	case acknowledge:
	case wait:
		counter, outcome = &c.stats.redelivered, outcomeRedelivered
		if v.parked > it.Parked {
			counter, outcome = &c.stats.parked, outcomeParked
		}
		c.log(slog.LevelWarn, "message is tried again later", it.Delivery, slog.Duration("retry_in", v.delay), slog.Any("error", err))
		moved = c.move(c.waitQueue(v.delay), c.marked(it.Delivery, v))
	case bury:
		counter, outcome = &c.stats.deadLettered, outcomeDeadLettered
		// Whoever keeps the letter logs it, with its ID: one line a letter.
		c.log(slog.LevelDebug, "message goes to the dead letters", it.Delivery, slog.String("reason", string(v.reason)), slog.Any("error", err))
		moved = c.move(c.cfg.Topology.Dead(), withHeaders(c.marked(it.Delivery, v), map[string]any{
			HeaderReason: string(v.reason), HeaderDetail: v.detail, HeaderFailedAt: stamp(now), HeaderDeath: uuid.NewString(),
		}))
	}
	// The copy may wait from here on, also when its confirm is late or the message cannot be acknowledged any more.
	if c.recovery != nil && v.action == wait && v.parked == it.Parked && v.delay > c.policy.delays[0] {
		c.recovery.note()
	}
	if moved != nil {
		c.log(slog.LevelError, "message could not be put aside and stays in its queue", it.Delivery, slog.Any("error", moved))
		c.requeue(it)
		return
	}
	if c.session.Load() != it.Session || it.raw.Ack(false) != nil {
		c.stale(it)
		return
	}
	c.tally(counter, outcome)
	if v.action != wait {
		c.reply(it.Delivery, err)
	}
}

// reply answers the sender of a message that is done with, if he waits for it. What goes wrong here concerns the reply alone.
// This service's own queues get none: there is nobody in them who waits.
func (c *Consumer) reply(d Delivery, err error) {
	to := d.Message.ReplyTo
	if c.replies == nil || to == "" || strings.HasPrefix(to, c.cfg.Topology.Prefix+".") {
		return
	}
	if m, waits := c.cfg.Reply(d.Message, err); waits {
		c.replies.send(to, m)
	}
}

// tally counts what became of a delivery.
func (c *Consumer) tally(counter *atomic.Uint64, outcome string) {
	c.cfg.Metrics.deliveries.WithLabelValues(c.link.role, outcome).Inc()
	counter.Add(1) // last: whoever has seen it finds the metric there
}

// marked is the copy of a message that waits or is dead, with the queue that it was handled from.
func (c *Consumer) marked(d Delivery, v verdict) wire.Message {
	more := map[string]any{HeaderQueue: c.queue}
	if v.action == wait && d.Message.ReplyTo != "" {
		more[HeaderReplyTo] = d.Message.ReplyTo
	}
	return withHeaders(marked(d, v.attempts, v.parked), more)
}

// move puts a copy into another queue and returns when it is confirmed there. It waits for the publisher's
// connection: the message is safe where it is.
func (c *Consumer) move(queue string, m wire.Message) error {
	if err := c.link.unsafe(queue); err != nil { // the publisher need not know the queues of a subscription
		return err
	}
	ctx, cancel := context.WithTimeout(c.lifetime, c.cfg.SettleTimeout)
	defer cancel()
	if err := c.cfg.Publisher.WaitReady(ctx); err != nil {
		return err
	}
	return c.cfg.Publisher.Send(ctx, queue, m)
}

// waitQueue is the queue to wait in for a delay: where that queue cannot be used, the next longer one that can, else the next
// shorter one.
func (c *Consumer) waitQueue(delay time.Duration) string {
	at := slices.Index(c.policy.delays, delay)
	for _, d := range c.policy.delays[at:] {
		if c.link.unsafe(WaitOf(c.queue, d)) == nil {
			return WaitOf(c.queue, d)
		}
	}
	for i := at - 1; i >= 0; i-- {
		if c.link.unsafe(WaitOf(c.queue, c.policy.delays[i])) == nil {
			return WaitOf(c.queue, c.policy.delays[i])
		}
	}
	return WaitOf(c.queue, delay) // the error says why
}

// requeue gives a message back after a pause, so that nothing spins. The inbox counts it as a delivery: reject
// does on every version. Dead letters are never counted out.
func (c *Consumer) requeue(it item) {
	pause(c.lifetime, c.cfg.RequeueDelay)
	var err error
	if c.cfg.Dead {
		err = it.raw.Nack(false, true)
	} else {
		err = it.raw.Reject(true)
	}
	if err != nil {
		c.stale(it)
		return
	}
	c.tally(&c.stats.requeued, outcomeRequeued)
}

// stale drops a settlement whose session is over. Its tag means nothing on another channel, and the broker has
// the message back already.
func (c *Consumer) stale(it item) {
	c.tally(&c.stats.stale, outcomeStale)
	c.log(slog.LevelDebug, "the session of a message is over: it comes again", it.Delivery)
}

func (c *Consumer) log(level slog.Level, text string, d Delivery, more ...slog.Attr) {
	c.link.log.LogAttrs(context.Background(), level, text, append([]slog.Attr{
		slog.String("message_id", d.Message.MessageID), slog.String("event_type", d.Message.Type),
		slog.String("routing_key", d.Message.RoutingKey), slog.Int("attempts", d.Attempts), slog.Uint64("session", d.Session),
	}, more...)...)
}
