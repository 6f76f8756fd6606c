package stripe_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/payment/stripe"
	"github.com/ordersaga/ordersaga/payment/stripe/stripefake"
)

// sent is a request to Stripe.
type sent struct {
	method, uri, body string
	header            http.Header
}

// recorder records the requests of a gateway, by the names of their operations.
type recorder struct {
	mu   sync.Mutex
	all  map[string][]sent
	next *http.Transport
	// hidden has the server find no refunds, as if another process were creating one at the moment.
	hidden bool
}

// RoundTrip implements http.RoundTripper.
func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	var body []byte
	if request.Body != nil {
		var err error
		if body, err = io.ReadAll(request.Body); err != nil {
			return nil, err
		}
		request.Body = io.NopCloser(bytes.NewReader(body))
	}
	operation := operationOf(request)
	r.mu.Lock()
	r.all[operation] = append(r.all[operation], sent{request.Method, request.URL.RequestURI(), string(body), request.Header.Clone()})
	r.mu.Unlock()
	if operation == "GET /v1/refunds" && r.hidden {
		request = request.Clone(request.Context())
		request.URL.RawQuery = url.Values{"payment_intent": {"pi_none"}}.Encode()
	}
	return r.next.RoundTrip(request)
}

// operationOf is the method and the path of a request, with {id} for IDs.
func operationOf(r *http.Request) string {
	parts := strings.Split(r.URL.Path, "/")
	for i, part := range parts {
		if strings.HasPrefix(part, "pi_") || strings.HasPrefix(part, "re_") {
			parts[i] = "{id}"
		}
	}
	return r.Method + " " + strings.Join(parts, "/")
}

// TestRequestsFitTheSpecification sends every request that the gateway makes to stripe-mock, which validates it with Stripe's OpenAPI specification.
// Its answers are fixtures: only the requests are compared.
func TestRequestsFitTheSpecification(t *testing.T) {
	mock := startMock(t)
	requests := &recorder{all: make(map[string][]sent), next: &http.Transport{DisableKeepAlives: true}}
	server := stripefake.New()
	t.Cleanup(server.Close)
	now := begun
	server.Clock = func() time.Time { return now }
	gateway := newGateway(t, server, &http.Client{Transport: requests}, func(c *stripe.Config) { c.Clock = server.Clock })
	ctx := t.Context()

	paid := newPayment(stripefake.Approve)
	result, err := gateway.Authorize(ctx, "", paid)
	require.NoError(t, err)
	found := paid
	found.ID = result.PaymentID
	_, err = gateway.Capture(ctx, paid.Key("capture"), found)
	require.NoError(t, err)
	for range 2 {
		_, err = gateway.Refund(ctx, "key", found, 300)
		require.NoError(t, err)
		requests.hidden = true
	}
	waiting := newPayment(stripefake.Action)
	_, err = gateway.Authorize(ctx, "", waiting)
	require.NoError(t, err)
	_, err = gateway.Void(ctx, waiting.Key("void"), waiting)
	require.NoError(t, err)
	now = now.Add(48 * time.Hour)
	_, err = gateway.Lookup(ctx, paid)
	require.NoError(t, err)

	for _, operation := range []string{
		"POST /v1/payment_intents", "GET /v1/payment_intents/{id}", "POST /v1/payment_intents/{id}", "POST /v1/payment_intents/{id}/confirm",
		"POST /v1/payment_intents/{id}/capture", "POST /v1/payment_intents/{id}/cancel", "GET /v1/payment_intents/search",
		"POST /v1/refunds", "GET /v1/refunds", "GET /v1/refunds/{id}",
	} {
		require.NotEmpty(t, requests.all[operation], operation)
	}
	for operation, list := range requests.all {
		for _, s := range list {
			status, answer := mock.send(t, s)
			require.Equal(t, http.StatusOK, status, "%s %s: %s", operation, s.body, answer)
		}
	}
	status, answer := mock.send(t, sent{http.MethodPost, "/v1/payment_intents", "amount=1&currency=eur&method=none", requests.all["POST /v1/payment_intents"][0].header})
	require.Equal(t, http.StatusBadRequest, status, "a request that does not fit: %s", answer)
}

// mock is a process of stripe-mock.
type mock struct{ client *http.Client }

// send sends a request again.
func (m mock) send(t *testing.T, s sent) (status int, answer string) {
	request, err := http.NewRequestWithContext(t.Context(), s.method, "http://stripe"+s.uri, strings.NewReader(s.body))
	require.NoError(t, err)
	request.Header = s.header
	response, err := m.client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(body)
}

// startMock builds stripe-mock, of which Go's cache keeps the result, and starts it. Without its modules, and without a network, the test is skipped.
func startMock(t *testing.T) mock {
	folder := t.TempDir()
	module := filepath.Join("..", "..", "test", "stripemock")
	get := exec.CommandContext(t.Context(), "go", "mod", "download")
	get.Dir = module
	if out, err := get.CombinedOutput(); err != nil {
		require.Empty(t, os.Getenv("ORDERSAGA_REQUIRE_STRIPE_MOCK"), "the modules of stripe-mock cannot be downloaded: %v: %s", err, out)
		t.Skipf("the modules of stripe-mock cannot be downloaded: %v: %s", err, out)
	}
	binary, socket := filepath.Join(folder, "stripe-mock"), filepath.Join(folder, "s")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "github.com/stripe/stripe-mock")
	build.Dir = module
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))

	cmd := exec.Command(binary, "-http-unix", socket)
	log, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
	}
	lines := bufio.NewScanner(log)
	for lines.Scan() && !strings.Contains(lines.Text(), "istening") {
		t.Log(lines.Text())
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(io.Discard, log)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-read
		_ = cmd.Wait()
	})
	return mock{&http.Client{Transport: transport}}
}
