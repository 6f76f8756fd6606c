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

// outcome is the result of a delivery: a value of the label outcome.
type outcome string

const (
	acknowledged outcome = "acknowledged"
	redelivered  outcome = "redelivered" // a copy waits for the next attempt
	parked       outcome = "parked"      // a copy waits for its order to exist
	deadLettered outcome = "dead_lettered"
	returned     outcome = "returned" // from a wait queue, before its delay was over
	requeued     outcome = "requeued" // it could not be moved
	stale        outcome = "stale"    // its session has ended: the broker delivers it again
)

// decision is the disposition of a handled message.
type decision struct {
	outcome outcome // acknowledged, redelivered, parked or deadLettered
	// delay is the waiting time of a redelivered or parked message.
	delay time.Duration
	// attempts and parked are the counters for the copy.
	attempts, parked int
}

// decide returns the disposition of a message whose handler returned err. It is pure.
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
			// Near the limit a shorter queue is chosen, so that the last attempt is not long after the limit.
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

// maxEarly is the number of early attempts that do not count. Without a limit, a message that always fails would never be
// dead-lettered while a dependency keeps failing and recovering.
const maxEarly = 20

// onTime returns how many attempts were made after their full delay.
func onTime(attempts, early int) int { return max(0, attempts-min(early, maxEarly)) }

// delay returns the delay after so many waits, at most limit if a queue with such a delay exists.
func (c ConsumerConfig) delay(waits int, limit time.Duration) time.Duration {
	delays := c.Topology.WaitDelays
	i := min(waits, len(delays)-1)
	for i > 0 && delays[i] > limit {
		i--
	}
	return delays[i]
}

// handle runs the handler. It refuses a body that is too large.
func (c *Consumer) handle(d Delivery) (err error) {
	if len(d.Message.Body) > wire.MaxBody && !c.cfg.Dead {
		return fault.New(fault.TooLarge, "the body has %d bytes; the maximum is %d", len(d.Message.Body), wire.MaxBody)
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

// dispose acknowledges a message. If handling failed, it first sends a copy to a wait queue or the dead letter queue.
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
	// From here on the copy may exist, even if its confirmation is late or the message cannot be acknowledged.
	if c.recovery != nil && next.outcome == redelivered && next.delay > c.cfg.Topology.WaitDelays[0] {
		c.recovery.noteFailure()
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
	c.log(slog.LevelWarn, "message will be retried", d, slog.Duration("retry_in", next.delay), slog.Any("error", err))
	m := failedCopy(d, c.queue, next.attempts, next.parked)
	if d.Message.ReplyTo != "" {
		m.Headers[HeaderReplyTo] = d.Message.ReplyTo
	}
	return c.move(c.waitQueue(next.delay), m)
}

// deadLetter sends a copy of a message to the dead letter queue. The consumer of that queue logs it at a higher level.
func (c *Consumer) deadLetter(d Delivery, next decision, err error) error {
	reason := string(fault.CodeOf(err))
	c.log(slog.LevelDebug, "message is dead-lettered", d, slog.String("reason", reason), slog.Any("error", err))
	return c.move(c.cfg.Topology.Dead(), withHeaders(failedCopy(d, c.queue, next.attempts, next.parked), map[string]any{
		HeaderReason: reason, HeaderDetail: detailOf(err), HeaderFailedAt: timeText(c.cfg.Now()), HeaderDeath: uuid.NewString(),
	}))
}

// reply sends a reply if the sender of the message expects one. Queues of this service get no replies.
func (c *Consumer) reply(d Delivery, err error) {
	to := d.Message.ReplyTo
	if c.cfg.Reply == nil || to == "" || strings.HasPrefix(to, c.cfg.Topology.Prefix+".") {
		return
	}
	if m, waits := c.cfg.Reply(d.Message, err); waits {
		c.replies.send(to, m)
	}
}

// move sends a copy to another queue and returns when it is confirmed. It waits for the publisher's connection: meanwhile the
// original message stays unacknowledged.
func (c *Consumer) move(queue string, m wire.Message) error {
	if err := c.link.unsafe(queue); err != nil { // the publisher may not have declared the queues of a subscription
		return err
	}
	ctx, cancel := context.WithTimeout(c.lifetime, c.cfg.MoveTimeout)
	defer cancel()
	if err := c.cfg.Publisher.WaitReady(ctx); err != nil {
		return err
	}
	return c.cfg.Publisher.Send(ctx, queue, m)
}

// waitQueue returns the queue for a delay. If it cannot be used, it returns the next longer usable one, otherwise the next shorter
// one.
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
	return WaitOf(c.queue, delay) // move returns the error
}

// requeue returns a message to its queue after a pause, which prevents a tight loop. For the inbox it counts as a delivery: a reject
// counts in every version of RabbitMQ. Dead letters are not counted.
func (c *Consumer) requeue(d Delivery) {
	pause(c.lifetime, c.cfg.RequeueDelay)
	reject := d.raw.Reject
	if c.cfg.Dead {
		reject = func(requeue bool) error { return d.raw.Nack(false, requeue) }
	}
	if reject(true) != nil {
		c.stale(d)
		return
	}
	c.count(requeued)
}

// stale drops the result of a message whose session has ended. Its delivery tag is invalid on another channel, and the broker has
// already requeued it.
func (c *Consumer) stale(d Delivery) {
	c.count(stale)
	c.log(slog.LevelDebug, "session of the message has ended; it will be redelivered", d)
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
