package rabbitmq

import (
	"context"
	"log/slog"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
)

const (
	// maxReplies bounds the replies that wait to be sent; further ones are dropped.
	maxReplies = 256
	// replyTimeout bounds sending one reply, including the connection.
	replyTimeout = 5 * time.Second
)

// reply is a reply to the sender of a message.
type reply struct {
	to      string // a queue, or a pseudo-queue of direct reply-to
	message wire.Message
}

// replies sends replies to senders that wait for one. A reply that cannot be sent is dropped. It uses its own connection, which is opened
// for the first reply: RabbitMQ 3.10 closes the connection when a direct reply-to name contains a process that does not exist, and every
// client can send such a name.
type replies struct {
	cfg   Config
	queue chan reply
	done  sync.WaitGroup
	// channel is nil before the first reply and after a failure.
	channel *channel
}

func newReplies(cfg Config) *replies { return &replies{cfg: cfg, queue: make(chan reply, maxReplies)} }

// run starts sending, until stop is called. After ctx ends, remaining replies are dropped.
func (r *replies) run(ctx context.Context) {
	r.done.Go(func() {
		defer r.disconnect()
		for one := range r.queue {
			if err := r.deliver(ctx, one); err != nil {
				r.disconnect()
				r.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "reply could not be sent",
					slog.String("correlation_id", one.message.CorrelationID), slog.Any("error", err))
			}
		}
	})
}

// stop returns when all replies are sent or dropped. send must not be called after it.
func (r *replies) stop() {
	close(r.queue)
	r.done.Wait()
}

// send enqueues a reply; it drops it when too many wait. It does not block.
func (r *replies) send(to string, m wire.Message) {
	select {
	case r.queue <- reply{to, m}:
	default:
		r.cfg.Logger.LogAttrs(context.Background(), slog.LevelWarn, "too many pending replies; reply dropped", slog.String("correlation_id", m.CorrelationID))
	}
}

// deliver sends one reply and waits until the broker confirms it, which it also does if the receiver is gone.
func (r *replies) deliver(ctx context.Context, one reply) error {
	message, err := ToPublishing(one.message)
	if err != nil {
		return err
	}
	message.DeliveryMode = amqp.Transient
	ctx, cancel := context.WithTimeout(ctx, replyTimeout)
	defer cancel()
	if r.channel != nil && r.channel.ch.IsClosed() {
		r.disconnect()
	}
	if r.channel == nil {
		if r.channel, err = openChannel(ctx, r.cfg, "replies"); err != nil {
			return err
		}
	}
	return fault.Wrap(r.channel.publish(ctx, "", one.to, false, message), fault.Unavailable, "reply")
}

func (r *replies) disconnect() {
	if r.channel != nil {
		r.channel.close()
		r.channel = nil
	}
}
