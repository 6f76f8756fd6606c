package e2e

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/payment/stripe/stripefake"
	"github.com/ordersaga/ordersaga/test/harness"
)

// TestStripeDisputes: disputes and failed refunds of orders that have ended need attention and block refunds, whatever the order of the webhooks, and
// foreign ones are ignored. Other orders are cancelled, or their authorization expires.
func TestStripeDisputes(t *testing.T) {
	s := newStack(t)
	t.Setenv("TEMPORAL_NAMESPACE", s.registerNamespace()) // reconcile looks at every saga of a namespace
	account := stripefake.New()
	t.Cleanup(account.Close)
	for _, setting := range []string{
		"PAYMENT_GATEWAY=stripe", "STRIPE_API_KEY=sk_test_1", "STRIPE_WEBHOOK_SECRET=" + stripeSecret, "STRIPE_API_BASE=" + account.URL, "ATTENTION_AFTER=1s",
	} {
		name, value, _ := strings.Cut(setting, "=")
		t.Setenv(name, value)
	}
	service := s.start()
	notify := func(id, eventType string, object any) {
		t.Helper()
		body, signature := stripefake.Webhook(id, eventType, object, stripeSecret, time.Now())
		request, err := http.NewRequestWithContext(s.ctx, http.MethodPost, service.URL+"/v1/webhooks/stripe", bytes.NewReader(body))
		require.NoError(t, err)
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Stripe-Signature", signature)
		answer, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		_, _ = io.Copy(io.Discard, answer.Body)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusNoContent, answer.StatusCode)
	}
	sku := s.sku(100)
	intentOf := func(orderID string) (found stripefake.Intent) {
		t.Helper()
		for _, i := range account.Intents() {
			if i.Metadata["ordersaga_reference"] == orderID {
				found = i
			}
		}
		require.NotEmpty(t, found.ID)
		return found
	}
	paid := func() (string, stripefake.Intent) {
		t.Helper()
		placed, err := s.client.Place(s.ctx, harness.NewOrder(sku, 1, stripefake.Approve), 0)
		require.NoError(t, err)
		s.ends(placed.ID, "completed", "")
		return placed.ID, intentOf(placed.ID)
	}
	refund := func(orderID string, amount int64) harness.Response {
		t.Helper()
		answer, err := s.client.Do(s.ctx, http.MethodPost, "/v1/orders/"+orderID+"/refunds", map[string]any{"amount": amount}, "Prefer", "wait=60")
		require.NoError(t, err)
		return answer
	}
	decide := func(id, step string, d map[string]any) {
		t.Helper()
		_, err := s.client.AwaitStuck(s.ctx, id, step)
		require.NoError(t, err)
		answer, err := s.client.Do(s.ctx, http.MethodPost, "/v1/sagas/dispute/"+id+"/resolutions", d)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, answer.Status, string(answer.Body))
	}
	ended := func(id string) {
		t.Helper()
		for {
			answer, err := s.client.Do(s.ctx, http.MethodGet, "/v1/sagas/dispute/"+id, nil)
			require.NoError(t, err)
			var saga struct{ Status string }
			if answer.Status == http.StatusOK {
				require.NoError(t, answer.Into(http.StatusOK, &saga))
			}
			if saga.Status == "completed" {
				return
			}
			select {
			case <-time.After(50 * time.Millisecond):
			case <-s.ctx.Done():
				require.FailNow(t, "the dispute has not ended", "%s: %s", id, answer.Body)
			}
		}
	}

	// An operator ends a dispute; meanwhile nothing is refunded.
	first, intent := paid()
	notify("evt_0", "payment_intent.amount_capturable_updated", intent) // what the order has recorded
	require.Equal(t, http.StatusCreated, refund(first, 100).Status)
	notify("evt_1", "charge.dispute.created", stripefake.NewDispute("dp_1", intent, "needs_response"))
	notify("evt_2", "charge.dispute.updated", stripefake.NewDispute("dp_1", intent, "under_review"))
	notify("evt_1", "charge.dispute.created", stripefake.NewDispute("dp_1", intent, "needs_response"))
	_, err := s.client.AwaitStuck(s.ctx, "dp_1", "dispute")
	require.NoError(t, err)
	require.Contains(t, s.printed("attention"), "the payer disputes the payment")
	blocked := refund(first, 1)
	require.Equal(t, http.StatusConflict, blocked.Status)
	require.Contains(t, string(blocked.Body), "an open dispute blocks refunds of the payment")
	decide("dp_1", "dispute", map[string]any{"action": "skip", "note": "withdrawn by the payer"})
	ended("dp_1")
	require.Equal(t, http.StatusCreated, refund(first, 1).Status)

	// The end of a dispute arrives first, and its beginning later.
	second, intent := paid()
	notify("evt_3", "charge.dispute.closed", stripefake.NewDispute("dp_2", intent, "lost"))
	ended("dp_2")
	notify("evt_4", "charge.dispute.created", stripefake.NewDispute("dp_2", intent, "needs_response"))
	notify("evt_3", "charge.dispute.closed", stripefake.NewDispute("dp_2", intent, "lost"))
	require.Equal(t, http.StatusConflict, refund(second, 1).Status, "the payer has the money")

	// A refund fails that was recorded as made.
	made := account.Refunds()[0]
	notify("evt_5", "refund.updated", made)
	notify("evt_6", "refund.failed", account.FailRefund(made.ID))
	decide(made.ID, "refund", map[string]any{"action": "substitute", "reference": "transfer 4711"})
	ended(made.ID)

	foreign := intent
	foreign.ID = "pi_of_another_application"
	notify("evt_7", "charge.dispute.created", stripefake.NewDispute("dp_3", foreign, "needs_response"))

	// A cancelled order is voided. An authorization that has expired before the capture is a refused capture.
	cancelled, expired := s.ship(sku, stripefake.Approve), s.ship(sku, stripefake.Approve)
	s.awaitStatus(cancelled, "awaiting_shipment")
	answer, err := s.client.Cancel(s.ctx, cancelled, "ordered twice")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.Status)
	s.ends(cancelled, "cancelled", "requested")
	require.Equal(t, "canceled", intentOf(cancelled).Status)
	s.awaitStatus(expired, "awaiting_shipment")
	account.Expire(intentOf(expired).ID)
	s.carrier("shipment.dispatched", expired)
	_, err = s.client.AwaitStuck(s.ctx, expired, "capture")
	require.NoError(t, err)
	s.resolve(expired, harness.Decision{Action: "substitute", Reference: "transfer 4712"})
	s.carrier("shipment.delivered", expired)
	s.ends(expired, "completed", "")

	found, _ := s.reconcileOnce()
	for _, f := range found {
		require.True(t, strings.HasPrefix(f, "exception_on_record"), f)
	}
	unknown, err := s.client.Do(s.ctx, http.MethodGet, "/v1/sagas/dispute/dp_3", nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, unknown.Status)
	require.Zero(t, s.documents("late-"+first, ""))
}
