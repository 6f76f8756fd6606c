package rabbitmq

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// errUnconfirmed is what a nack, a timeout and a lost channel have in common: the message may have arrived.
var errUnconfirmed = errors.New("not confirmed")

// channel publishes with confirms.
type channel struct {
	conn *connection
	ch   *amqp.Channel
	// blocked is set while the broker takes nothing.
	blocked atomic.Bool
	// closed has the broker's reason when it closes the channel.
	closed <-chan *amqp.Error
	// mandatory has the mandatory publications that are not done. returnsNoted is a rendezvous with the goroutine that takes
	// returns: what it received before is noted after. It is closed when all are noted, at the end of the channel.
	mandatory    sync.Map
	returnsNoted chan struct{}
	// publishing is held for reading by every publication.
	publishing sync.RWMutex
}

// mandatory is a publication that must reach a queue.
type mandatory struct {
	exchange, key string
	// returned is set, before the confirmation comes, when no queue took the message.
	returned atomic.Bool
}

// openChannel connects, and opens a channel that is not made anew when it is lost.
func openChannel(ctx context.Context, cfg Config, role string) (*channel, error) {
	conn, err := dial(ctx, cfg, role)
	if err != nil {
		return nil, err
	}
	defer conn.closeAfter(ctx)()
	c, err := newChannel(conn)
	if err != nil {
		conn.close()
	}
	return c, err
}

// newChannel opens a channel of a connection, which closes with it.
func newChannel(conn *connection) (*channel, error) {
	ch, err := conn.Channel()
	if err == nil {
		err = ch.Confirm(false)
	}
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "open channel")
	}
	c := &channel{conn: conn, ch: ch, returnsNoted: make(chan struct{}), closed: ch.NotifyClose(make(chan *amqp.Error, 1))}
	// Unbuffered: the client's reader hands a return over before it reads the confirm that follows.
	go c.takeReturns(ch.NotifyReturn(make(chan amqp.Return)))
	return c, nil
}

// close closes the connection, which ends all calls of publish, and returns when nothing is left of the channel.
func (c *channel) close() {
	c.conn.close() // first, or a write may hang
	c.publishing.Lock()
	defer c.publishing.Unlock()
	for range c.returnsNoted {
	}
}

// takeReturns notes which publications came back. A return does not say which publication it is of: every pending one to the same
// place is taken to be returned. The right one is among them, and the others are published again for nothing.
func (c *channel) takeReturns(returns <-chan amqp.Return) {
	defer close(c.returnsNoted)
	for {
		select {
		case r, ok := <-returns:
			if !ok {
				return // the channel is closed
			}
			for p := range c.mandatory.Range {
				if p := p.(*mandatory); p.exchange == r.Exchange && p.key == r.RoutingKey {
					p.returned.Store(true)
				}
			}
		case c.returnsNoted <- struct{}{}:
		}
	}
}

// publish publishes one message and waits for its confirmation. Errors: NotFound when it must reach a queue and no queue took it;
// errUnconfirmed, also joined with the context's error, when that is not known; errBlocked.
//
// A write blocks for as long as the broker does not read. It has a goroutine of its own, so that the caller does not block longer
// than its context.
func (c *channel) publish(ctx context.Context, exchange, key string, mustArrive bool, m amqp.Publishing) error {
	if c.blocked.Load() {
		return errBlocked
	}
	result := make(chan error, 1)
	c.publishing.RLock()
	go func() {
		defer c.publishing.RUnlock()
		result <- c.publishBlocking(exchange, key, mustArrive, m)
	}()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return errors.Join(errUnconfirmed, ctx.Err())
	}
}

// publishBlocking is publish without a context. When the channel is closed, the client refuses every message that is not confirmed.
func (c *channel) publishBlocking(exchange, key string, mustArrive bool, m amqp.Publishing) error {
	p := &mandatory{exchange: exchange, key: key}
	if mustArrive {
		c.mandatory.Store(p, nil)
		defer c.mandatory.Delete(p)
	}
	confirmation, err := c.ch.PublishWithDeferredConfirm(exchange, key, mustArrive, false, m)
	if err != nil {
		return errors.Join(errUnconfirmed, err)
	}
	if !confirmation.Wait() {
		return errUnconfirmed
	}
	if mustArrive {
		<-c.returnsNoted
	}
	if p.returned.Load() {
		return fault.New(fault.NotFound, "no queue takes messages to %q/%q", exchange, key)
	}
	return nil
}
