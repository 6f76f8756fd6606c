package rabbitmq

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
)

const (
	// tapPrefetch is how many messages a tap holds that it has not shown yet.
	tapPrefetch = 256
	// tapLength bounds a tap's queue: a reader who has stopped reading must not fill the broker's memory.
	tapLength = 10_000
)

// TapConfig configures a Tap.
type TapConfig struct {
	Config
	// Keys are the routing keys to listen to, with * and # as in every topic exchange. Default #, everything.
	Keys []string
	// Message gets every message. Required.
	Message func(wire.Message)
	// Connected is told when the queue stands: whatever is published from now on comes. Optional.
	Connected func(session uint64)
	// Lost is told why there is no connection, and how long until the next attempt. Optional.
	Lost func(err error, retryIn time.Duration)
}

// Validate reports everything that is wrong, defaults applied. The error is Invalid.
func (c TapConfig) Validate() error {
	fields := c.withDefaults().problems()
	if c.Message == nil {
		fields = append(fields, fault.Fieldf("/message", "is missing"))
	}
	for _, key := range c.Keys {
		if len(key) > maxShort {
			fields = append(fields, fault.Fieldf("/keys", "must have at most %d bytes", maxShort))
		}
	}
	return fault.NewInvalid("tap configuration", fields)
}

// Tap listens to the exchange for as long as somebody looks. Its queue is its own and goes with the connection, so
// that it takes nothing away from anybody and leaves nothing behind; what is published while there is no connection
// does not come, nor the oldest of what a reader falls 10,000 messages behind. It declares the exchange and nothing
// else.
type Tap struct{ cfg TapConfig }

// NewTap does no I/O. The error is Invalid.
func NewTap(cfg TapConfig) (*Tap, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.Config = cfg.withDefaults()
	if len(cfg.Keys) == 0 {
		cfg.Keys = []string{"#"}
	}
	return &Tap{cfg: cfg}, nil
}

// Run listens until ctx ends, over lost connections, and returns nil then. The functions of the configuration are
// called by one goroutine, the caller's, one after the other. It returns earlier, with Conflict, when the exchange
// exists and cannot be used: waiting would not change that.
func (t *Tap) Run(ctx context.Context) error {
	failures := 0
	for session := uint64(1); ctx.Err() == nil; session++ {
		began := time.Now()
		err := t.listen(ctx, session)
		if errors.Is(err, fault.Conflict) {
			return err
		}
		if time.Since(began) > t.cfg.ReconnectMax {
			failures = 0 // it had worked for a while
		}
		delay := backoff(t.cfg.ReconnectMin, t.cfg.ReconnectMax, failures, rand.Float64())
		failures++
		if t.cfg.Lost != nil && ctx.Err() == nil {
			t.cfg.Lost(err, delay)
		}
		pause(ctx, delay)
	}
	return nil
}

// listen is one session. Its error says why it ended.
func (t *Tap) listen(ctx context.Context, session uint64) error {
	conn, err := dialFor(ctx, t.cfg.Config, "tap")
	if err != nil {
		return err
	}
	dropped := conn.NotifyClose(make(chan *amqp.Error, 1))
	defer hangUp(conn, dropped)
	// The setup waits for answers of the broker.
	settled := context.AfterFunc(ctx, func() { _ = conn.CloseDeadline(time.Now().Add(closeTimeout)) })
	defer settled()
	messages, closed, err := t.bind(conn)
	if err != nil {
		return err
	}
	if t.cfg.Connected != nil {
		t.cfg.Connected(session)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case d, ok := <-messages:
			if !ok {
				return ended(closed)
			}
			t.cfg.Message(FromDelivery(&d))
			if err := d.Ack(false); err != nil {
				return fault.Wrap(err, fault.Unavailable, "acknowledge")
			}
		}
	}
}

// bind makes the queue: exclusive, so that it is allowed to be transient on every broker from 3.10 to 4.x, and
// classic by name, whatever the virtual host's default type is.
func (t *Tap) bind(conn *amqp.Connection) (<-chan amqp.Delivery, <-chan *amqp.Error, error) {
	if err := t.cfg.Topology.declareExchange(&declarer{conn: conn}); err != nil {
		return nil, nil, err
	}
	ch, err := conn.Channel()
	if err != nil {
		return nil, nil, fault.Wrap(err, fault.Unavailable, "open channel")
	}
	closed := ch.NotifyClose(make(chan *amqp.Error, 1))
	exchange := t.cfg.Topology.Exchange
	if err := ch.Qos(tapPrefetch, 0, false); err != nil {
		return nil, nil, fault.Wrap(err, fault.Unavailable, "set prefetch")
	}
	queue, err := ch.QueueDeclare("", false, true, true, false, amqp.Table{
		amqp.QueueTypeArg: amqp.QueueTypeClassic, "x-max-length": int64(tapLength), "x-overflow": "drop-head",
	})
	if err != nil {
		return nil, nil, fault.Wrap(err, fault.Unavailable, "declare a queue for the tap")
	}
	for _, key := range t.cfg.Keys {
		if err := ch.QueueBind(queue.Name, key, exchange, false, nil); err != nil {
			return nil, nil, fault.Wrap(err, fault.Unavailable, "bind %s", key)
		}
	}
	messages, err := ch.Consume(queue.Name, "", false, true, false, false, nil)
	return messages, closed, fault.Wrap(err, fault.Unavailable, "listen to %s", exchange)
}
