package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// errUnconfirmed is what a nack, a timeout and a lost channel have in common: the message may have arrived.
var errUnconfirmed = errors.New("not confirmed")

// publication is one message on its way through a lane.
type publication struct {
	exchange, key string
	// mandatory makes it an error when no queue takes the message.
	mandatory bool
	message   amqp.Publishing
	// sent receives the confirmation to wait for, once.
	sent chan sent
	// returned is set, before the confirmation comes, when no queue took it.
	returned atomic.Bool
}

type sent struct {
	confirmation *amqp.DeferredConfirmation
	err          error
}

// lane is the publishing channel of one session. One goroutine writes: a write blocks for as long as the broker
// does not read, whatever the caller's context says, and callers must not block with it.
type lane struct {
	ch       *amqp.Channel
	requests chan *publication
	// settled is a rendezvous with the goroutine that takes returns: what it received before is noted after.
	settled chan struct{}
	blocked atomic.Bool
	// over is closed when the session ends.
	over chan struct{}
	wg   sync.WaitGroup

	mu        sync.Mutex
	mandatory map[*publication]struct{}
}

// newLane makes a lane of a fresh channel.
func newLane(ch *amqp.Channel) (*lane, error) {
	if err := ch.Confirm(false); err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "ask for confirms")
	}
	l := &lane{ch: ch, requests: make(chan *publication, 64), settled: make(chan struct{}), over: make(chan struct{}),
		mandatory: make(map[*publication]struct{})}
	// Unbuffered: the client's reader hands a return over before it looks at the confirm behind it.
	returns := ch.NotifyReturn(make(chan amqp.Return))
	l.wg.Add(2)
	go l.write()
	go l.takeReturns(returns)
	return l, nil
}

// end releases everybody who waits. The connection must be closed before wait, or the writer may hang.
func (l *lane) end()  { close(l.over) }
func (l *lane) wait() { l.wg.Wait() }

func (l *lane) write() {
	defer l.wg.Done()
	for {
		select {
		case p := <-l.requests:
			confirmation, err := l.ch.PublishWithDeferredConfirm(p.exchange, p.key, p.mandatory, false, p.message)
			p.sent <- sent{confirmation, err}
		case <-l.over:
			return
		}
	}
}

// takeReturns notes which publications came back. A return does not say which publication it is of; every
// pending one to the same place is taken to be returned: the right one is among them, and the others are sent
// again for nothing.
func (l *lane) takeReturns(returns <-chan amqp.Return) {
	defer l.wg.Done()
	for {
		select {
		case r, ok := <-returns:
			if !ok {
				returns = nil
				continue
			}
			l.mu.Lock()
			for p := range l.mandatory {
				if p.exchange == r.Exchange && p.key == r.RoutingKey {
					p.returned.Store(true)
				}
			}
			l.mu.Unlock()
		case l.settled <- struct{}{}:
		case <-l.over:
			return
		}
	}
}

// publish sends one message and waits for its confirmation. Errors: NotFound when it is mandatory and no queue
// took it; errUnconfirmed, also joined with the context's error, when nobody knows.
func (l *lane) publish(ctx context.Context, timeout time.Duration, exchange, key string, mandatory bool, m amqp.Publishing) error {
	if l.blocked.Load() {
		return errBlocked
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	p := &publication{exchange: exchange, key: key, mandatory: mandatory, message: m, sent: make(chan sent, 1)}
	if mandatory {
		l.mu.Lock()
		l.mandatory[p] = struct{}{}
		l.mu.Unlock()
		defer func() {
			l.mu.Lock()
			delete(l.mandatory, p)
			l.mu.Unlock()
		}()
	}
	select {
	case l.requests <- p:
	case <-ctx.Done():
		return errors.Join(errUnconfirmed, ctx.Err())
	case <-l.over:
		return errUnconfirmed
	}
	var s sent
	select {
	case s = <-p.sent:
	case <-ctx.Done():
		return errors.Join(errUnconfirmed, ctx.Err())
	case <-l.over:
		return errUnconfirmed
	}
	if s.err != nil {
		return errors.Join(errUnconfirmed, s.err)
	}
	select {
	case <-s.confirmation.Done():
	case <-ctx.Done():
		return errors.Join(errUnconfirmed, ctx.Err())
	case <-l.over:
		return errUnconfirmed
	}
	if !s.confirmation.Acked() {
		return errUnconfirmed
	}
	if !mandatory {
		return nil
	}
	select {
	case <-l.settled:
	case <-l.over:
		return errUnconfirmed
	}
	if p.returned.Load() {
		return fault.New(fault.NotFound, "no queue takes messages to %s", fmt.Sprintf("%q/%q", exchange, key))
	}
	return nil
}
