package rabbitmq

import (
	"context"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
)

const (
	// listenerPrefetch is how many messages a listener holds that Message has not returned from.
	listenerPrefetch = 256
	// listenerLength bounds a listener's queue: a reader that has stopped reading must not fill the broker's memory.
	listenerLength = 10_000
)

// ListenerConfig configures a Listener.
type ListenerConfig struct {
	Config
	// Keys are the routing keys to listen to, with * and # as in every topic exchange. Default #, everything.
	Keys []string
	// Message gets every message. Required.
	Message func(wire.Message)
	// Connected is called when the queue exists: whatever is published from now on comes. Optional.
	Connected func(session uint64)
	// Lost is called with the reason when there is no connection, and how long until the next attempt. Optional.
	Lost func(err error, retryIn time.Duration)
}

// Listener listens to the exchange through a queue of its own, which goes with the connection: it takes no message away from any
// other consumer and leaves nothing on the broker. What is published while there is no connection does not come, nor the oldest of
// what a reader falls 10,000 messages behind. It declares the exchange and nothing else.
type Listener struct{ cfg ListenerConfig }

// NewListener does no I/O. The error is Invalid.
func NewListener(cfg ListenerConfig) (*Listener, error) {
	cfg.Logger, cfg.Metrics = nil, nil // Lost and Connected report
	cfg.Config = cfg.withDefaults()
	p := cfg.problems()
	p.require(cfg.Message != nil, "/message", "is missing")
	if len(cfg.Keys) == 0 {
		cfg.Keys = []string{"#"}
	}
	for _, key := range cfg.Keys {
		p.require(len(key) <= maxShort, "/keys", "must have at most %d bytes", maxShort)
	}
	return &Listener{cfg: cfg}, fault.NewInvalid("listener configuration", p)
}

// Run listens until ctx ends, over lost connections, and returns nil then. The functions of the configuration are
// called by one goroutine, the caller's, one after the other. It returns earlier, with Conflict, when the exchange
// exists and cannot be used: waiting would not change that.
func (l *Listener) Run(ctx context.Context) error {
	link := newLink(l.cfg.Config, "listener")
	defer context.AfterFunc(ctx, link.cancel)()
	defer link.cancel()
	link.declare = func(conn *amqp.Connection) ([]Deviation, error) {
		return nil, (&declarer{conn: conn}).ensure(l.cfg.Topology.eventExchange())
	}
	link.serve, link.lost, link.final = l.serve, l.cfg.Lost, fault.Conflict
	return link.supervise()
}

func (l *Listener) serve(ctx context.Context, conn *connection, session uint64) error {
	stop := conn.closeAfter(ctx) // setting up waits for answers of the broker
	defer stop()
	messages, closed, err := l.bind(conn)
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "listen to %s", l.cfg.Topology.Exchange)
	}
	if l.cfg.Connected != nil {
		l.cfg.Connected(session)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case d, ok := <-messages:
			if !ok {
				return endReason(closed)
			}
			l.cfg.Message(FromDelivery(&d))
			if err := d.Ack(false); err != nil {
				return fault.Wrap(err, fault.Unavailable, "acknowledge")
			}
		}
	}
}

// bind makes the queue: exclusive, so that it may be transient on every broker from 3.10 to 4.x, and classic by name, whatever the
// virtual host's default type is.
func (l *Listener) bind(conn *connection) (<-chan amqp.Delivery, <-chan *amqp.Error, error) {
	ch, err := conn.Channel()
	if err != nil {
		return nil, nil, err
	}
	closed := ch.NotifyClose(make(chan *amqp.Error, 1))
	queue, err := ch.QueueDeclare("", false, true, true, false, amqp.Table{
		amqp.QueueTypeArg: amqp.QueueTypeClassic, amqp.QueueMaxLenArg: int64(listenerLength), amqp.QueueOverflowArg: "drop-head",
	})
	for _, key := range l.cfg.Keys {
		if err == nil {
			err = ch.QueueBind(queue.Name, key, l.cfg.Topology.Exchange, false, nil)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	messages, err := consume(ch, queue.Name, listenerPrefetch)
	return messages, closed, err
}
