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

// paymentAction is what the payer has to do.
type paymentAction struct {
	ClientSecret string `json:"clientSecret"`
}

// paymentAction returns what the payer's device needs while a payment waits for an action of the payer, else nil. The gateway is asked every time, because
// it is a secret that is stored nowhere. An order is shown without it when the gateway does not respond.
func (s *Server) paymentAction(ctx context.Context, state order.State) *paymentAction {
	if s.cfg.ClientSecret == nil || state.Payment != order.PaymentPending || state.Status != order.StatusAwaitingPayment {
		return nil
	}
	secret, err := s.cfg.ClientSecret(ctx, state.PaymentOf())
	if err != nil {
		s.cfg.Logger.WarnContext(ctx, "the payment gateway did not say which action the payer has to take", "order_id", state.Order.ID, "error", err)
	}
	if secret == "" {
		return nil
	}
	return &paymentAction{secret}
}
