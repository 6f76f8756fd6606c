package api

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// stripeSignature is the header with the signature of a webhook of Stripe.
const stripeSignature = "Stripe-Signature"

// receiveStripe passes a webhook on. Its signature is its only credential: the route is open to everyone.
func (s *Server) receiveStripe(c echo.Context) error {
	if s.cfg.StripeWebhook == nil {
		return fault.New(fault.NotFound, "webhooks of Stripe are received if PAYMENT_GATEWAY is stripe")
	}
	leave, err := s.limits.enter()
	if err != nil {
		return err
	}
	defer leave()
	if err := queryOf(c).err(); err != nil {
		return err
	}
	body, err := s.readBody(c)
	if err != nil {
		return err
	}
	ctx, cancel := s.withDependencyTimeout(c)
	defer cancel()
	if err := s.cfg.StripeWebhook(ctx, body, c.Request().Header.Get(stripeSignature)); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// withAction adds what the payer's device needs while a payment waits for an action of the payer. The gateway is asked every time, because it is a
// secret that is stored nowhere. An order is shown without it when the gateway does not respond.
func (s *Server) withAction(ctx context.Context, state order.State, r orderResource) orderResource {
	if s.cfg.ClientSecret == nil || state.Payment != order.PaymentPending || state.Status != order.StatusAwaitingPayment {
		return r
	}
	secret, err := s.cfg.ClientSecret(ctx, state.PaymentOf())
	if err != nil {
		s.cfg.Logger.WarnContext(ctx, "the payment gateway did not say which action the payer has to take", "order_id", r.ID, "error", err)
	}
	if secret != "" {
		r.PaymentAction = &paymentAction{secret}
	}
	return r
}

// paymentAction is what the payer has to do.
type paymentAction struct {
	ClientSecret string `json:"clientSecret"`
}
