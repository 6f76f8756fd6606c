package api_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/internal/trace"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

func TestUnknownRoutes(t *testing.T) {
	f := newFixture(t)
	for _, path := range []string{"/v1", "/v1/orders/o-1/nothing", "/admin", "/v1/orders/o-1/events/"} {
		a := f.do(http.MethodGet, path, "")
		require.Equal(t, http.StatusNotFound, a.status, path)
		require.Equal(t, "not_found", a.problem(t).Code)
	}
	a := f.do(http.MethodDelete, "/v1/orders/o-1", "")
	require.Equal(t, http.StatusMethodNotAllowed, a.status)
	require.Equal(t, "method_not_allowed", a.problem(t).Code)
	require.Contains(t, a.header.Get("Allow"), "GET")
}

func TestCorrelationID(t *testing.T) {
	f := newFixture(t)
	require.Equal(t, "mine", f.do(http.MethodGet, "/livez", "", "X-Correlation-Id", "mine").header.Get("X-Correlation-Id"))
	for _, id := range []string{"", "a b", "a\nb", "é", strings.Repeat("x", 129)} {
		require.Regexp(t, "^id-", f.do(http.MethodGet, "/livez", "", "X-Correlation-Id", id).header.Get("X-Correlation-Id"))
	}
	a := f.do(http.MethodGet, "/v1/orders/o-9", "", "X-Correlation-Id", "mine")
	require.Equal(t, "mine", a.problem(t).CorrelationID)
	require.Contains(t, f.output.String(), `"route":"/v1/orders/{id}","status":404`)
	require.Contains(t, f.output.String(), `"correlation_id":"mine","order_id":"o-9"`)
}

func TestTraceParentIsCarried(t *testing.T) {
	f := newFixture(t)
	var got []string
	f.sagas.cancel = func(ctx context.Context, _ string, _ order.Cancellation) (saga.CancelAnswer, error) {
		got = append(got, trace.Parent(ctx))
		return saga.CancelAnswer{}, fault.New(fault.NotFound, "none")
	}
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	f.do(http.MethodPost, "/v1/orders/o-1/cancellation", "", "Traceparent", parent)
	f.do(http.MethodPost, "/v1/orders/o-1/cancellation", "", "Traceparent", "nonsense")
	require.Equal(t, []string{parent, ""}, got)
}

func TestPanicsAreAnswered(t *testing.T) {
	f := newFixture(t)
	f.sagas.started = func(sagaclient.Placement) { panic("secret state") }
	a := f.do(http.MethodPost, "/v1/orders", validOrder)
	require.Equal(t, http.StatusInternalServerError, a.status)
	require.Equal(t, "internal", a.problem(t).Code)
	require.NotContains(t, a.body, "secret")
	require.Contains(t, f.output.String(), "secret state")
}

func TestEveryCodeHasAnAnswer(t *testing.T) {
	f := newFixture(t)
	for _, code := range fault.Codes() {
		f.orders.err = fmt.Errorf("outer: %w", &fault.Error{Code: code, Message: "safe words", Err: errors.New("secret words")})
		w := httptest.NewRecorder()
		f.server.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/orders", nil))
		p := answer{status: w.Code, header: w.Header(), body: w.Body.String()}.problem(t)
		require.Equal(t, string(code), p.Code)
		require.Equal(t, fault.Lookup(code).HTTPStatus, p.Status)
		require.NotContains(t, w.Body.String(), "secret")
	}
}

func TestReadiness(t *testing.T) {
	f := newFixture(t)
	require.JSONEq(t, `{"status":"ready","checks":[{"name":"mongodb","status":"ok"}]}`, f.do(http.MethodGet, "/readyz", "").body)
	f.checks = append(f.checks, api.Check{Name: "temporal", Err: fault.Wrap(errors.New("dial secret"), fault.Unavailable, "ping")})
	a := f.do(http.MethodGet, "/readyz", "")
	require.Equal(t, http.StatusServiceUnavailable, a.status)
	require.JSONEq(t, `{"status":"not_ready","checks":[{"name":"mongodb","status":"ok"},
		{"name":"temporal","status":"failing","detail":"A dependency does not respond"}]}`, a.body)
	f.checks[1].Optional = true
	a = f.do(http.MethodGet, "/readyz", "")
	require.Equal(t, http.StatusOK, a.status, "what is optional is shown, and does not count")
	require.JSONEq(t, `{"status":"ready","checks":[{"name":"mongodb","status":"ok"},
		{"name":"temporal","status":"failing","detail":"A dependency does not respond"}]}`, a.body)
	f.checks = f.checks[:1]
	f.server.Drain()
	a = f.do(http.MethodGet, "/readyz", "")
	require.Equal(t, http.StatusServiceUnavailable, a.status)
	require.Contains(t, a.body, "draining")
	require.Equal(t, http.StatusOK, f.do(http.MethodGet, "/livez", "").status)
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector())
	f := newFixture(t, func(c *api.Config) { c.Registry = registry })
	f.do(http.MethodGet, "/v1/orders/o-1", "")
	f.do(http.MethodGet, "/v1/orders/o-2", "")
	f.do(http.MethodGet, "/nowhere/1", "")
	f.do("PURGE", "/v1/orders/o-2", "")
	a := f.do(http.MethodGet, "/metrics", "")
	require.Contains(t, a.body, `ordersaga_http_requests_total{method="GET",route="/v1/orders/{id}",status="404"} 2`)
	require.Contains(t, a.body, `method="other"`)
	require.Contains(t, a.body, `ordersaga_http_request_duration_seconds_count{method="GET",route="/v1/orders/{id}"} 2`)
	require.Contains(t, a.body, "go_goroutines")
	require.NotContains(t, a.body, "nowhere")
	_, err := api.New(api.Config{Sagas: f.sagas, Log: f.log, Orders: f.orders, Stock: nil, Registry: registry})
	require.ErrorIs(t, err, fault.Invalid)
}

func TestConfigReportsProblems(t *testing.T) {
	c := api.Config{TemporalUIURL: "127.0.0.1:8233", MaxBody: -1}
	err := c.Validate()
	require.ErrorIs(t, err, fault.Invalid)
	var places []string
	for _, f := range fault.FieldsOf(err) {
		places = append(places, f.Pointer)
	}
	require.Equal(t, []string{"/sagas", "/log", "/orders", "/stock", "/deadLetters", "/ready", "/temporalUIURL", ""}, places)
}

func TestTooLargeBodies(t *testing.T) {
	const limit = 64 << 10
	f := newFixture(t, func(c *api.Config) { c.MaxBody = limit })
	server := f.listen()
	send := func(body io.Reader, headers ...string) (*http.Response, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/v1/orders", body)
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")
		for i := 0; i+1 < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		response, err := server.Client().Do(r)
		if err == nil {
			require.NoError(t, response.Body.Close())
		}
		return response, err
	}
	padded := func(size int) []byte {
		return append([]byte(validOrder), bytes.Repeat([]byte(" "), size-len(validOrder))...)
	}
	response, err := send(bytes.NewReader(padded(limit)))
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, response.StatusCode)
	for range 20 { // a reset is a race: once would prove little
		for _, body := range []io.Reader{
			bytes.NewReader(padded(limit + 1)), bytes.NewReader(padded(8 * limit)),
			struct{ io.Reader }{bytes.NewReader(padded(8 * limit))}, // of unknown length
		} {
			response, err = send(body)
			require.NoError(t, err)
			require.Equal(t, http.StatusRequestEntityTooLarge, response.StatusCode)
		}
	}
}

func TestTooLargeIsSaidBeforeItIsSent(t *testing.T) {
	f := newFixture(t)
	server := f.listen()
	dialer := net.Dialer{}
	c, err := dialer.DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	require.NoError(t, c.SetDeadline(time.Now().Add(2*time.Minute)))
	_, err = fmt.Fprint(c, "POST /v1/orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9999999\r\nExpect: 100-continue\r\n\r\n")
	require.NoError(t, err)
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusRequestEntityTooLarge, response.StatusCode)
}

func TestCutOffBody(t *testing.T) {
	f := newFixture(t)
	a := f.do(http.MethodPost, "/v1/orders", validOrder[:10])
	require.Equal(t, http.StatusBadRequest, a.status)
	r := httptest.NewRequest(http.MethodPost, "/v1/orders", io.MultiReader(strings.NewReader(validOrder), broken{}))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	f.server.ServeHTTP(w, r)
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.Empty(t, f.sagas.placed)
}

// broken is a body that breaks off.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
