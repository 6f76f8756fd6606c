package rabbitmq

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
)

const (
	// maxReplies is how many replies wait to be sent; more are dropped.
	maxReplies = 256
	// replyTimeout bounds sending one reply, connecting included.
	replyTimeout = 5 * time.Second
)

// reply is an answer to the sender of a message.
type reply struct {
	to      string // a queue, or a name of RabbitMQ's direct reply-to
	message wire.Message
}

// replies sends answers to senders that wait for one. Nothing depends on them: one that cannot be sent is dropped. They go over
// a connection of their own, which is made when the first one is sent: RabbitMQ 3.10 closes the whole connection over a name of
// its direct reply-to that has a process in it which does not exist, and everybody can put that into a message.
type replies struct {
	cfg   Config
	queue chan reply
	done  sync.WaitGroup

	conn    *amqp.Connection
	channel *amqp.Channel
	// closed and dropped are closed with the channel and the connection.
	closed, dropped <-chan *amqp.Error
}

// startReplies begins to send what send is given, until ctx ends or stop is called.
func startReplies(ctx context.Context, cfg Config) *replies {
	r := &replies{cfg: cfg, queue: make(chan reply, maxReplies)}
	r.done.Go(func() {
		defer r.disconnect()
		for one := range r.queue {
			if err := r.deliver(ctx, one); err != nil {
				r.disconnect()
				cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "a reply could not be sent", slog.String("correlation_id", one.message.CorrelationID), slog.Any("error", err))
			}
		}
	})
	return r
}

// stop returns when everything is sent, or dropped because the context has ended. Nothing may be sent from its call on.
func (r *replies) stop() {
	close(r.queue)
	r.done.Wait()
}

// send takes a reply, or drops it when too many wait. It does not block.
func (r *replies) send(to string, m wire.Message) {
	select {
	case r.queue <- reply{to, m}:
	default:
		r.cfg.Logger.LogAttrs(context.Background(), slog.LevelWarn, "too many replies wait: one is dropped", slog.String("correlation_id", m.CorrelationID))
	}
}

// deliver sends one reply and waits until the broker has taken it, or dropped it because nobody listens any more.
func (r *replies) deliver(ctx context.Context, one reply) error {
	message, err := ToPublishing(one.message)
	if err != nil {
		return err
	}
	message.DeliveryMode = amqp.Transient
	ctx, cancel := context.WithTimeout(ctx, replyTimeout)
	defer cancel()
	if err := r.connect(ctx); err != nil {
		return err
	}
	// A write blocks for as long as the broker does not read.
	conn := r.conn
	stop := context.AfterFunc(ctx, func() { _ = conn.CloseDeadline(time.Now().Add(closeTimeout)) })
	defer stop()
	confirm, err := r.channel.PublishWithDeferredConfirm("", one.to, false, false, message)
	if err != nil {
		return fault.Wrap(errors.Join(err, ctx.Err()), fault.Unavailable, "reply")
	}
	select {
	case <-confirm.Done():
		if !confirm.Acked() {
			return fault.Wrap(errUnconfirmed, fault.Unavailable, "reply")
		}
		return nil
	case reason := <-r.closed:
		return fault.Wrap(errors.Join(closeError(reason), ctx.Err()), fault.Unavailable, "reply")
	case <-ctx.Done():
		return fault.Wrap(ctx.Err(), fault.Unavailable, "reply")
	}
}

// connect connects unless the connection still stands.
func (r *replies) connect(ctx context.Context) error {
	if r.conn != nil && !r.channel.IsClosed() {
		return nil
	}
	r.disconnect()
	conn, err := dialFor(ctx, r.cfg, "replies")
	if err != nil {
		return err
	}
	r.conn, r.dropped = conn, conn.NotifyClose(make(chan *amqp.Error, 1))
	if r.channel, err = conn.Channel(); err == nil {
		err = r.channel.Confirm(false)
	}
	if err != nil {
		r.disconnect()
		return fault.Wrap(err, fault.Unavailable, "open channel")
	}
	r.closed = r.channel.NotifyClose(make(chan *amqp.Error, 1))
	return nil
}

// disconnect returns when nothing of the connection is left.
func (r *replies) disconnect() {
	if r.conn != nil {
		hangUp(r.conn, r.dropped)
		r.conn = nil
	}
}
