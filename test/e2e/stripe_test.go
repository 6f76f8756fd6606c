package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/payment/stripe/stripefake"
	"github.com/ordersaga/ordersaga/test/harness"
)

// stripeSecret signs the webhooks of the test.
const stripeSecret = "whsec_of_the_test"

// TestStripe: orders whose payments are PaymentIntents of a server that behaves as Stripe documents.
func TestStripe(t *testing.T) {
	s := newStack(t)
	t.Setenv("TEMPORAL_NAMESPACE", s.registerNamespace()) // reconcile looks at every saga of a namespace
	account := stripefake.New()
	t.Cleanup(account.Close)
	settings := []string{
		"PAYMENT_GATEWAY=stripe", "STRIPE_API_KEY=sk_test_1", "STRIPE_WEBHOOK_SECRET=" + stripeSecret, "STRIPE_API_BASE=" + account.URL,
	}
	for _, setting := range settings { // for the commands too
		name, value, _ := strings.Cut(setting, "=")
		t.Setenv(name, value)
	}
	service := s.start()
	sku := s.sku(100)
	place := func(method string) harness.Resource {
		t.Helper()
		placed, err := s.client.Place(s.ctx, harness.NewOrder(sku, 1, method), 0)
		require.NoError(t, err)
		return placed
	}
	intentOf := func(orderID string) stripefake.Intent {
		t.Helper()
		var found []stripefake.Intent
		for _, i := range account.Intents() {
			if i.Metadata["ordersaga_reference"] == orderID {
				found = append(found, i)
			}
		}
		require.Len(t, found, 1)
		return found[0]
	}
	notify := func(id, eventType string, i stripefake.Intent, secret string) int {
		t.Helper()
		body, signature := stripefake.Webhook(id, eventType, i, secret, time.Now())
		request, err := http.NewRequestWithContext(s.ctx, http.MethodPost, service.URL+"/v1/webhooks/stripe", bytes.NewReader(body))
		require.NoError(t, err)
		request.Header.Set("Content-Type", "application/json; charset=utf-8")
		request.Header.Set("Stripe-Signature", signature)
		answer, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		_, _ = io.Copy(io.Discard, answer.Body)
		require.NoError(t, answer.Body.Close())
		return answer.StatusCode
	}

	approved, declined, refused, stuck := place(stripefake.Approve), place(stripefake.Decline), place(stripefake.CaptureRefused), place(stripefake.Timeout)
	s.ends(approved.ID, "completed", "")
	s.ends(stuck.ID, "completed", "")
	s.ends(declined.ID, "rejected", "payment_declined")
	require.Equal(t, "canceled", intentOf(declined.ID).Status)
	s.ends(refused.ID, "rejected", "capture_refused")
	require.Equal(t, "canceled", intentOf(refused.ID).Status)

	// The payer has to act: the order shows the secret for the payer's device, and it is stored nowhere.
	waiting := place(stripefake.Action)
	s.awaitStatus(waiting.ID, "awaiting_payment")
	intent := intentOf(waiting.ID)
	shown, err := s.client.Do(s.ctx, http.MethodGet, "/v1/orders/"+waiting.ID, nil)
	require.NoError(t, err)
	var resource struct{ PaymentAction struct{ ClientSecret string } }
	require.NoError(t, json.Unmarshal(shown.Body, &resource))
	require.Equal(t, intent.ClientSecret, resource.PaymentAction.ClientSecret)
	require.Equal(t, http.StatusUnauthorized, notify("evt_forged", "payment_intent.amount_capturable_updated", intent, "whsec_forged"))
	require.Equal(t, http.StatusNoContent, notify("evt_early", "payment_intent.amount_capturable_updated", intent, stripeSecret), "a claim that is not true")
	require.True(t, account.Act(intent.ID, true, ""))

	// A webhook, the same again and again, and an event of the bus at once lead to one outcome.
	paid := uuid.NewString()
	var sending sync.WaitGroup
	for n := range 8 {
		sending.Go(func() {
			if n%4 == 3 {
				s.pays(waiting.ID, uuid.NewString(), 1)
				return
			}
			if status := notify(paid, "payment_intent.amount_capturable_updated", intentOf(waiting.ID), stripeSecret); status != http.StatusNoContent {
				t.Errorf("webhook: %d", status)
			}
		})
	}
	sending.Wait()
	s.ends(waiting.ID, "completed", "")

	// The payer does not authenticate.
	abandoned := place(stripefake.Action)
	s.awaitStatus(abandoned.ID, "awaiting_payment")
	intent = intentOf(abandoned.ID)
	require.True(t, account.Act(intent.ID, false, "payment_intent_authentication_failure"))
	require.Equal(t, http.StatusNoContent, notify(uuid.NewString(), "payment_intent.payment_failed", intentOf(abandoned.ID), stripeSecret))
	s.ends(abandoned.ID, "rejected", "payment_failed")

	found, _ := s.reconcile()
	require.Empty(t, found)
	for _, i := range account.Intents() {
		require.Contains(t, []string{"succeeded", "canceled"}, i.Status, i.Metadata["ordersaga_reference"])
	}
	require.Empty(t, account.Refunds())
	require.NotContains(t, service.Log(), "_secret_", "secrets of clients")
	require.NotContains(t, service.Log(), "sk_test_1")
	stored, err := s.db.Collection("events").CountDocuments(s.ctx, map[string]any{"data.clientSecret": map[string]any{"$exists": true}})
	require.NoError(t, err)
	require.Zero(t, stored)
}
