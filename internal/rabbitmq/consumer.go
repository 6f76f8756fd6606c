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

// Delivery is a message that is to be handled.
type Delivery struct {
	// Message is what the sender sent. Exchange and RoutingKey are the original ones, also when the message comes
	// out of a wait queue.
	Message wire.Message
	// Attempts counts the failed attempts before this one.
	Attempts int
	// Parked counts how often the message waited for its order.
	Parked int
	// Early counts how often the message was returned from a wait queue before its time.
	Early int
	// FirstSeen is when the message was delivered for the first time.
	FirstSeen time.Time
	// Session numbers the connection that it came over, from 1.
	Session uint64

	raw  amqp.Delivery
	conn *connection
}

// Handler handles one message. Any number of calls run at once, and the same message may come again, also while
// an earlier call with it still runs: a handler is idempotent. It returns soon after its context ends.
//
// What happens to the message follows from the code of the error, see fault.Spec: it is acknowledged, tried again
// later, parked, or dead-lettered. A panic is an Internal error.
type Handler func(ctx context.Context, d Delivery) error

// ConsumerConfig configures a Consumer.
type ConsumerConfig struct {
	Config
	// Handler is called for each message. Required.
	Handler Handler
	// Publisher puts messages into the wait and dead letter queues. Required unless Dead is set. The caller starts
	// it, and stops it after the consumer.
	Publisher *Publisher
	// Subscription names the subscription of the topology whose queue is consumed; the inbox when it is empty.
	Subscription string
	// Dead consumes the dead letter queue instead of the inbox. Nothing is moved from there: whatever the
	// error, the message stays in the queue and comes again.
	Dead bool
	// Prefetch is how many unacknowledged messages the broker lets this consumer have. Default 64.
	Prefetch int
	// Handlers is how many messages are handled at once, over all sessions. Default 16, at most Prefetch.
	Handlers int
	// HandlerTimeout bounds one call of the handler. The broker gives up after 30 minutes. Default 30 s.
	HandlerTimeout time.Duration
	// MaxAttempts is how often a message is handled before it is dead-lettered. Default 12: with the default delays that is three
	// quarters of an hour. The first 20 attempts that a message got before its time do not count.
	MaxAttempts int
	// ParkMax is how long after it was first seen a message waits for its order to appear. Default 5 min.
	ParkMax time.Duration
	// Probe reports whether what the handler depends on answers. With it, messages that wait because something was down are
	// handled again soon after it answers, instead of when their delay is over. It is called while messages have failed,
	// every ProbeEvery, with a context that ends after 5 s. Optional.
	Probe func(context.Context) error
	// ProbeEvery is the pause between two probes. Default 1 s.
	ProbeEvery time.Duration
	// MoveTimeout bounds putting a message into another queue, reconnecting included. Default 30 s.
	MoveTimeout time.Duration
	// RequeueDelay is the pause before a message goes back to its queue because it could not be put into another
	// one. Default 1 s.
	RequeueDelay time.Duration
	// Reply returns the answer to a message that is done with, for its sender in ReplyTo; ok is false when the sender does not wait
	// for one. err is the handler's, nil when the message was handled. It must not block. Optional. A reply is sent once the
	// message is acknowledged, and is lost when it cannot be sent at once.
	Reply func(m wire.Message, err error) (answer wire.Message, ok bool)
	// Now is the clock. Default time.Now.
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
	// slots holds a token for each handler that runs; handling counts them too. Only the link's goroutine adds.
	slots    chan struct{}
	handling sync.WaitGroup
	// lifetime is the context of every handler; cut ends it when a drain takes too long.
	lifetime context.Context
	cut      context.CancelFunc
	// recovery is nil without a probe.
	recovery *recovery
	replies  *replies

	start, stop sync.Once
	// drain is the context that bounds the drain; set before the link is stopped.
	drain context.Context
}

// NewConsumer returns a consumer that Start connects. The error is Invalid.
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
		c.queue, role = cfg.Topology.Dead(), "keeper"
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

// Start begins to connect and to consume, and returns at once.
func (c *Consumer) Start() {
	c.start.Do(func() {
		c.replies.run(c.lifetime)
		c.link.Start()
		if c.recovery != nil {
			c.link.running.Go(func() { c.recovery.run(c.link.ctx) })
		}
	})
}

// Stop takes no more messages, lets running handlers finish and acknowledges or moves what they handled, gives the rest back to
// the queue, and disconnects. When ctx ends before, the contexts of the handlers end too, their messages go back
// to the queue, and the error is ctx's. Later calls wait for the first.
func (c *Consumer) Stop(ctx context.Context) error {
	var err error
	c.stop.Do(func() {
		c.start.Do(func() {}) // it will never start now
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

// awaitHandlers waits until nothing is being handled; when the drain takes too long it ends the handlers'
// contexts first.
func (c *Consumer) awaitHandlers() {
	stop := context.AfterFunc(c.drain, func() {
		if len(c.slots) > 0 {
			c.cut()
		}
	})
	defer stop()
	c.handling.Wait()
}
