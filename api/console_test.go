package api_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// withConsole has a console that answers with what it was asked, and asks the API.
func withConsole(c *api.Config) {
	c.Console = func(rest http.Handler) (http.Handler, error) {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			inner := httptest.NewRecorder()
			rest.ServeHTTP(inner, httptest.NewRequest(http.MethodGet, "/v1/orders/none", nil))
			_, _ = io.WriteString(w, r.Method+" "+r.URL.EscapedPath()+" "+string(body)+" "+inner.Result().Status)
		}), nil
	}
}

// send sends a request with headers and a body of any type.
func send(f *fixture, method, target, body string, headers ...string) answer {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	f.server.ServeHTTP(w, r)
	return answer{status: w.Code, header: w.Header(), body: w.Body.String()}
}

func TestConsoleIsServed(t *testing.T) {
	f := newFixture(t, withConsole)
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	require.Equal(t, "GET /console  404 Not Found", send(f, http.MethodGet, "/console", "").body)
	require.Equal(t, "GET /console/sagas/order/a%2Fb  404 Not Found", send(f, http.MethodGet, "/console/sagas/order/a%2Fb", "").body)
	require.Equal(t, "POST /console/x a=b 404 Not Found", send(f, http.MethodPost, "/console/x", "a=b", form...).body)
	require.Equal(t, http.StatusMethodNotAllowed, send(f, http.MethodDelete, "/console/x", "").status)
	for _, path := range []string{"/v1/orders", "/consoles"} {
		require.NotContains(t, send(f, http.MethodPost, path, "a=b", form...).body, "POST", "forms are for the console only: %s", path)
	}
	without := newFixture(t)
	require.Equal(t, http.StatusNotFound, send(without, http.MethodGet, "/console", "").status)
}

// Without the token of a form, a page of another site may still not reach the console, nor may an origin that may use the API.
func TestConsoleIsForItsOwnPages(t *testing.T) {
	f := newFixture(t, withConsole, func(c *api.Config) { c.CORSOrigins = []string{"https://shop.example"} })
	for _, origin := range []string{"https://evil.example", "https://shop.example"} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			require.Equal(t, "cross_site", send(f, method, "/console/x", "", "Origin", origin).problem(t).Code, "%s from %s", method, origin)
		}
	}
	require.Equal(t, http.StatusOK, send(f, http.MethodPost, "/console/x", "", "Origin", "http://example.com").status)
	require.Equal(t, "host_not_allowed", send(f, http.MethodGet, "http://rebound.example/console", "").problem(t).Code)
}

func TestStartPage(t *testing.T) {
	f := newFixture(t, withConsole)
	const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	require.Equal(t, "/console", send(f, http.MethodGet, "/", "", "Accept", browser).header.Get("Location"))
	require.Equal(t, "/docs", send(f, http.MethodGet, "/", "").header.Get("Location"))
	require.Equal(t, "/docs", send(f, http.MethodGet, "/", "", "Accept", "*/*").header.Get("Location"))
	require.Equal(t, "/docs", send(newFixture(t), http.MethodGet, "/", "", "Accept", browser).header.Get("Location"))
}

func TestLastReconcile(t *testing.T) {
	f := newFixture(t)
	require.Equal(t, "not_found", f.do(http.MethodGet, "/v1/reconcile", "").problem(t).Code)
	report, err := api.ReconcileReport{Status: "completed", StartedAt: at, EndedAt: at, Violations: 1, Findings: []api.ReconcileFinding{{Kind: "k", Subject: "s"}}}, error(nil)
	f = newFixture(t, func(c *api.Config) {
		c.LastReconcile = func(context.Context) (api.ReconcileReport, error) { return report, err }
	})
	require.JSONEq(t, `{"status":"completed","startedAt":"2026-11-21T18:30:00.000Z","endedAt":"2026-11-21T18:30:00.000Z","violations":1,"repaired":0,"notes":0,
		"orders":0,"streams":0,"skus":0,"payments":0,"findings":[{"kind":"k","subject":"s","detail":"","repair":"","repaired":false,"note":false}]}`,
		f.do(http.MethodGet, "/v1/reconcile", "").body)
	err = fault.New(fault.Unavailable, "no Temporal")
	require.Equal(t, http.StatusServiceUnavailable, f.do(http.MethodGet, "/v1/reconcile", "").status)
}
