package rabbitmq

import (
	"context"
	"errors"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// OneShotPublisher publishes to the exchange as another team's service does: it declares nothing of this service's, so that
// an event that no queue takes is reported. It is for commands: one connection, which is not made anew when it is lost.
//
// One goroutine may use it at a time.
type OneShotPublisher struct {
	exchange string
	channel  *channel
}

// DialOneShot connects, trying again until ctx ends. Errors: Unavailable when the broker did not answer until then,
// or refused the credentials or the virtual host, which is not tried again; Invalid for a wrong configuration.
func DialOneShot(ctx context.Context, cfg Config) (*OneShotPublisher, error) {
	cfg = cfg.withDefaults()
	if err := fault.NewInvalid("publisher configuration", cfg.problems()); err != nil {
		return nil, err
	}
	for failures := 0; ; failures++ {
		channel, err := openChannel(ctx, cfg, "publisher")
		if err == nil {
			return &OneShotPublisher{cfg.Topology.Exchange, channel}, nil
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

// Publish publishes one message under its routing key and returns when the broker has it in a queue.
//
// Errors: NotFound when no queue takes it, or there is no exchange; Unavailable when it was not confirmed: it may have
// arrived; Invalid for a message that can never be sent.
func (p *OneShotPublisher) Publish(ctx context.Context, m wire.Message) error {
	message, err := ToPublishing(m)
	if err != nil {
		return err
	}
	err = p.channel.publish(ctx, p.exchange, m.RoutingKey, true, message)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fault.NotFound):
		return fault.New(fault.NotFound, "nothing listens to %s on %s", m.RoutingKey, p.exchange)
	}
	select { // the client gives the reason for closing a channel before it ends what is not confirmed
	case reason := <-p.channel.closed:
		if reason != nil && reason.Code == amqp.NotFound {
			return fault.New(fault.NotFound, "there is no exchange %s", p.exchange)
		}
		err = errors.Join(err, closeError(reason))
	default:
	}
	return fault.Wrap(err, fault.Unavailable, "publish %s", m.RoutingKey)
}

// Close disconnects. Nothing is left when it returns.
func (p *OneShotPublisher) Close() { p.channel.close() }
