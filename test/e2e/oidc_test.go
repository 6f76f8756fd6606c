package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/internal/oidc/providertest"
	"github.com/ordersaga/ordersaga/test/harness"
)

// TestTokensOfAProvider: operators and customers with tokens of an OpenID Connect provider, which is not available at the start and stops
// responding later, and changes its keys.
func TestTokensOfAProvider(t *testing.T) {
	s := newStack(t)
	provider := providertest.Start(t, nil)
	provider.SetDown(true)
	settings := []string{
		"OIDC_ISSUER=" + provider.URL, "OIDC_AUDIENCE=" + providertest.Audience, "OIDC_SCOPES_CLAIM=roles", "OIDC_CUSTOMER_CLAIM=customer_id",
	}
	service := s.start(append(settings, "API_AUTH=keys,oidc")...)
	as := func(key string, change map[string]any) harness.Client {
		return harness.Client{URL: service.URL, Token: provider.Token(key, time.Now(), change)}
	}
	code := func(c harness.Client, method, path string, body any, headers ...string) (int, string) {
		t.Helper()
		answer, err := c.Do(s.ctx, method, path, body, headers...)
		require.NoError(t, err)
		var problem harness.Problem
		if answer.Status >= http.StatusBadRequest {
			require.NoError(t, answer.Into(answer.Status, &problem))
		}
		return answer.Status, problem.Code
	}
	refused := func(c harness.Client) {
		t.Helper()
		answer, err := c.Do(s.ctx, http.MethodGet, "/v1/orders", nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusUnauthorized, answer.Status, "%s", answer.Body)
		require.Contains(t, answer.Header.Get("WWW-Authenticate"), `error="invalid_token"`)
	}
	ops := as("k1", map[string]any{"sub": "ops", "roles": allScopes})
	key := harness.Client{URL: service.URL, Token: strings.TrimSpace(printed(t, append(environ(), "MONGODB_DATABASE="+s.database), "keys", "create", "--name", "shop", "--scopes", "orders:read"))}

	// Without its provider, tokens cannot be checked, keys are accepted, and the process is ready.
	status, problem := code(ops, http.MethodGet, "/v1/orders", nil)
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "unavailable", problem)
	status, _ = code(key, http.MethodGet, "/v1/orders", nil)
	require.Equal(t, http.StatusOK, status)
	require.NoError(t, service.Ready(s.ctx))
	s.saysOf(t, service, "OIDC_ISSUER, OIDC_TLS_CA_FILE", "502 Bad Gateway")
	provider.SetDown(false)
	require.Eventually(t, func() bool {
		status, _ := code(ops, http.MethodGet, "/v1/orders", nil)
		return status == http.StatusOK
	}, patience, tick)

	sku := "sku-" + s.database
	ops.Patient = true
	require.NoError(t, ops.Receive(s.ctx, sku, 10))
	status, _ = code(ops, http.MethodPost, "/v1/stock/"+sku+"/adjustments", map[string]any{"quantity": 1, "note": "found"})
	require.Equal(t, http.StatusCreated, status)
	var adjusted struct{ Data bson.M }
	require.NoError(t, s.db.Collection("events").FindOne(s.ctx, bson.D{{Key: "stream", Value: "sku-" + sku}, {Key: "type", Value: "stock.adjusted"}}).Decode(&adjusted))
	require.Equal(t, provider.URL+"#ops", adjusted.Data["by"], "the caller")

	ada := as("k1", map[string]any{"sub": "ada", "roles": "orders:read orders:write operate", "customer_id": "c-ada"})
	bob := as("k1", map[string]any{"sub": "bob", "roles": []string{"orders:read", "orders:write"}, "customer_id": "c-bob"})
	o := harness.NewOrder(sku, 1, "tok_visa")
	o.CustomerID = "c-ada"
	ada.Patient = true
	placed, err := ada.Place(s.ctx, o, longestWait, "Idempotency-Key", "k-1")
	require.NoError(t, err)
	require.Equal(t, "completed", placed.Status)
	timeline, err := ada.Timeline(s.ctx, placed.ID)
	require.NoError(t, err)
	require.Equal(t, "order.completed", timeline[len(timeline)-1].Type)
	for path, method := range map[string]string{
		"/v1/orders/" + placed.ID: http.MethodGet, "/v1/orders/" + placed.ID + "/events": http.MethodGet, "/v1/orders/" + placed.ID + "/cancellation": http.MethodPost,
	} {
		status, problem = code(bob, method, path, nil)
		require.Equal(t, http.StatusNotFound, status, path)
		require.Equal(t, "not_found", problem)
	}
	count := func(c harness.Client) int {
		t.Helper()
		var list struct{ Items []harness.Resource }
		answer, err := c.Do(s.ctx, http.MethodGet, "/v1/orders", nil)
		require.NoError(t, err)
		require.NoError(t, answer.Into(http.StatusOK, &list))
		return len(list.Items)
	}
	require.Eventually(t, func() bool { return count(ada) == 1 }, patience, tick)
	require.Zero(t, count(bob))
	status, problem = code(bob, http.MethodPost, "/v1/orders", o)
	require.Equal(t, http.StatusForbidden, status)
	require.Equal(t, "customer_not_allowed", problem)
	status, problem = code(ada, http.MethodGet, "/v1/attention", nil)
	require.Equal(t, http.StatusForbidden, status)
	require.Equal(t, "insufficient_scope", problem)
	// IDs of other customers' orders are answered like free ones; the same key of another caller is another order.
	o.CustomerID = "c-bob"
	for _, id := range []string{placed.ID, "free-" + sku} {
		body := map[string]any{"id": id, "customerId": o.CustomerID, "currency": o.Currency, "lines": o.Lines, "payment": o.Payment}
		status, problem = code(bob, http.MethodPost, "/v1/orders", body)
		require.Equal(t, http.StatusUnprocessableEntity, status)
		require.Equal(t, "invalid", problem)
	}
	bob.Patient = true
	other, err := bob.Place(s.ctx, o, longestWait, "Idempotency-Key", "k-1")
	require.NoError(t, err)
	require.NotEqual(t, placed.ID, other.ID)
	bob.Patient = false

	refused(as("k1", map[string]any{"exp": time.Now().Add(-time.Minute).Unix(), "roles": allScopes}))
	refused(as("k1", map[string]any{"aud": "another service", "roles": allScopes}))
	refused(as("k1", map[string]any{"iss": "https://login.example.com", "roles": allScopes}))

	// A new key is read when its first token arrives, at most every ten seconds.
	provider.Publish("k1", "k2")
	rotated := as("k2", map[string]any{"roles": allScopes})
	require.Eventually(t, func() bool {
		status, _ := code(rotated, http.MethodGet, "/v1/orders", nil)
		return status == http.StatusOK
	}, patience, tick)
	provider.SetDown(true)
	for _, known := range []harness.Client{rotated, bob} {
		status, _ = code(known, http.MethodGet, "/v1/orders", nil)
		require.Equal(t, http.StatusOK, status, "keys that are known are used while the provider does not respond")
	}
	require.NoError(t, service.Stop(patience))
	for _, secret := range []string{ops.Token, ada.Token, key.Token} {
		require.NotContains(t, service.Log(), secret[len(secret)-20:])
	}

	// With tokens alone, a key is not valid.
	provider.SetDown(false)
	service = s.start(append(settings, "API_AUTH=oidc")...)
	key.URL, bob.URL = service.URL, service.URL
	refused(key)
	status, _ = code(bob, http.MethodGet, "/v1/orders/"+url.PathEscape(other.ID), nil)
	require.Equal(t, http.StatusOK, status)
	require.NoError(t, service.Stop(patience))
	s.audit()
}
