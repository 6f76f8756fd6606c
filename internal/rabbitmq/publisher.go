package rabbitmq

import (
	"context"
	"errors"
	"log/slog"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// PublisherConfig configures a Publisher.
type PublisherConfig struct {
	Config
	// ConfirmTimeout is how long a confirm may take before the message is published again. Default 10 s.
	ConfirmTimeout time.Duration
	// Patience is how long one message is tried, over reconnects and nacks, when the caller's context does not
	// end before. Default 30 s.
	Patience time.Duration
	// MaxInFlight bounds the messages that are being published at once; the next one waits. Default 1024.
	MaxInFlight int
	// Headers returns headers to add to what is published under a context, such as traceparent. Optional.
	Headers func(context.Context) map[string]string
}

func (c PublisherConfig) withDefaults() PublisherConfig {
	c.Config = c.Config.withDefaults()
	setDefault(&c.ConfirmTimeout, 10*time.Second)
	setDefault(&c.Patience, 30*time.Second)
	setDefault(&c.MaxInFlight, 1024)
	return c
}

// Validate reports everything that is wrong, defaults applied. The error is Invalid.
func (c PublisherConfig) Validate() error {
	c = c.withDefaults()
	fields := c.problems()
	if c.ConfirmTimeout < 0 || c.Patience < 0 {
		fields = append(fields, fault.Fieldf("/patience", "no time may be below 0"))
	}
	if c.MaxInFlight < 1 {
		fields = append(fields, fault.Fieldf("/maxInFlight", "must be at least 1"))
	}
	return fault.NewInvalid("publisher configuration", fields)
}

// Publisher publishes messages and knows which of them the broker has taken.
type Publisher struct {
	cfg  PublisherConfig
	link *link
	// slots holds one token for each message that is being published.
	slots chan struct{}
	stall stall
	// lane is the current session's, nil between sessions; guarded by the link's mutex.
	lane *lane
	// stopping ends when Stop is called: nothing new is taken then.
	stopping context.Context
	stop     context.CancelFunc
}

// NewPublisher returns a publisher that Start connects. The error is Invalid.
func NewPublisher(cfg PublisherConfig) (*Publisher, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	p := &Publisher{cfg: cfg, link: newLink(cfg.Config, "publisher"), slots: make(chan struct{}, cfg.MaxInFlight)}
	p.link.serve = p.serve
	p.stopping, p.stop = context.WithCancel(context.Background())
	return p, nil
}

// Start begins to connect and returns at once.
func (p *Publisher) Start() { p.link.run() }

// Stop refuses new messages, waits until ctx for those that are being published, and disconnects. The error is
// ctx's when some were given up.
func (p *Publisher) Stop(ctx context.Context) error {
	p.stop()
	err := p.drain(ctx)
	p.link.stop()
	return err
}

// drain waits until nothing is being published.
func (p *Publisher) drain(ctx context.Context) error {
	for held := 0; held < cap(p.slots); held++ {
		select {
		case p.slots <- struct{}{}: // free: even when ctx is over
		default:
			select {
			case p.slots <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		defer func() { <-p.slots }() //nolint:gocritic // all of them are given back together, when the whole call is done
	}
	return nil
}

// Ready returns nil while messages can be published, else Unavailable with the reason. A broker that takes messages and
// confirms none is not ready either.
func (p *Publisher) Ready() error {
	if _, err := p.current(); err != nil {
		return err
	}
	if _, stalled := p.stall.since(p.cfg.ConfirmTimeout); stalled {
		return fault.Wrap(errStalled, fault.Unavailable, "broker")
	}
	return nil
}

// Status tells where the connection stands.
func (p *Publisher) Status() Status {
	s := p.link.at()
	if since, stalled := p.stall.since(p.cfg.ConfirmTimeout); stalled && s.State == StateConnected {
		s.State, s.Since, s.Remedy = StateStalled, since, remedyStalled
	}
	return s
}

// WaitReady waits until messages can be published, or for ctx.
func (p *Publisher) WaitReady(ctx context.Context) error { return p.link.wait(ctx) }

// Publish publishes messages to the topology's exchange, each under its routing key, one by one: the next one is
// sent when the one before is confirmed. It returns how many are confirmed; with a nil error all of them. A
// message that no queue wants is published.
//
// It fails at once when there is no connection: use WaitReady to wait for one. A message whose fate is unknown
// (nack, timeout, lost connection) is published again until ctx or the configured patience ends.
//
// Errors: Unavailable, then the message after the confirmed ones may have arrived; Invalid for a message that
// can never be sent, nothing of which was sent.
func (p *Publisher) Publish(ctx context.Context, messages []wire.Message) (confirmed int, err error) {
	for _, m := range messages {
		if err := p.deliver(ctx, p.cfg.Topology.Exchange, m.RoutingKey, false, p.decorate(ctx, m)); err != nil {
			return confirmed, err
		}
		confirmed++
	}
	return confirmed, nil
}

// PublishRecords encodes records and publishes them as Publish does. Errors: those of Publish and wire.Encode.
func (p *Publisher) PublishRecords(ctx context.Context, records []event.Record) (confirmed int, err error) {
	for _, r := range records {
		m, err := wire.Encode(r)
		if err != nil {
			return confirmed, err
		}
		if _, err := p.Publish(ctx, []wire.Message{m}); err != nil {
			return confirmed, err
		}
		confirmed++
	}
	return confirmed, nil
}

// Send puts a message into a queue and returns when the broker has it there. It never fails over silently:
// NotFound when there is no such queue, Conflict when it exists with arguments with which messages could be lost. Other
// errors as for Publish.
func (p *Publisher) Send(ctx context.Context, queue string, m wire.Message) error {
	if err := p.link.unsafe(queue); err != nil {
		return err
	}
	return p.deliver(ctx, "", queue, true, m)
}

// decorate adds the headers of the context.
func (p *Publisher) decorate(ctx context.Context, m wire.Message) wire.Message {
	if p.cfg.Headers == nil {
		return m
	}
	more := make(map[string]any)
	for name, value := range p.cfg.Headers(ctx) {
		more[name] = value
	}
	return withHeaders(m, more)
}

// deliver publishes one message until it is confirmed or nothing can be done about it.
func (p *Publisher) deliver(ctx context.Context, exchange, key string, mandatory bool, m wire.Message) error {
	m.RoutingKey = key
	message, err := ToPublishing(m)
	if err != nil {
		return err
	}
	lane, err := p.current()
	if err != nil {
		return err
	}
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return fault.Wrap(ctx.Err(), fault.Unavailable, "publish %s", m.Type)
	}
	p.cfg.Metrics.inFlight.Inc()
	defer p.cfg.Metrics.inFlight.Dec()
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Patience)
	defer cancel()
	for failures := 0; ; failures++ {
		began := time.Now()
		err := lane.publish(ctx, p.cfg.ConfirmTimeout, exchange, key, mandatory, message)
		p.count(targetOf(exchange), began, err)
		if err == nil || errors.Is(err, fault.NotFound) {
			return err
		}
		pause(ctx, backoff(p.cfg.ReconnectMin, time.Second, failures, 0.5))
		if waitErr := p.link.wait(ctx); waitErr != nil {
			return fault.Wrap(errors.Join(err, waitErr), fault.Unavailable, "publish %s", m.Type)
		}
		if ctx.Err() != nil {
			return fault.Wrap(errors.Join(err, ctx.Err()), fault.Unavailable, "publish %s", m.Type)
		}
		if next := p.laneNow(); next != nil {
			lane = next
		}
	}
}

// count counts an attempt to publish.
func (p *Publisher) count(target string, began time.Time, err error) {
	m := p.cfg.Metrics
	if target == toExchange {
		defer p.stall.note(began, err) // last: whoever has seen that it is stalled finds the metrics there
	}
	if errors.Is(err, errBlocked) {
		return // it was not handed over
	}
	m.published.WithLabelValues(target).Inc()
	switch {
	case err == nil:
		m.confirmed.WithLabelValues(target).Inc()
		m.confirm.Observe(time.Since(began).Seconds())
	case errors.Is(err, fault.NotFound):
		m.returned.WithLabelValues(target).Inc()
	default:
		m.unconfirmed.WithLabelValues(target).Inc()
	}
}

// current returns the lane to publish on, or why there is none.
func (p *Publisher) current() (*lane, error) {
	if p.stopping.Err() != nil {
		return nil, fault.Wrap(errStopped, fault.Unavailable, "broker")
	}
	if _, err := p.link.ready(); err != nil {
		return nil, err
	}
	lane := p.laneNow()
	if lane == nil {
		return nil, fault.Wrap(errConnecting, fault.Unavailable, "broker")
	}
	return lane, nil
}

func (p *Publisher) laneNow() *lane {
	p.link.mu.Lock()
	defer p.link.mu.Unlock()
	return p.lane
}

func (p *Publisher) setLane(l *lane) {
	p.link.mu.Lock()
	defer p.link.mu.Unlock()
	p.lane = l
}

// serve is one session.
func (p *Publisher) serve(ctx context.Context, conn *amqp.Connection, session uint64) error {
	blocked := conn.NotifyBlocked(make(chan amqp.Blocking, 1))
	ch, err := conn.Channel()
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "open channel")
	}
	closed := ch.NotifyClose(make(chan *amqp.Error, 1))
	lane, err := newLane(ch)
	if err != nil {
		return err
	}
	p.setLane(lane)
	p.link.up(session)
	defer func() {
		p.setLane(nil)
		lane.end()
		_ = conn.CloseDeadline(time.Now().Add(closeTimeout)) // frees the writer
		lane.wait()
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case reason := <-closed:
			return closeError(reason)
		case b, ok := <-blocked:
			if !ok {
				blocked = nil
				continue
			}
			lane.blocked.Store(b.Active)
			var state error
			if b.Active {
				state = errBlocked
			}
			p.link.set(state)
			p.link.log.LogAttrs(ctx, slog.LevelWarn, "the broker blocks or unblocks publishers",
				slog.Bool("blocked", b.Active), slog.String("reason", b.Reason))
		}
	}
}

// closeError names why a channel was closed; the client says nothing when it did so itself.
func closeError(reason *amqp.Error) error {
	if reason == nil {
		return errors.New("the channel was closed")
	}
	return reason
}
