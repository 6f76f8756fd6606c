package rabbitmq

import (
	"context"
	"errors"
	"net"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// Neighbour publishes to the exchange as another team's service does: it declares nothing of this service's, so that
// an event that nobody listens to is seen to be one. It is for commands that people run: one connection, which is not
// made anew when it is lost.
//
// One goroutine may use it at a time.
type Neighbour struct {
	cfg     Config
	conn    *amqp.Connection
	channel *amqp.Channel
	returns <-chan amqp.Return
	closed  <-chan *amqp.Error
	dropped <-chan *amqp.Error
}

// DialNeighbour connects, trying again until ctx ends. Errors: Unavailable when the broker did not answer until then,
// or refused the credentials or the virtual host, which is not tried again; Invalid for a wrong configuration.
func DialNeighbour(ctx context.Context, cfg Config) (*Neighbour, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	for failures := 0; ; failures++ {
		conn, err := dialFor(ctx, cfg, "neighbour")
		if err == nil {
			return newNeighbour(cfg, conn)
		}
		var refused *amqp.Error
		if errors.As(err, &refused) {
			return nil, err
		}
		pause(ctx, backoff(cfg.ReconnectMin, cfg.ReconnectMax, failures, 0))
		if ctx.Err() != nil {
			return nil, err
		}
	}
}

func newNeighbour(cfg Config, conn *amqp.Connection) (*Neighbour, error) {
	n := &Neighbour{cfg: cfg, conn: conn, dropped: conn.NotifyClose(make(chan *amqp.Error, 1))}
	var err error
	if n.channel, err = conn.Channel(); err == nil {
		err = n.channel.Confirm(false)
	}
	if err != nil {
		n.Close()
		return nil, fault.Wrap(err, fault.Unavailable, "open channel")
	}
	// The client hands a return over before the confirm behind it; one message is on its way at a time.
	n.returns = n.channel.NotifyReturn(make(chan amqp.Return, 1))
	n.closed = n.channel.NotifyClose(make(chan *amqp.Error, 1))
	return n, nil
}

// Publish sends one message under its routing key and returns when the broker has it in a queue.
//
// Errors: NotFound when no queue takes it, or there is no exchange; Unavailable when it was not confirmed: it may have
// arrived; Invalid for a message that can never be sent.
func (n *Neighbour) Publish(ctx context.Context, m wire.Message) error {
	message, err := ToPublishing(m)
	if err != nil {
		return err
	}
	exchange := n.cfg.Topology.Exchange
	// A write blocks for as long as the broker does not read.
	stop := context.AfterFunc(ctx, func() { _ = n.conn.CloseDeadline(time.Now().Add(closeTimeout)) })
	defer stop()
	confirm, err := n.channel.PublishWithDeferredConfirm(exchange, m.RoutingKey, true, false, message)
	if err != nil {
		return fault.Wrap(errors.Join(errUnconfirmed, err, ctx.Err()), fault.Unavailable, "publish %s", m.RoutingKey)
	}
	select {
	case <-confirm.Done():
	case reason := <-n.closed:
		return n.gone(ctx, reason, m)
	case <-ctx.Done():
		return fault.Wrap(errors.Join(errUnconfirmed, ctx.Err()), fault.Unavailable, "publish %s", m.RoutingKey)
	}
	if !confirm.Acked() {
		// The client ends what is not confirmed when the channel is closed, and says why before that.
		select {
		case reason := <-n.closed:
			return n.gone(ctx, reason, m)
		default:
			return fault.Wrap(errUnconfirmed, fault.Unavailable, "publish %s: the broker refused the message", m.RoutingKey)
		}
	}
	select {
	case <-n.returns:
		return fault.New(fault.NotFound, "nothing listens to %s on %s", m.RoutingKey, exchange)
	default:
		return nil
	}
}

// gone says what it means that the channel was closed before a message was confirmed.
func (n *Neighbour) gone(ctx context.Context, reason *amqp.Error, m wire.Message) error {
	if reason != nil && reason.Code == amqp.NotFound {
		return fault.New(fault.NotFound, "there is no exchange %s", n.cfg.Topology.Exchange)
	}
	return fault.Wrap(errors.Join(errUnconfirmed, closeError(reason), ctx.Err()), fault.Unavailable, "publish %s", m.RoutingKey)
}

// Close disconnects. Nothing is left when it returns.
func (n *Neighbour) Close() { hangUp(n.conn, n.dropped) }

// hangUp closes a connection and waits until every resource of it is gone.
func hangUp(conn *amqp.Connection, closed <-chan *amqp.Error) {
	_ = conn.CloseDeadline(time.Now().Add(closeTimeout)) // what it answers changes nothing
	for range closed {
	}
}

// dialFor connects once. It gives up when ctx ends.
func dialFor(ctx context.Context, cfg Config, role string) (*amqp.Connection, error) {
	properties := amqp.NewConnectionProperties()
	properties.SetClientConnectionName(cfg.Name + " " + role)
	var socket net.Conn
	settled := func() bool { return true }
	conn, err := amqp.DialConfig(cfg.URL, amqp.Config{
		Heartbeat: cfg.Heartbeat, TLSClientConfig: cfg.TLS.Clone(), Properties: properties,
		Dial: func(network, address string) (net.Conn, error) {
			c, err := (&net.Dialer{Timeout: cfg.DialTimeout}).DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			socket = c
			settled = context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Now()) })
			return c, c.SetDeadline(time.Now().Add(cfg.DialTimeout)) // the client takes it off after the handshake
		},
	})
	settled()
	if err != nil {
		if socket != nil {
			_ = socket.Close()
		}
		return nil, fault.Wrap(errors.Join(err, ctx.Err()), fault.Unavailable, "connect")
	}
	return conn, nil
}
