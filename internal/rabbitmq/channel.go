package rabbitmq

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// errUnconfirmed is the error of a nack, a timeout or a lost channel: the message may have arrived.
var errUnconfirmed = errors.New("not confirmed")

// channel publishes with confirms.
type channel struct {
	conn *connection
	ch   *amqp.Channel
	// blocked is true while the broker blocks publishers.
	blocked atomic.Bool
	// closed receives the broker's reason when the broker closes the channel.
	closed <-chan *amqp.Error
	// mandatory has the pending mandatory publications. A receive from returnsNoted succeeds only after takeReturns has handled every
	// return that it received before. takeReturns closes returnsNoted when the channel ends.
	mandatory    sync.Map
	returnsNoted chan struct{}
	// publishing is held for reading by every publication.
	publishing sync.RWMutex
}

// mandatory is a publication that must be routed to a queue.
type mandatory struct {
	exchange, key string
	// returned is set before the confirmation arrives if the message was routed to no queue.
	returned atomic.Bool
}

// openChannel connects and opens a channel. A lost channel is not reopened.
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

// newChannel opens a channel of conn. It closes when conn closes.
func newChannel(conn *connection) (*channel, error) {
	ch, err := conn.Channel()
	if err == nil {
		err = ch.Confirm(false)
	}
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "open channel")
	}
	c := &channel{conn: conn, ch: ch, returnsNoted: make(chan struct{}), closed: ch.NotifyClose(make(chan *amqp.Error, 1))}
	// Unbuffered: the client hands over a return before it reads the confirmation that follows.
	go c.takeReturns(ch.NotifyReturn(make(chan amqp.Return)))
	return c, nil
}

// close closes the connection, which ends all calls of publish. It returns when the goroutines of the channel have ended.
func (c *channel) close() {
	c.conn.close() // first, or a write may hang
	c.publishing.Lock()
	defer c.publishing.Unlock()
	for range c.returnsNoted {
	}
}

// takeReturns marks publications that were returned. A return does not identify its publication: every pending publication to the
// same exchange and key is marked. The returned one is among them; the others are published again, which is harmless.
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

// publish publishes one message and waits for its confirmation. Errors: NotFound if mustArrive is set and no queue took the message;
// errUnconfirmed, possibly joined with the context's error, if the result is unknown; errBlocked.
//
// A write blocks while the broker does not read. It runs in a goroutine, so that the caller returns when its context ends.
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

// publishBlocking is publish without a context. When the channel closes, the client reports every unconfirmed message as not confirmed.
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
