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

// replies sends answers to senders that wait for one. A reply that cannot be sent is dropped. Replies go over a connection of their
// own, which is made when the first one is sent: RabbitMQ 3.10 closes the whole connection over a name of its direct reply-to with
// a process in it that does not exist, and every client can put such a name into a message.
type replies struct {
	cfg   Config
	queue chan reply
	done  sync.WaitGroup
	// channel is nil before the first reply and after a failure.
	channel *channel
}

func newReplies(cfg Config) *replies { return &replies{cfg: cfg, queue: make(chan reply, maxReplies)} }

// run begins to send what send is given, until stop is called; from the end of ctx on, what remains is dropped.
func (r *replies) run(ctx context.Context) {
	r.done.Go(func() {
		defer r.disconnect()
		for one := range r.queue {
			if err := r.deliver(ctx, one); err != nil {
				r.disconnect()
				r.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "a reply could not be sent",
					slog.String("correlation_id", one.message.CorrelationID), slog.Any("error", err))
			}
		}
	})
}

// stop returns when everything is sent or dropped. Nothing may be sent after it was called.
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

// deliver sends one reply and waits until the broker has taken it, or dropped it because its receiver is gone.
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
