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

// publication is one message on its way through a channel.
type publication struct {
	exchange, key string
	// mandatory makes it an error when no queue takes the message.
	mandatory bool
	message   amqp.Publishing
	// written receives the confirmation to wait for, once.
	written chan written
	// returned is set, before the confirmation comes, when no queue took the message.
	returned atomic.Bool
}

type written struct {
	confirmation *amqp.DeferredConfirmation
	err          error
}

// channel publishes with confirms. One goroutine writes: a write blocks for as long as the broker does not read, and callers must
// not block longer than their contexts.
type channel struct {
	conn     *connection
	ch       *amqp.Channel
	requests chan *publication
	// returnsNoted is a rendezvous with the goroutine that takes returns: what it received before is noted after.
	returnsNoted chan struct{}
	// blocked is set while the broker takes nothing.
	blocked atomic.Bool
	// closed has the broker's reason when it closes the channel. over is closed by close.
	closed <-chan *amqp.Error
	over   chan struct{}
	wg     sync.WaitGroup

	mu        sync.Mutex
	mandatory map[*publication]struct{}
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
	c := &channel{
		conn: conn, ch: ch, requests: make(chan *publication, 64), returnsNoted: make(chan struct{}), over: make(chan struct{}),
		closed: ch.NotifyClose(make(chan *amqp.Error, 1)), mandatory: make(map[*publication]struct{}),
	}
	// Unbuffered: the client's reader hands a return over before it reads the confirm that follows.
	returns := ch.NotifyReturn(make(chan amqp.Return))
	c.wg.Go(c.write)
	c.wg.Go(func() { c.takeReturns(returns) })
	return c, nil
}

// close ends all calls of publish, and closes the connection.
func (c *channel) close() {
	close(c.over)
	c.conn.close() // or the writer may hang
	c.wg.Wait()
}

func (c *channel) write() {
	for {
		select {
		case p := <-c.requests:
			confirmation, err := c.ch.PublishWithDeferredConfirm(p.exchange, p.key, p.mandatory, false, p.message)
			p.written <- written{confirmation, err}
		case <-c.over:
			return
		}
	}
}

// takeReturns notes which publications came back. A return does not say which publication it is of: every pending one to the same
// place is taken to be returned. The right one is among them, and the others are published again for nothing.
func (c *channel) takeReturns(returns <-chan amqp.Return) {
	for {
		select {
		case r, ok := <-returns:
			if !ok {
				returns = nil
				continue
			}
			c.mu.Lock()
			for p := range c.mandatory {
				if p.exchange == r.Exchange && p.key == r.RoutingKey {
					p.returned.Store(true)
				}
			}
			c.mu.Unlock()
		case c.returnsNoted <- struct{}{}:
		case <-c.over:
			return // the client gives up handing over what is not received
		}
	}
}

// publish publishes one message and waits for its confirmation. Errors: NotFound when it is mandatory and no queue took it;
// errUnconfirmed, also joined with the context's error, when that is not known; errBlocked.
func (c *channel) publish(ctx context.Context, exchange, key string, mandatory bool, m amqp.Publishing) error {
	if c.blocked.Load() {
		return errBlocked
	}
	p := &publication{exchange: exchange, key: key, mandatory: mandatory, message: m, written: make(chan written, 1)}
	if mandatory {
		defer c.expectReturn(p)()
	}
	select {
	case c.requests <- p:
	case <-ctx.Done():
		return errors.Join(errUnconfirmed, ctx.Err())
	case <-c.over:
		return errUnconfirmed
	}
	w, err := receive(ctx, c.over, p.written)
	if err := errors.Join(err, w.err); err != nil {
		return errors.Join(errUnconfirmed, err)
	}
	if _, err := receive(ctx, c.over, w.confirmation.Done()); err != nil || !w.confirmation.Acked() {
		return errors.Join(errUnconfirmed, err)
	}
	if !mandatory {
		return nil
	}
	if _, err := receive(context.Background(), c.over, c.returnsNoted); err != nil {
		return errUnconfirmed
	}
	if p.returned.Load() {
		return fault.New(fault.NotFound, "no queue takes messages to %q/%q", exchange, key)
	}
	return nil
}

// expectReturn makes a publication one that returns are matched with, until done is called.
func (c *channel) expectReturn(p *publication) (done func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mandatory[p] = struct{}{}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.mandatory, p)
	}
}

// receive receives from a channel until ctx or the session ends.
func receive[T any](ctx context.Context, over <-chan struct{}, from <-chan T) (value T, err error) {
	select {
	case value = <-from:
		return value, nil
	case <-ctx.Done():
		return value, ctx.Err()
	case <-over:
		return value, errUnconfirmed
	}
}
