package rabbitmq

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// outcome is what happened to a delivery: a value of the label outcome.
type outcome string

const (
	acknowledged outcome = "acknowledged"
	redelivered  outcome = "redelivered" // a copy waits for the next attempt
	parked       outcome = "parked"      // a copy waits for its order
	deadLettered outcome = "dead_lettered"
	returned     outcome = "returned" // from a wait queue, before its time
	requeued     outcome = "requeued" // went back to its queue because it could not be moved
	stale        outcome = "stale"    // its session was over: the broker delivers it again
)

// decision is what to do with a message after it was handled.
type decision struct {
	outcome outcome // acknowledged, redelivered, parked or deadLettered
	// delay is how long a message that is redelivered or parked waits.
	delay time.Duration
	// attempts and parked are the counts that it takes with it.
	attempts, parked int
}

// decide says what happens to a message whose handler returned err. It is pure; the meaning of the codes is fault's.
func (c ConsumerConfig) decide(d Delivery, err error, now time.Time) decision {
	if err == nil {
		return decision{outcome: acknowledged}
	}
	next := decision{outcome: deadLettered, attempts: d.Attempts, parked: d.Parked}
	switch fault.Lookup(fault.CodeOf(err)).Disposition {
	case fault.Acknowledge:
		return decision{outcome: acknowledged}
	case fault.Park:
		next.parked++
		if left := d.FirstSeen.Add(c.ParkMax).Sub(now); left > 0 {
			// The last attempt comes near the limit, not long after it.
			next.outcome, next.delay = parked, c.delay(onTime(d.Parked, d.Early), left)
		}
	case fault.Redeliver:
		next.attempts++
		if waits := onTime(d.Attempts, d.Early); waits+1 < c.MaxAttempts {
			next.outcome, next.delay = redelivered, c.delay(waits, math.MaxInt64)
		}
	default:
		next.attempts++
	}
	return next
}

// maxEarly is how many attempts before their time are free. Without a limit a message that always fails, on a system that always
// comes and goes, would never be a dead letter.
const maxEarly = 20

// onTime returns how many of so many attempts came after their delay.
func onTime(attempts, early int) int { return max(0, attempts-min(early, maxEarly)) }

// delay returns the delay after so many earlier waits, not longer than limit as far as there is a queue for that.
func (c ConsumerConfig) delay(waits int, limit time.Duration) time.Duration {
	delays := c.Topology.WaitDelays
	i := min(waits, len(delays)-1)
	for i > 0 && delays[i] > limit {
		i--
	}
	return delays[i]
}

// handle runs the handler. A body that is too large is not handled.
func (c *Consumer) handle(d Delivery) (err error) {
	if len(d.Message.Body) > wire.MaxBody && !c.cfg.Dead {
		return fault.New(fault.TooLarge, "the body has %d bytes; at most %d are read", len(d.Message.Body), wire.MaxBody)
	}
	ctx, cancel := context.WithTimeout(c.lifetime, c.cfg.HandlerTimeout)
	defer cancel()
	began := time.Now()
	defer func() {
		if reason := recover(); reason != nil {
			c.log(slog.LevelError, "handler panicked", d, slog.Any("panic", reason), slog.String("stack", string(debug.Stack())))
			err = fault.Wrap(fmt.Errorf("panic: %v", reason), fault.Internal, "handle message")
		}
		c.cfg.Metrics.handler.WithLabelValues(c.link.role).Observe(time.Since(began).Seconds())
	}()
	return c.cfg.Handler(ctx, d)
}

// dispose acknowledges a message that was handled; before that, it puts a copy of one that failed into a wait queue or the dead
// letter queue.
func (c *Consumer) dispose(d Delivery, err error) {
	if c.conn.Load() != d.conn {
		c.stale(d)
		return
	}
	if err != nil && (c.cfg.Dead || c.lifetime.Err() != nil) {
		c.log(slog.LevelWarn, "message stays in its queue", d, slog.Any("error", err))
		c.requeue(d)
		return
	}
	next := c.cfg.decide(d, err, c.cfg.Now())
	var notMoved error
	switch next.outcome {
	case redelivered, parked:
		notMoved = c.retryLater(d, next, err)
	case deadLettered:
		notMoved = c.deadLetter(d, next, err)
	}
	// The copy may wait from here on, also when its confirm is late or the message cannot be acknowledged any more.
	if c.recovery != nil && next.outcome == redelivered && next.delay > c.cfg.Topology.WaitDelays[0] {
		c.recovery.note()
	}
	if notMoved != nil {
		c.log(slog.LevelError, "message could not be moved and stays in its queue", d, slog.Any("error", notMoved))
		c.requeue(d)
		return
	}
	if c.conn.Load() != d.conn || d.raw.Ack(false) != nil {
		c.stale(d)
		return
	}
	c.count(next.outcome)
	if next.outcome == acknowledged || next.outcome == deadLettered {
		c.reply(d, err)
	}
}

func (c *Consumer) retryLater(d Delivery, next decision, err error) error {
	c.log(slog.LevelWarn, "message is tried again later", d, slog.Duration("retry_in", next.delay), slog.Any("error", err))
	m := failedCopy(d, c.queue, next.attempts, next.parked)
	if d.Message.ReplyTo != "" {
		m.Headers[HeaderReplyTo] = d.Message.ReplyTo
	}
	return c.move(c.waitQueue(next.delay), m)
}

// deadLetter puts a copy of a message into the dead letter queue. The consumer of that queue logs it at a higher level.
func (c *Consumer) deadLetter(d Delivery, next decision, err error) error {
	reason := string(fault.CodeOf(err))
	c.log(slog.LevelDebug, "message is dead-lettered", d, slog.String("reason", reason), slog.Any("error", err))
	return c.move(c.cfg.Topology.Dead(), withHeaders(failedCopy(d, c.queue, next.attempts, next.parked), map[string]any{
		HeaderReason: reason, HeaderDetail: detailOf(err), HeaderFailedAt: timeText(c.cfg.Now()), HeaderDeath: uuid.NewString(),
	}))
}

// reply answers the sender of a message that is done with, if it waits for that. This service's own queues get no replies.
func (c *Consumer) reply(d Delivery, err error) {
	to := d.Message.ReplyTo
	if c.cfg.Reply == nil || to == "" || strings.HasPrefix(to, c.cfg.Topology.Prefix+".") {
		return
	}
	if m, waits := c.cfg.Reply(d.Message, err); waits {
		c.replies.send(to, m)
	}
}

// move puts a copy into another queue and returns when it is confirmed there. It waits for the publisher's
// connection: the message is safe where it is.
func (c *Consumer) move(queue string, m wire.Message) error {
	if err := c.link.unsafe(queue); err != nil { // the publisher need not know the queues of a subscription
		return err
	}
	ctx, cancel := context.WithTimeout(c.lifetime, c.cfg.MoveTimeout)
	defer cancel()
	if err := c.cfg.Publisher.WaitReady(ctx); err != nil {
		return err
	}
	return c.cfg.Publisher.Send(ctx, queue, m)
}

// waitQueue is the queue to wait in for a delay: where that queue cannot be used, the next longer one that can, else the next
// shorter one.
func (c *Consumer) waitQueue(delay time.Duration) string {
	delays := c.cfg.Topology.WaitDelays
	at := slices.Index(delays, delay)
	shorter := slices.Clone(delays[:at])
	slices.Reverse(shorter)
	for _, d := range slices.Concat(delays[at:], shorter) {
		if c.link.unsafe(WaitOf(c.queue, d)) == nil {
			return WaitOf(c.queue, d)
		}
	}
	return WaitOf(c.queue, delay) // move returns the reason
}

// requeue gives a message back after a pause, so that it does not come again at once and without end. The inbox counts it as a
// delivery: reject does on every version. Dead letters are not counted.
func (c *Consumer) requeue(d Delivery) {
	pause(c.lifetime, c.cfg.RequeueDelay)
	giveBack := d.raw.Reject
	if c.cfg.Dead {
		giveBack = func(requeue bool) error { return d.raw.Nack(false, requeue) }
	}
	if giveBack(true) != nil {
		c.stale(d)
		return
	}
	c.count(requeued)
}

// stale drops the result for a message whose session is over. Its tag means nothing on another channel, and the broker has the
// message back already.
func (c *Consumer) stale(d Delivery) {
	c.count(stale)
	c.log(slog.LevelDebug, "the session of a message is over: it comes again", d)
}

func (c *Consumer) count(o outcome) {
	c.cfg.Metrics.deliveries.WithLabelValues(c.link.role, string(o)).Inc()
}

func (c *Consumer) log(level slog.Level, text string, d Delivery, more ...slog.Attr) {
	c.link.log.LogAttrs(context.Background(), level, text, append([]slog.Attr{
		slog.String("message_id", d.Message.MessageID), slog.String("event_type", d.Message.Type),
		slog.String("routing_key", d.Message.RoutingKey), slog.Int("attempts", d.Attempts), slog.Uint64("session", d.Session),
	}, more...)...)
}
