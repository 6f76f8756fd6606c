package rabbitmq

import (
	"context"
	"errors"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// OneShotPublisher publishes to the exchange like a service of another team: it declares nothing, so that an event that no queue takes is
// reported. It is for commands. It has one connection, which is not re-established.
//
// It is not safe for concurrent use.
type OneShotPublisher struct {
	exchange string
	channel  *channel
}

// DialOneShot connects; it retries until ctx ends. Errors: Unavailable if the broker did not answer, or refused the credentials or the
// virtual host, which is not retried; Invalid for a wrong configuration.
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

// Publish publishes one message by its routing key and returns when a queue has it.
//
// Errors: NotFound if no queue takes it or the exchange does not exist; Unavailable if it was not confirmed: it may have arrived; Invalid
// for a message that can never be sent.
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
		return fault.New(fault.NotFound, "no queue is bound to exchange %s for routing key %s", p.exchange, m.RoutingKey)
	}
	select { // the client sends the reason before it ends unconfirmed publications
	case reason := <-p.channel.closed:
		if reason != nil && reason.Code == amqp.NotFound {
			return fault.New(fault.NotFound, "exchange %s does not exist", p.exchange)
		}
		err = errors.Join(err, closeError(reason))
	default:
	}
	return fault.Wrap(err, fault.Unavailable, "publish %s", m.RoutingKey)
}

// Close disconnects and releases all resources before it returns.
func (p *OneShotPublisher) Close() { p.channel.close() }
