package rabbitmq

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"golang.org/x/sync/semaphore"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// PublisherConfig configures a Publisher.
type PublisherConfig struct {
	Config
	// ConfirmTimeout is the time to wait for a confirmation before the message is published again. Default 10 s.
	ConfirmTimeout time.Duration
	// PublishTimeout bounds the attempts to publish one message, over reconnects and nacks. Default 30 s.
	PublishTimeout time.Duration
	// Headers returns additional headers from the context of a publication, such as traceparent. Optional.
	Headers func(context.Context) map[string]string
}

func (c PublisherConfig) withDefaults() PublisherConfig {
	c.Config = c.Config.withDefaults()
	c.ConfirmTimeout = cmp.Or(c.ConfirmTimeout, 10*time.Second)
	c.PublishTimeout = cmp.Or(c.PublishTimeout, 30*time.Second)
	return c
}

func (c PublisherConfig) validate() error {
	p := c.problems()
	p.require(min(c.ConfirmTimeout, c.PublishTimeout) >= 0, "/publishTimeout", "no time may be below 0")
	return fault.NewInvalid("publisher configuration", p)
}

// maxInFlight bounds concurrent publications; further ones wait.
const maxInFlight = 1024

// Publisher publishes messages and waits for their confirmations.
type Publisher struct {
	*link
	cfg PublisherConfig
	// channel is the channel of the current session, nil between sessions.
	channel  atomic.Pointer[channel]
	inFlight *semaphore.Weighted
	stall    stall
	stopping atomic.Bool
}

// NewPublisher returns a publisher that is not connected. The error is Invalid.
func NewPublisher(cfg PublisherConfig) (*Publisher, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	p := &Publisher{cfg: cfg, link: newLink(cfg.Config, "publisher"), inFlight: semaphore.NewWeighted(maxInFlight)}
	p.link.serve = p.serve
	return p, nil
}

// Stop refuses new messages, waits for pending publications until ctx ends, and disconnects. The error is ctx's if some were abandoned.
func (p *Publisher) Stop(ctx context.Context) error {
	p.stopping.Store(true)
	var err error
	if !p.inFlight.TryAcquire(maxInFlight) { // without pending publications an ended ctx is no error
		err = p.inFlight.Acquire(ctx, maxInFlight)
	}
	if err == nil {
		p.inFlight.Release(maxInFlight)
	}
	p.link.stop()
	return err
}

// Ready returns nil while messages can be published, otherwise Unavailable with the reason. A broker that accepts messages but confirms
// none is not ready.
func (p *Publisher) Ready() error {
	_, err := p.current()
	if _, stalled := p.stall.since(p.cfg.ConfirmTimeout); err == nil && stalled {
		err = fault.Wrap(errStalled, fault.Unavailable, "broker")
	}
	return err
}

// Status returns the state of the connection.
func (p *Publisher) Status() Status {
	s := p.link.Status()
	if since, stalled := p.stall.since(p.cfg.ConfirmTimeout); stalled && s.State == StateConnected {
		s.State, s.Since, s.Remedy = StateStalled, since, remedyStalled
	}
	return s
}

// Publish publishes a message to the exchange of the topology by its routing key, and returns when it is confirmed. It succeeds also if no
// queue takes the message.
//
// It fails at once if there is no connection; WaitReady waits for one. After a nack, a timeout or a lost connection the message is
// published again until ctx or PublishTimeout ends.
//
// Errors: Unavailable: the message may have arrived; Invalid for a message that can never be sent and was not sent.
func (p *Publisher) Publish(ctx context.Context, m wire.Message) error {
	if p.cfg.Headers != nil {
		more := make(map[string]any)
		for name, value := range p.cfg.Headers(ctx) {
			more[name] = value
		}
		m = withHeaders(m, more)
	}
	return p.deliver(ctx, p.cfg.Topology.Exchange, m.RoutingKey, m)
}

// PublishRecords encodes and publishes records one by one: each one after the previous one is confirmed. It returns the number of
// confirmed records. Errors, for the record after the confirmed ones: those of Publish and of wire.Encode.
func (p *Publisher) PublishRecords(ctx context.Context, records []event.Record) (confirmed int, err error) {
	for _, r := range records {
		m, err := wire.Encode(r)
		if err != nil {
			return confirmed, err
		}
		if err := p.Publish(ctx, m); err != nil {
			return confirmed, err
		}
		confirmed++
	}
	return confirmed, nil
}

// Send sends a message to a queue and returns when it is confirmed. Errors: NotFound if the queue does not exist, Conflict if messages
// could be lost because of its arguments, and those of Publish.
func (p *Publisher) Send(ctx context.Context, queue string, m wire.Message) error {
	if err := p.link.unsafe(queue); err != nil {
		return err
	}
	return p.deliver(ctx, "", queue, m)
}

// deliver publishes one message until it is confirmed or cannot be delivered. If exchange is empty, key names a queue, which must exist.
func (p *Publisher) deliver(ctx context.Context, exchange, key string, m wire.Message) error {
	m.RoutingKey = key
	message, err := ToPublishing(m)
	if err != nil {
		return err
	}
	channel, err := p.current()
	if err != nil {
		return err
	}
	if err := p.inFlight.Acquire(ctx, 1); err != nil {
		return fault.Wrap(err, fault.Unavailable, "publish %s", m.Type)
	}
	defer p.inFlight.Release(1)
	p.cfg.Metrics.inFlight.Inc()
	defer p.cfg.Metrics.inFlight.Dec()
	ctx, cancel := context.WithTimeout(ctx, p.cfg.PublishTimeout)
	defer cancel()
	for failures := 0; ; failures++ {
		err := p.attempt(ctx, channel, exchange, key, message)
		if err == nil || errors.Is(err, fault.NotFound) {
			return err
		}
		pause(ctx, backoff(p.cfg.ReconnectMin, time.Second, failures, 0.5))
		if over := errors.Join(p.WaitReady(ctx), ctx.Err()); over != nil {
			return fault.Wrap(errors.Join(err, over), fault.Unavailable, "publish %s", m.Type)
		}
		channel = cmp.Or(p.channel.Load(), channel)
	}
}

// attempt publishes one message once and updates the metrics.
func (p *Publisher) attempt(ctx context.Context, channel *channel, exchange, key string, message amqp.Publishing) error {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.ConfirmTimeout)
	defer cancel()
	began, metrics, target := time.Now(), p.cfg.Metrics, toExchange
	if exchange == "" {
		target = toQueue
	}
	err := channel.publish(ctx, exchange, key, target == toQueue, message)
	if !errors.Is(err, errBlocked) { // otherwise it was not sent
		metrics.published.WithLabelValues(target).Inc()
	}
	switch {
	case err == nil:
		metrics.confirmed.WithLabelValues(target).Inc()
		metrics.confirm.Observe(time.Since(began).Seconds())
	case errors.Is(err, fault.NotFound):
		metrics.returned.WithLabelValues(target).Inc()
	case errors.Is(err, errUnconfirmed):
		metrics.unconfirmed.WithLabelValues(target).Inc()
	}
	if target == toExchange {
		p.stall.record(began, err) // last: when the state is stalled, the metrics are complete
	}
	return err
}

// current returns the channel for publishing, or the reason why there is none.
func (p *Publisher) current() (*channel, error) {
	err := p.link.Ready()
	channel := p.channel.Load()
	switch {
	case p.stopping.Load():
		err = fault.Wrap(errStopped, fault.Unavailable, "broker")
	case err == nil && channel == nil:
		err = fault.Wrap(errConnecting, fault.Unavailable, "broker")
	}
	return channel, err
}

func (p *Publisher) serve(ctx context.Context, conn *connection, session uint64) error {
	blocked := conn.NotifyBlocked(make(chan amqp.Blocking, 1))
	channel, err := newChannel(conn)
	if err != nil {
		return err
	}
	defer channel.close()
	p.channel.Store(channel)
	defer p.channel.Store(nil)
	p.link.up(session)
	for {
		select {
		case <-ctx.Done():
			return nil
		case reason := <-channel.closed:
			return closeError(reason)
		case b, ok := <-blocked:
			if !ok {
				blocked = nil
				continue
			}
			channel.blocked.Store(b.Active)
			if b.Active {
				p.link.set(StateBlocked, errBlocked)
			} else {
				p.link.set(StateConnected, nil)
			}
			p.link.log.LogAttrs(ctx, slog.LevelWarn, "the broker blocks or unblocks publishers",
				slog.Bool("blocked", b.Active), slog.String("reason", b.Reason))
		}
	}
}

// closeError returns why a channel was closed. The client gives no reason if it closed the channel itself.
func closeError(reason *amqp.Error) error {
	if reason == nil {
		return errors.New("the channel was closed")
	}
	return reason
}
