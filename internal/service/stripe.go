package service

import (
	"context"
	"encoding/json"
	"log/slog"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/config"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/payment/stripe"
)

// stripeSource is the source of events that are made of webhooks.
const stripeSource = "stripe"

// stripeWebhook returns what handles webhooks of Stripe, nil if Stripe is not the gateway. A webhook becomes an event in the inbox, as any payment
// service would send it: the consumers wait for its order, drop repetitions by its ID, and dead-letter it. It is acknowledged when
// the broker has it; otherwise Stripe sends it again.
func (s *Service) stripeWebhook() func(context.Context, []byte, string) error {
	if s.cfg.PaymentGateway != config.GatewayStripe {
		return nil
	}
	return func(ctx context.Context, body []byte, signature string) error {
		n, about, err := stripe.ReadWebhook(body, signature, s.cfg.StripeWebhookSecret.Reveal())
		if err != nil || !about {
			return err
		}
		if n.Flow != "" {
			s.logger.LogAttrs(ctx, slog.LevelDebug, "a webhook is about a payment of another flow, which asks for its payments itself", slog.String("flow", n.Flow))
			return nil
		}
		data, err := json.Marshal(map[string]string{"orderId": n.OrderID, "paymentId": n.PaymentID, "code": n.Code})
		if err != nil {
			return err
		}
		e := event.Event{
			ID: event.DerivedID("stripe", n.ID), Type: event.PaymentFailed, Source: stripeSource, Subject: n.OrderID, Time: n.Time, Data: data,
		}
		if n.Succeeded {
			e.Type = event.PaymentSucceeded
		}
		e.CorrelationID = e.ID
		m, err := wire.Wrap(e)
		if err != nil {
			return err
		}
		if err := (inbox{s}).Ready(ctx); err != nil {
			return err
		}
		err = s.publisher.Send(ctx, s.broker().Topology.Inbox(), m)
		return fault.Wrap(err, fault.CodeOf(err), "send the webhook %s to the inbox", n.ID)
	}
}

// clientSecret returns what asks the gateway for the action of a payer, nil if it has none.
func (s *Service) clientSecret() func(context.Context, payment.Payment) (string, error) {
	gateway, ok := s.gateway.(payment.Authenticator)
	if !ok {
		return nil
	}
	return gateway.ClientSecret
}
