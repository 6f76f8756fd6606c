package rabbitmq

import (
	"context"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
)

const (
	// listenerPrefetch is the maximum number of unacknowledged messages.
	listenerPrefetch = 256
	// listenerLength bounds the queue: a stopped reader must not fill the memory of the broker.
	listenerLength = 10_000
)

// ListenerConfig configures a Listener.
type ListenerConfig struct {
	Config
	// Keys are the binding keys, with * and # as for every topic exchange. Default #: all messages.
	Keys []string
	// Message is called for each message. Required.
	Message func(wire.Message)
	// Connected is called when the queue exists: messages published from now on are received. Optional.
	Connected func(session uint64)
	// Lost is called with the reason when there is no connection, and the time until the next attempt. Optional.
	Lost func(err error, retryIn time.Duration)
}

// Listener receives the messages of the exchange through an exclusive queue, which is deleted with the connection: it takes no messages
// from other consumers and leaves nothing on the broker. It misses messages that are published while it is disconnected, and the oldest
// messages if it falls more than 10,000 behind. It declares only the exchange.
type Listener struct{ cfg ListenerConfig }

// NewListener returns a listener that is not connected. The error is Invalid.
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

// Run receives messages until ctx ends, reconnecting as needed, and then returns nil. It calls the functions of the configuration from the
// caller's goroutine. It returns Conflict at once if the exchange exists and cannot be used: waiting would not help.
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
	stop := conn.closeAfter(ctx) // setup waits for the broker
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

// bind creates the queue: exclusive, because transient exclusive queues are allowed in RabbitMQ 3.10 to 4.x, and explicitly classic,
// regardless of the default type of the virtual host.
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
