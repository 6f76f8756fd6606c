package service

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/payment/stripe"
	"github.com/ordersaga/ordersaga/workflows/dispute"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// stripeSource is the source of events that are made of webhooks.
const stripeSource = "stripe"

// stripeWebhook returns what handles webhooks of Stripe, nil if Stripe is not the gateway. A webhook becomes an event in the inbox, as any payment
// service would send it: the consumers wait for its order, drop repetitions by its ID, and dead-letter it. It is acknowledged when
// the broker has it; otherwise Stripe sends it again.
func (s *Service) stripeWebhook() func(context.Context, []byte, string) error {
	gateway, ok := s.gateway.(*stripe.Gateway)
	if !ok {
		return nil
	}
	return func(ctx context.Context, body []byte, signature string) error {
		n, about, err := stripe.ReadWebhook(body, signature, s.cfg.StripeWebhookSecret.Reveal())
		if err == nil && about {
			n, about, err = gateway.Identify(ctx, n)
		}
		if err != nil || !about {
			return err
		}
		if repeated, err := s.recorded(ctx, n); err != nil || repeated {
			return err
		}
		events, err := eventsOf(n)
		if err != nil || len(events) == 0 {
			s.logger.LogAttrs(ctx, slog.LevelDebug, "a webhook is about a payment of another flow, which asks for its payments itself", slog.String("flow", n.Flow))
			return err
		}
		if err := (inbox{s}).Ready(ctx); err != nil {
			return err
		}
		for _, e := range events {
			m, err := wire.Wrap(e)
			if err == nil {
				err = s.publisher.Send(ctx, s.broker().Topology.Inbox(), m)
			}
			if err != nil {
				return fault.Wrap(err, fault.CodeOf(err), "send the webhook %s to the inbox", n.ID)
			}
		}
		return nil
	}
}

// recorded reports whether an order has recorded what a notification about its payment says. Stripe notifies of every authorization: the saga, or that of
// late events, would only ask again.
func (s *Service) recorded(ctx context.Context, n stripe.Notification) (bool, error) {
	if n.About != stripe.AboutPayment || n.Flow != "" {
		return false, nil
	}
	of, err := order.Reader{Log: s.stores.log}.Load(ctx, n.OrderID)
	switch {
	case errors.Is(err, fault.ErrMissing):
		return false, nil // it may be new
	case err != nil:
		return false, err
	case n.Succeeded:
		return of.PaymentID == n.PaymentID && of.Has(order.SlotAuthorize, event.PaymentAuthorized), nil
	}
	return of.Has(order.SlotAuthorize, event.PaymentDeclined), nil
}

// eventsOf are the events of a webhook. Stripe may report the end of a dispute first: every webhook about a dispute begins its saga.
func eventsOf(n stripe.Notification) (events []event.Event, err error) {
	add := func(eventType, subject, part string, data any) {
		raw, wrong := json.Marshal(data)
		if wrong != nil {
			err = wrong
		}
		e := event.Event{
			ID: event.DerivedID("stripe", n.ID), Type: eventType, Source: stripeSource, Subject: subject, Time: n.Time, Data: raw,
		}
		if part != "" {
			e.ID = event.DerivedID("stripe", n.ID, part)
		}
		e.CorrelationID = e.ID
		events = append(events, e)
	}
	begin := struct {
		DisputeID string `json:"disputeId"`
		dispute.Request
	}{n.Object, dispute.Request{OrderID: n.OrderID, Flow: n.Flow, PaymentID: n.PaymentID, RefundKey: n.RefundKey, Amount: n.Amount, Reason: n.Code}}
	switch n.About {
	case stripe.AboutFailedRefund:
		add(event.PaymentRefundFailed, n.OrderID, "", begin)
	case stripe.AboutDispute:
		add(event.PaymentDisputed, n.OrderID, "", begin)
	case stripe.AboutClosedDispute:
		result := dispute.Lost
		if n.Succeeded {
			result = dispute.Won
		}
		add(event.PaymentDisputed, n.OrderID, "", begin)
		add(event.PaymentDisputeClosed, n.Object, "closed", map[string]string{"disputeId": n.Object, "result": result})
	case stripe.AboutPayment:
		if n.Flow != "" {
			return nil, nil
		}
		eventType := event.PaymentFailed
		if n.Succeeded {
			eventType = event.PaymentSucceeded
		}
		add(eventType, n.OrderID, "", map[string]string{"orderId": n.OrderID, "paymentId": n.PaymentID, "code": n.Code})
	}
	return events, err
}

// clientSecret returns what asks the gateway for the action of a payer, nil if it has none.
func (s *Service) clientSecret() func(context.Context, payment.Payment) (string, error) {
	gateway, ok := s.gateway.(payment.Authenticator)
	if !ok {
		return nil
	}
	return gateway.ClientSecret
}
