package rabbitmq

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// Delivery is one delivery of a message.
type Delivery struct {
	// Message is the message as published. Exchange and RoutingKey are the original ones, also when the message returns from a wait
	// queue.
	Message wire.Message
	// Attempts counts the failed attempts before this one.
	Attempts int
	// Parked counts how often the message has waited for its order to exist.
	Parked int
	// Early counts how often the message was returned from a wait queue before its delay was over.
	Early int
	// FirstSeen is when the message was delivered for the first time.
	FirstSeen time.Time
	// Session is the number of the session that delivered the message, from 1.
	Session uint64

	raw  amqp.Delivery
	conn *connection
}

// Handler handles one message. Calls run concurrently, and the same message may be delivered again while an earlier call still runs: a
// handler must be idempotent. It must return soon after its context ends.
//
// The code of the error decides what happens to the message (fault.Spec): acknowledge, retry later, park, or dead-letter. A panic counts
// as an Internal error.
type Handler func(ctx context.Context, d Delivery) error

// ConsumerConfig configures a Consumer.
type ConsumerConfig struct {
	Config
	// Handler is called for each message. Required.
	Handler Handler
	// Publisher sends messages to the wait queues and the dead letter queue. Required unless Dead is set. The caller starts it, and
	// stops it after the consumer.
	Publisher *Publisher
	// Subscription names a subscription of the topology to consume. Default: the inbox.
	Subscription string
	// Dead consumes the dead letter queue instead. A message whose handler fails stays in that queue and is delivered again.
	Dead bool
	// Prefetch is the maximum number of unacknowledged messages. Default 64.
	Prefetch int
	// Handlers is the maximum number of concurrent handlers, over all sessions. Default 16, at most Prefetch.
	Handlers int
	// HandlerTimeout bounds one call of the handler. It must be below the broker's consumer_timeout, 30 minutes. Default 30 s.
	HandlerTimeout time.Duration
	// MaxAttempts is the number of attempts before a message is dead-lettered. Default 12: with the default delays that takes 45
	// minutes. The first 20 attempts after an early return do not count.
	MaxAttempts int
	// ParkMax is how long, from its first delivery, a message waits for its order to exist. Default 5 min.
	ParkMax time.Duration
	// Probe returns nil if the dependencies of the handler are available. With it, messages that wait because a dependency was down are
	// handled again soon after it recovers, before their delay is over. It is called every ProbeEvery while failed messages wait,
	// with a context that ends after 5 s. Optional.
	Probe func(context.Context) error
	// ProbeEvery is the interval between two probes. Default 1 s.
	ProbeEvery time.Duration
	// MoveTimeout bounds sending a message to another queue, including reconnects. Default 30 s.
	MoveTimeout time.Duration
	// RequeueDelay is the pause before a message that could not be moved is requeued. Default 1 s.
	RequeueDelay time.Duration
	// Reply returns the reply to a message that was handled or dead-lettered; ok is false if its sender expects none. err is the
	// handler's error. It must not block. Optional. A reply is sent after the message is acknowledged, and is dropped if it cannot be
	// sent at once.
	Reply func(m wire.Message, err error) (answer wire.Message, ok bool)
	// Now default: time.Now.
	Now func() time.Time
}

func (c ConsumerConfig) withDefaults() ConsumerConfig {
	c.Config = c.Config.withDefaults()
	c.Prefetch = cmp.Or(c.Prefetch, 64)
	c.Handlers = cmp.Or(c.Handlers, min(16, c.Prefetch))
	c.HandlerTimeout = cmp.Or(c.HandlerTimeout, 30*time.Second)
	c.MaxAttempts = cmp.Or(c.MaxAttempts, 12)
	c.ParkMax = cmp.Or(c.ParkMax, 5*time.Minute)
	c.ProbeEvery = cmp.Or(c.ProbeEvery, time.Second)
	c.MoveTimeout = cmp.Or(c.MoveTimeout, 30*time.Second)
	c.RequeueDelay = cmp.Or(c.RequeueDelay, time.Second)
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

func (c ConsumerConfig) validate() error {
	p := c.problems()
	p.require(c.Handler != nil, "/handler", "is missing")
	p.require(c.Publisher != nil || c.Dead, "/publisher", "is missing")
	known := func(s Subscription) bool { return s.Name == c.Subscription }
	p.require(c.Subscription == "" || slices.ContainsFunc(c.Topology.Subscriptions, known),
		"/subscription", "%q is not in the topology", c.Subscription)
	p.require(c.Handlers >= 1 && c.Handlers <= c.Prefetch && c.Prefetch <= math.MaxUint16,
		"/prefetch", "must be at least handlers, which must be at least 1")
	p.require(c.MaxAttempts >= 1, "/maxAttempts", "must be at least 1")
	p.require(min(c.ProbeEvery, c.HandlerTimeout, c.ParkMax, c.MoveTimeout, c.RequeueDelay) >= 0,
		"/handlerTimeout", "no time may be below 0")
	return fault.NewInvalid("consumer configuration", p)
}

// Consumer hands the messages of the inbox, of a subscription or of the dead letter queue to a handler.
type Consumer struct {
	*link
	cfg   ConsumerConfig
	queue string
	// conn is the current session's connection, nil between sessions.
	conn atomic.Pointer[connection]
	// slots holds a token for each running handler; handling counts them as well. Only the link's goroutine adds.
	slots    chan struct{}
	handling sync.WaitGroup
	// lifetime is the context of every handler. cut cancels it when a drain takes too long.
	lifetime context.Context
	cut      context.CancelFunc
	// recovery is nil without a probe.
	recovery *recovery
	replies  *replies

	start, stop sync.Once
	// drain bounds the drain. It is set before the link is stopped.
	drain context.Context
}

// NewConsumer returns a consumer that is not connected. The error is Invalid.
func NewConsumer(cfg ConsumerConfig) (*Consumer, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	c := &Consumer{cfg: cfg, queue: cfg.Topology.Inbox(), slots: make(chan struct{}, cfg.Handlers), replies: newReplies(cfg.Config)}
	role := "consumer"
	if cfg.Subscription != "" {
		c.queue, role = cfg.Topology.Queue(cfg.Subscription), cfg.Subscription
	}
	if cfg.Dead {
		c.queue, role = cfg.Topology.Dead(), "dead-letters"
	}
	c.link = newLink(cfg.Config, role)
	c.link.serve = c.serve
	c.lifetime, c.cut = context.WithCancel(context.Background())
	if delays := cfg.Topology.WaitDelays; cfg.Probe != nil && !cfg.Dead && len(delays) > 1 {
		c.recovery = &recovery{
			probe: cfg.Probe, every: cfg.ProbeEvery, least: delays[0], most: delays[len(delays)-1],
			returnWaiting: c.returnWaiting, log: c.link.log, failed: make(chan struct{}, 1),
		}
	}
	return c, nil
}

// Start begins to connect and consume. It does not block.
func (c *Consumer) Start() {
	c.start.Do(func() {
		c.replies.run(c.lifetime)
		c.link.Start()
		if c.recovery != nil {
			c.link.running.Go(func() { c.recovery.run(c.link.ctx) })
		}
	})
}

// Stop stops consuming, waits until running handlers have finished and their messages are acknowledged or moved, requeues the other
// messages, and disconnects. If ctx ends first, the contexts of the handlers end too, their messages are requeued, and the error is
// ctx's. Later calls wait for the first.
func (c *Consumer) Stop(ctx context.Context) error {
	var err error
	c.stop.Do(func() {
		c.start.Do(func() {}) // a later Start has no effect
		c.drain = ctx
		c.link.stop()
		c.awaitHandlers()
		if c.lifetime.Err() != nil { // the drain was cut short
			err = ctx.Err()
		}
		defer context.AfterFunc(ctx, c.cut)()
		c.replies.stop()
		c.cut()
	})
	return err
}

// awaitHandlers waits until no handler runs. When c.drain ends, it cancels the handlers' contexts.
func (c *Consumer) awaitHandlers() {
	stop := context.AfterFunc(c.drain, func() {
		if len(c.slots) > 0 {
			c.cut()
		}
	})
	defer stop()
	c.handling.Wait()
}
