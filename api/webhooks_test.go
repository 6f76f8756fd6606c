package api_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/order"
)

const stripeWebhook = "/v1/webhooks/stripe"

// TestStripeWebhook: the body is passed on as it was received, because its signature covers every byte.
func TestStripeWebhook(t *testing.T) {
	var body, signature string
	var result error
	f := newFixture(t, func(c *api.Config) {
		c.StripeWebhook = func(_ context.Context, b []byte, s string) error {
			body, signature = string(b), s
			return result
		}
	})
	const sent = "{ \"id\":\"evt_1\",\n\"type\": \"payment_intent.canceled\" }\n"
	got := f.do(http.MethodPost, stripeWebhook, sent, "Stripe-Signature", "t=1,v1=00")
	require.Equal(t, http.StatusNoContent, got.status, got.body)
	if body != sent {
		t.Errorf("%q", body)
	}
	require.Equal(t, "t=1,v1=00", signature)
	for code, status := range map[fault.Code]int{
		fault.Unauthenticated: http.StatusUnauthorized, fault.Malformed: http.StatusBadRequest, fault.Unavailable: http.StatusServiceUnavailable,
	} {
		result = fault.New(code, "refused")
		require.Equal(t, status, f.do(http.MethodPost, stripeWebhook, sent).status)
	}
	require.Equal(t, http.StatusUnsupportedMediaType, f.do(http.MethodPost, stripeWebhook, sent, "Content-Type", "application/x-www-form-urlencoded").status)
	require.Equal(t, http.StatusNotFound, newFixture(t).do(http.MethodPost, stripeWebhook, sent).status, "Stripe is not the gateway")
}

// TestPaymentAction: what the payer has to do is shown while the payment is pending, and an order is shown when the gateway does not respond.
func TestPaymentAction(t *testing.T) {
	var asked payment.Payment
	var failure error
	f := newFixture(t, func(c *api.Config) {
		c.ClientSecret = func(_ context.Context, p payment.Payment) (string, error) {
			asked = p
			if failure != nil {
				return "", failure
			}
			return "pi_1_secret_2", nil
		}
	})
	entries := timeline("order-1")
	f.append("order-1", entries[:2]...)
	require.NotContains(t, f.do(http.MethodGet, "/v1/orders/order-1", "").body, "paymentAction")
	require.Empty(t, asked.OrderID, "the gateway is asked about pending payments only")

	f.append("order-1", event.New(event.OrderStream("order-1"), order.SlotPending, event.PaymentPending, "order-1", at.Add(time.Minute), map[string]any{
		"orderId": "order-1", "paymentId": "pi_1", "amount": 6297, "currency": "EUR", "expiresAt": at.Add(time.Hour),
	}))
	got := f.do(http.MethodGet, "/v1/orders/order-1", "")
	require.Contains(t, got.body, `"paymentAction":{"clientSecret":"pi_1_secret_2"}`)
	require.Equal(t, payment.Payment{OrderID: "order-1", ID: "pi_1", Amount: 6297, Currency: "EUR", Method: "tok_visa", CreatedAt: at}, asked)
	require.NotContains(t, f.output.String(), "secret_2")

	failure = errors.New("no answer")
	got = f.do(http.MethodGet, "/v1/orders/order-1", "")
	require.Equal(t, http.StatusOK, got.status)
	require.NotContains(t, got.body, "paymentAction")
	require.Contains(t, f.output.String(), "no answer")
}
