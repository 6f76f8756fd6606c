package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/test/harness"
)

// TestAPIKeys: a key is created on the command line, allows what its scopes say, and is revoked while the service runs.
func TestAPIKeys(t *testing.T) {
	s := newStack(t)
	service := s.start("API_AUTH=keys")
	env := append(environ(), "MONGODB_DATABASE="+s.database)
	create := func(args ...string) string {
		return strings.TrimSpace(printed(t, env, append([]string{"keys", "create"}, args...)...))
	}
	code := func(c harness.Client, status int, method, path string, body any, headers ...string) string {
		t.Helper()
		var problem harness.Problem
		answer, err := c.Do(s.ctx, method, path, body, headers...)
		require.NoError(t, err)
		require.NoError(t, answer.Into(status, &problem))
		return problem.Code
	}
	anonymous := harness.Client{URL: service.URL}
	require.Equal(t, "unauthenticated", code(anonymous, http.StatusUnauthorized, http.MethodGet, "/v1/orders", nil))
	require.NoError(t, service.Ready(s.ctx), "probes are open")

	shop, stock := anonymous, anonymous
	shop.Token = create("--name", "shop", "--scopes", "orders:write,orders:read")
	require.Regexp(t, `^osk_[A-Za-z0-9_-]{43}$`, shop.Token, "nothing else on standard output")
	stock.Token = create("--name", "warehouse", "--scopes", "stock:write")
	out, err := command(t, env, "keys", "create", "--name", "shop", "--scopes", "operate")
	require.Error(t, err, out)
	require.Contains(t, out, "never used again")

	sku := "sku-" + s.database
	require.NoError(t, stock.Receive(s.ctx, sku, 10))
	order := harness.NewOrder(sku, 1, "tok_visa")
	shop.Patient = true
	placed, err := shop.Place(s.ctx, order, longestWait, "Idempotency-Key", "k-1")
	require.NoError(t, err)
	require.Equal(t, "completed", placed.Status)
	read, err := shop.Order(s.ctx, placed.ID)
	require.NoError(t, err)
	require.Equal(t, placed.ID, read.ID)
	require.Equal(t, "insufficient_scope", code(shop, http.StatusForbidden, http.MethodGet, "/v1/attention", nil))
	require.Equal(t, "insufficient_scope", code(shop, http.StatusForbidden, http.MethodPost, "/v1/stock/"+sku+"/receipts", map[string]int{"quantity": 1}))
	require.Equal(t, "insufficient_scope", code(stock, http.StatusForbidden, http.MethodGet, "/v1/orders/"+placed.ID, nil))

	var rotated struct {
		Key    string
		Scopes []string
	}
	require.NoError(t, json.Unmarshal([]byte(printed(t, env, "keys", "rotate", "shop", "--overlap", "1h", "--json")), &rotated))
	require.Equal(t, []string{"orders:write", "orders:read"}, rotated.Scopes)
	successor := harness.Client{URL: service.URL, Token: rotated.Key, Patient: true}
	again, err := successor.Place(s.ctx, order, longestWait, "Idempotency-Key", "k-1")
	require.NoError(t, err)
	require.Equal(t, placed.ID, again.ID, "the same caller")

	// A stream of an order that waits for its dispatch ends with the key.
	waiting := order
	waiting.Fulfillment = "shipment"
	open, err := shop.Place(s.ctx, waiting, 0)
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(s.ctx, http.MethodGet, service.URL+"/v1/orders/"+open.ID+"/events", nil)
	require.NoError(t, err)
	request.Header.Set("Accept", "text/event-stream")
	request.Header.Set("Authorization", "Bearer "+shop.Token)
	stream, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer stream.Body.Close()
	require.Equal(t, http.StatusOK, stream.StatusCode)

	require.Contains(t, printed(t, env, "keys", "revoke", "shop"), "shop is revoked")
	_, err = io.Copy(io.Discard, stream.Body)
	require.NoError(t, err, "the stream ends as a whole answer does")
	for _, former := range []harness.Client{shop, successor} {
		require.Eventually(t, func() bool {
			answer, err := former.Do(s.ctx, http.MethodGet, "/v1/orders/"+placed.ID, nil)
			return err == nil && answer.Status == http.StatusUnauthorized
		}, patience, 200*time.Millisecond)
	}
	listed := printed(t, env, "keys", "list")
	require.Contains(t, listed, "warehouse")
	for _, secret := range []string{shop.Token, stock.Token, rotated.Key} {
		require.NotContains(t, service.Log()+listed, strings.TrimPrefix(secret, "osk_"))
	}

	operator := anonymous
	operator.Token = create("--name", "operator", "--scopes", "orders:write,orders:read,operate")
	answer, err := operator.Cancel(s.ctx, open.ID, "the test is over")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.Status)
	_, err = operator.AwaitEnd(s.ctx, open.ID)
	require.NoError(t, err)
	require.NoError(t, service.Stop(patience))
	s.audit()
}

// TestTheAPIIsNotOpenByMistake: off loopback the service starts only when API_AUTH is set.
func TestTheAPIIsNotOpenByMistake(t *testing.T) {
	env := append(environ(), "HTTP_ADDR=0.0.0.0:0", "PAYMENT_GATEWAY=simulator")
	for _, role := range []string{"serve", "api"} {
		out, err := command(t, env, role)
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
		require.Equal(t, 2, exit.ExitCode())
		require.Contains(t, out, "API_AUTH=none: expected keys, oidc or keys,oidc, because HTTP_ADDR=0.0.0.0:0 can be reached from other machines")
	}
}
