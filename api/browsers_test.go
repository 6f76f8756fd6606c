package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// cancelling counts cancellations, all of which are accepted.
func cancelling(f *fixture) *int {
	cancelled := new(int)
	f.append("o-1", timeline("o-1")[:1]...)
	f.sagas.cancel = func(context.Context, string, order.Cancellation) (saga.CancelAnswer, error) {
		*cancelled++
		return saga.CancelAnswer{Accepted: true}, nil
	}
	return cancelled
}

// doAs sends a request to a host; headers are pairs of name and value.
func (f *fixture) doAs(host, method, target, body string, headers ...string) answer {
	f.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = host
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	f.server.ServeHTTP(w, r)
	a := answer{status: w.Code, header: w.Header(), body: w.Body.String()}
	checkAgainstSpecification(f.t, r, body, a)
	return a
}

func TestHostsAreListed(t *testing.T) {
	f := newFixture(t, func(c *api.Config) { c.Hosts = []string{"orders.example.com", "*.svc.cluster.local"} })
	for _, host := range []string{
		"localhost", "localhost:8080", "LOCALHOST.:8080", "127.0.0.1", "127.0.0.1:8080", "10.1.2.3:80", "[::1]", "[::1]:8080", "[fe80::1]:80",
		"orders.example.com", "Orders.Example.com:443", "ordersaga.svc.cluster.local:8080", "a.b.svc.cluster.local", "",
	} {
		require.Equal(t, http.StatusOK, f.doAs(host, http.MethodGet, "/v1/orders", "").status, host)
	}
	cancelled := cancelling(f)
	for _, host := range []string{
		"evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "example.com", "a.orders.example.com",
		"svc.cluster.local", "evilsvc.cluster.local", "2130706433", "localhost:80:80", "local host",
	} {
		for _, path := range []string{"/v1/orders", "/docs", "/", "/nowhere", "/openapi.yaml"} {
			a := f.doAs(host, http.MethodGet, path, "")
			require.Equal(t, http.StatusMisdirectedRequest, a.status, host+path)
			require.Equal(t, "host_not_allowed", a.problem(t).Code)
		}
		require.Equal(t, http.StatusMisdirectedRequest, f.doAs(host, http.MethodPost, "/v1/orders/o-1/cancellation", "").status, host)
		for _, path := range []string{"/livez", "/readyz", "/metrics"} {
			require.Equal(t, http.StatusOK, f.doAs(host, http.MethodGet, path, "").status, host+path)
		}
	}
	require.Zero(t, *cancelled)
	require.Equal(t, http.StatusOK, newFixture(t, func(c *api.Config) { c.Hosts = []string{"*"} }).doAs("any.example", http.MethodGet, "/docs", "").status)
}

func TestRequestsOfOtherOriginsAreRefused(t *testing.T) {
	f := newFixture(t)
	cancelled := cancelling(f)
	const post = http.MethodPost + " /v1/orders/o-1/cancellation"
	for _, refused := range [][]string{
		{post, "Origin", "https://evil.example"},
		{post, "Origin", "null"},
		{post, "Origin", "http://localhost:3000"},
		{post, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"},
		{post, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"},
		{post, "Sec-Fetch-Site", "same-site"},
		{post, "Origin", "http://localhost:8080", "Sec-Fetch-Site", "cross-site"},
		{post, "Sec-Fetch-Site", "something-new"},
		{"GET /v1/orders/o-1", "Origin", "https://evil.example"},
		{"GET /v1/orders/o-1/events", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors", "Accept", "text/event-stream"},
		{"GET /docs", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"},
		{"OPTIONS /v1/orders", "Origin", "https://evil.example", "Access-Control-Request-Method", "POST"},
	} {
		method, path, _ := strings.Cut(refused[0], " ")
		a := f.doAs("localhost:8080", method, path, "", refused[1:]...)
		require.Equal(t, http.StatusForbidden, a.status, refused)
		require.Equal(t, "cross_site", a.problem(t).Code)
		require.Empty(t, a.header.Get("Access-Control-Allow-Origin"))
	}
	require.Zero(t, *cancelled)
	for _, allowed := range [][]string{
		{post}, // curl and services
		{post, "Origin", "http://localhost:8080"},
		{post, "Origin", "http://localhost:8080", "Sec-Fetch-Site", "same-origin"},
		{post, "Sec-Fetch-Site", "none"},
		// A proxy has changed the Host: the browser knows better.
		{post, "Origin", "https://orders.example.com", "Sec-Fetch-Site", "same-origin"},
		{"GET /docs", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"},
		{"GET /v1/orders/o-1", "Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"},
		{"GET /livez", "Origin", "https://evil.example"},
	} {
		method, path, _ := strings.Cut(allowed[0], " ")
		require.Equal(t, http.StatusOK, f.doAs("localhost:8080", method, path, "", allowed[1:]...).status, allowed)
	}
	require.Equal(t, 5, *cancelled)
}

func TestFormsAreRefusedEvenWhenEmpty(t *testing.T) {
	f := newFixture(t)
	cancelled := cancelling(f)
	for _, contentType := range []string{
		"application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", "Text/Plain;charset=UTF-8",
		"application/x-www-form-urlencoded; a", " text/plain ;=", "text/plain;",
	} {
		for _, path := range []string{"/v1/orders/o-1/cancellation", "/v1/dead-letters/d-1/replay", "/v1/dead-letters/d-1/discard", "/v1/orders"} {
			a := f.doAs("localhost", http.MethodPost, path, "", "Content-Type", contentType)
			require.Equal(t, http.StatusUnsupportedMediaType, a.status, "%s %q", path, contentType)
			require.Equal(t, "unsupported_media_type", a.problem(t).Code)
		}
	}
	require.Zero(t, *cancelled)
	require.Equal(t, http.StatusOK, f.doAs("localhost", http.MethodPost, "/v1/orders/o-1/cancellation", "", "Content-Type", "application/json").status)
	require.Equal(t, http.StatusOK, f.doAs("localhost", http.MethodPost, "/v1/orders/o-1/cancellation", "").status)
}

func TestCORSOrigins(t *testing.T) {
	const shop = "https://shop.example.com"
	f := newFixture(t, func(c *api.Config) { c.CORSOrigins = []string{shop} })
	cancelled := cancelling(f)
	a := f.doAs("localhost", http.MethodOptions, "/v1/orders/o-1/cancellation", "", "Origin", shop, "Sec-Fetch-Site", "cross-site",
		"Sec-Fetch-Mode", "cors", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type")
	require.Equal(t, http.StatusNoContent, a.status)
	require.Equal(t, shop, a.header.Get("Access-Control-Allow-Origin"))
	require.Contains(t, a.header.Get("Access-Control-Allow-Methods"), "POST")
	require.Contains(t, a.header.Get("Access-Control-Allow-Headers"), "Idempotency-Key")
	require.Equal(t, "Origin", a.header.Get("Vary"))

	a = f.doAs("localhost", http.MethodPost, "/v1/orders/o-1/cancellation", "", "Origin", shop, "Sec-Fetch-Site", "cross-site")
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, shop, a.header.Get("Access-Control-Allow-Origin"))
	require.Contains(t, a.header.Get("Access-Control-Expose-Headers"), "Location")
	require.Empty(t, a.header.Get("Access-Control-Allow-Credentials"))
	require.Equal(t, 1, *cancelled)
	// A page that may use the API reads its problems too.
	a = f.doAs("localhost", http.MethodGet, "/v1/orders/o-9", "", "Origin", shop, "Sec-Fetch-Site", "cross-site")
	require.Equal(t, http.StatusNotFound, a.status)
	require.Equal(t, shop, a.header.Get("Access-Control-Allow-Origin"))
	// The answer to others may be cached beside it.
	require.Equal(t, "Origin", f.doAs("localhost", http.MethodGet, "/docs", "").header.Get("Vary"))

	for _, origin := range []string{"http://shop.example.com", shop + ":8443", "https://shop.example.com.evil.example", "null"} {
		a = f.doAs("localhost", http.MethodPost, "/v1/orders/o-1/cancellation", "", "Origin", origin)
		require.Equal(t, http.StatusForbidden, a.status, origin)
		require.Empty(t, a.header.Get("Access-Control-Allow-Origin"), origin)
	}
	require.Equal(t, 1, *cancelled)
}
