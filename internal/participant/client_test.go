package participant_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/eventlog/memlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/participant"
	"github.com/ordersaga/ordersaga/internal/participant/participanttest"
	"github.com/ordersaga/ordersaga/internal/simulator"
	"github.com/ordersaga/ordersaga/internal/stock"
	"github.com/ordersaga/ordersaga/internal/trace"
	"github.com/ordersaga/ordersaga/payment"
)

var (
	money = payment.Payment{OrderID: "gid://shop/Order/1", Amount: 1999, Currency: "EUR", Method: "tok_visa"}
	goods = []stock.Item{{SKU: "tea", Quantity: 2}, {SKU: "cup", Quantity: 1}}
)

func payments(t testing.TB, h http.Handler, change ...func(*participant.Config)) *participant.Payments {
	config := participant.Config{Name: "payment", URL: serve(t, h).URL + "/sagas/", Failures: never}
	for _, f := range change {
		f(&config)
	}
	p, err := participant.NewPayments(config)
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p
}

func warehouse(t testing.TB, h http.Handler) *participant.Warehouse {
	w, err := participant.NewWarehouse(participant.Config{Name: "inventory", URL: serve(t, h).URL, Failures: never})
	require.NoError(t, err)
	t.Cleanup(w.Close)
	return w
}

// answers always answers the same.
func answers(status int, contentType, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

const (
	plain    = "application/json"
	problems = "application/problem+json; charset=utf-8"
)

// TestWhateverIsNotInTheContractIsUnknown: no status, body or type that the contract does not describe is taken for a result.
func TestWhateverIsNotInTheContractIsUnknown(t *testing.T) {
	for name, h := range map[string]http.Handler{
		"not found":              answers(404, problems, `{"code":"invalid"}`),
		"unauthorized":           answers(401, problems, `{"code":"settled"}`),
		"created":                answers(201, plain, `{"result":"done","paymentId":"p"}`),
		"no content":             answers(204, plain, ""),
		"down":                   answers(503, plain, `{"result":"done","paymentId":"p"}`),
		"broken":                 answers(500, problems, `{"code":"conflict"}`),
		"a page":                 answers(200, "text/html", `{"result":"done","paymentId":"p"}`),
		"no type":                answers(200, "", `{"result":"done","paymentId":"p"}`),
		"nothing":                answers(200, plain, ""),
		"not an object":          answers(200, plain, `["done"]`),
		"something after it":     answers(200, plain, `{"result":"done","paymentId":"p"} {}`),
		"two results":            answers(200, plain, `{"result":"refused","result":"done","paymentId":"p"}`),
		"another name":           answers(200, plain, `{"Result":"done","paymentId":"p"}`),
		"another result":         answers(200, plain, `{"result":"ok","paymentId":"p"}`),
		"result of another step": answers(200, plain, `{"result":"undone"}`),
		"no payment ID":          answers(200, plain, `{"result":"done"}`),
		"empty payment ID":       answers(200, plain, `{"result":"done","paymentId":""}`),
		"payment ID of a number": answers(200, plain, `{"result":"done","paymentId":7}`),
		"no reason":              answers(200, plain, `{"result":"refused"}`),
		"endless":                answers(200, plain, `{"result":"done","paymentId":"p","x":"`+strings.Repeat("x", 64<<10)+`"}`),
		"conflict of another":    answers(409, problems, `{"code":"version"}`),
		"conflict without code":  answers(409, problems, `{"title":"Conflict"}`),
		"conflict as JSON":       answers(409, plain, `{"code":"settled"}`),
		"conflict as invalid":    answers(422, problems, `{"code":"settled"}`),
		"invalid as conflict":    answers(409, problems, `{"code":"invalid"}`),
		"insufficient payment":   answers(409, problems, `{"code":"insufficient"}`),
	} {
		got, err := payments(t, h).Capture(t.Context(), "k", money)
		require.ErrorIs(t, err, fault.OutcomeUnknown, name)
		require.Zero(t, got, name)
	}
	for name, h := range map[string]http.Handler{
		"refused without lines":  answers(200, plain, `{"result":"refused","reason":"out_of_stock"}`),
		"refused another SKU":    answers(200, plain, `{"result":"refused","reason":"out_of_stock","lines":[{"sku":"pot","reason":"out_of_stock"}]}`),
		"another reason":         answers(200, plain, `{"result":"refused","reason":"closed","lines":[{"sku":"tea","reason":"closed"}]}`),
		"pending":                answers(200, plain, `{"result":"pending"}`),
		"less than nothing left": answers(200, plain, `{"result":"refused","reason":"out_of_stock","lines":[{"sku":"tea","reason":"out_of_stock","available":-1}]}`),
		"settled":                answers(409, problems, `{"code":"settled"}`),
	} {
		got, err := warehouse(t, h).Acquire(t.Context(), stock.ReserveRequest{OrderID: "1", Items: goods})
		require.ErrorIs(t, err, fault.OutcomeUnknown, name)
		require.Nil(t, got, name)
	}
	for name, h := range map[string]http.Handler{
		"not found": answers(404, problems, `{}`), "no state": answers(200, plain, `{}`), "a result": answers(200, plain, `{"result":"done","paymentId":"p"}`),
	} {
		_, err := payments(t, h).Lookup(t.Context(), money)
		require.ErrorIs(t, err, fault.Unavailable, "%s: a look-up changes nothing", name)
	}
}

// TestDefiniteAnswers: what the contract describes has its meaning, and fields that are not known are ignored.
func TestDefiniteAnswers(t *testing.T) {
	for code, h := range map[fault.Code]http.Handler{
		fault.EffectSettled: answers(409, problems, `{"code":"settled","detail":"it was voided\nyesterday","x":1}`),
		fault.Conflict:      answers(409, problems, `{"code":"conflict"}`),
		fault.Invalid:       answers(422, problems, `{"code":"invalid"}`),
	} {
		_, err := payments(t, h).Capture(t.Context(), "k", money)
		require.ErrorIs(t, err, code)
		require.NotContains(t, err.Error(), "\n")
	}
	require.ErrorIs(t, warehouse(t, answers(409, problems, `{"code":"insufficient"}`)).Commit(t.Context(), "1", goods), fault.StockInsufficient)
	got, err := payments(t, answers(200, plain, `{"result":"refused","reason":"closed","paymentId":"p","new":{}}`)).Capture(t.Context(), "k", money)
	require.NoError(t, err)
	require.Equal(t, payment.Result{State: payment.CaptureRefused, PaymentID: "p", Code: "closed"}, got)
	found, err := payments(t, answers(200, plain, `{"state":"authorized","paymentId":"other"}`)).Lookup(t.Context(), payment.Payment{OrderID: "1", ID: "p"})
	require.ErrorIs(t, err, fault.Conflict, "%v", found)
	reserved, err := warehouse(t, answers(200, plain, `{"result":"refused","reason":"unknown_sku","lines":[{"sku":"cup","reason":"unknown_sku"}]}`)).Acquire(t.Context(), stock.ReserveRequest{OrderID: "1", Items: goods})
	require.NoError(t, err)
	require.Equal(t, []stock.Reservation{{}, {Effect: stock.Refused, Reason: stock.UnknownSKU}}, reserved, "nothing is reserved of the others")
}

// TestRequest: a request has the path, body and headers of the contract, and a signature that libraries verify.
func TestRequest(t *testing.T) {
	other := "whsec_" + strings.Repeat("QUFB", 10)
	verifiers := make([]*standardwebhooks.Webhook, 2)
	for i, s := range []string{secret, other} {
		var err error
		verifiers[i], err = standardwebhooks.NewWebhook(s)
		require.NoError(t, err)
	}
	var seen atomic.Int64
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		for _, v := range verifiers {
			if err := v.Verify(body, r.Header); err != nil {
				t.Error(err)
			}
		}
		key, refund := participant.PaymentKey(money), participant.RefundKey("undo/authorize")
		want, path := "refund/"+key+"/"+refund, "/sagas/payments/"+key+"/refunds/"+refund
		text := `{"orderId":"gid://shop/Order/1","amount":1999,"currency":"EUR","method":"tok_visa","refundAmount":500}`
		if r.Method == http.MethodGet {
			want, path, text = "findPayment/"+key, "/sagas/payments/"+key, ""
		}
		for what, pair := range map[string][2]string{
			"webhook-id": {want, r.Header.Get("webhook-id")}, "path": {path, r.URL.EscapedPath()}, "body": {text, string(body)},
			"correlation": {"corr-1", r.Header.Get("X-Correlation-Id")},
			"trace":       {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", r.Header.Get("traceparent")},
		} {
			if pair[0] != pair[1] {
				t.Errorf("%s is %q and not %q", what, pair[1], pair[0])
			}
		}
		seen.Add(1)
		answers(200, plain, `{"result":"done","state":"refunded","paymentId":"p"}`).ServeHTTP(w, r)
	})
	p := payments(t, h, func(c *participant.Config) { c.Secrets = []string{secret, other} })
	ctx := trace.WithSaga(t.Context(), trace.Saga{CorrelationID: "corr-1"})
	ctx = trace.With(ctx, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	_, err := p.Refund(ctx, "undo/authorize", money, 500)
	require.NoError(t, err)
	_, err = p.Lookup(ctx, money)
	require.NoError(t, err)
	require.EqualValues(t, 2, seen.Load())
}

// TestSignedRequestIsForOneOperation: a request that was signed for one operation is refused by another one, with the same secret and body.
func TestSignedRequestIsForOneOperation(t *testing.T) {
	provider, err := simulator.New(simulator.Config{Log: memlog.New()})
	require.NoError(t, err)
	books, err := participanttest.NewPayments(provider, "")
	require.NoError(t, err)
	server, err := participanttest.New(books, nil, secret)
	require.NoError(t, err)
	replayed := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = strings.Replace(strings.TrimPrefix(r.URL.Path, "/sagas"), "/void", "/authorization", 1)
		server.ServeHTTP(w, r)
	})
	p := payments(t, replayed, func(c *participant.Config) { c.Secrets = []string{secret} })
	_, err = p.Void(t.Context(), "k", money)
	require.ErrorIs(t, err, fault.OutcomeUnknown)
	require.ErrorContains(t, err, "401")
	found, err := p.Lookup(t.Context(), money)
	require.NoError(t, err)
	require.Equal(t, payment.Absent, found.State)
	unsigned := payments(t, replayed)
	_, err = unsigned.Lookup(t.Context(), money)
	require.ErrorContains(t, err, "401")
}

// TestRedirectIsNotFollowed: only the configured host is called.
func TestRedirectIsNotFollowed(t *testing.T) {
	elsewhere := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") }))
	p := payments(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	}))
	_, err := p.Authorize(t.Context(), "k", money)
	require.ErrorIs(t, err, fault.OutcomeUnknown)
	_, err = p.Lookup(t.Context(), money)
	require.ErrorIs(t, err, fault.Unavailable)
}

// TestNoAnswerIsUnknown: a service that does not answer is abandoned; one that is not there was sent nothing.
func TestNoAnswerIsUnknown(t *testing.T) {
	release := make(chan struct{})
	p := payments(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-r.Context().Done():
		case <-release:
		}
	}), func(c *participant.Config) { c.Timeout = 10 * time.Millisecond })
	t.Cleanup(func() { close(release) })
	_, err := p.Authorize(t.Context(), "k", money)
	require.ErrorIs(t, err, fault.OutcomeUnknown)
	require.ErrorIs(t, err, context.DeadlineExceeded)

	gone := serve(t, http.NotFoundHandler())
	url := gone.URL
	gone.Close()
	absent, err := participant.NewPayments(participant.Config{Name: "payment", URL: url})
	require.NoError(t, err)
	_, err = absent.Authorize(t.Context(), "k", money)
	require.ErrorIs(t, err, fault.Unavailable)
}

// TestBreaker: after failures in a row nothing is sent; then one call tests the service, and its answer closes the breaker. A call that its
// caller ends counts for nothing.
func TestBreaker(t *testing.T) {
	const failures = 3
	var sent atomic.Int64
	var good atomic.Bool
	arrived, answer := make(chan struct{}, 100), make(chan struct{})
	var states []participant.BreakerState // the breaker calls one after the other
	p := payments(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent.Add(1)
		if !good.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		arrived <- struct{}{}
		<-answer
		answers(409, problems, `{"code":"settled"}`).ServeHTTP(w, r)
	}), func(c *participant.Config) {
		c.Failures, c.Pause, c.Timeout = failures, 20*time.Millisecond, time.Minute
		c.OnBreaker = func(name string, s participant.BreakerState) {
			require.Equal(t, "payment", name)
			states = append(states, s)
		}
	})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 * failures {
		_, err := p.Void(ended, "k", money)
		require.ErrorIs(t, err, fault.OutcomeUnknown)
	}
	require.NoError(t, p.Ready(), "the service has not failed")
	for range failures {
		_, err := p.Void(t.Context(), "k", money)
		require.ErrorIs(t, err, fault.OutcomeUnknown)
	}
	before := sent.Load()
	good.Store(true)
	// The breaker is open, until its pause is over and one call passes.
	tested := make(chan error, 1)
	for {
		done := make(chan error, 1)
		go func() {
			_, err := p.Void(t.Context(), "k", money)
			done <- err
		}()
		select {
		case err := <-done:
			require.ErrorIs(t, err, fault.Unavailable)
			require.Equal(t, before, sent.Load(), "nothing is sent")
			continue
		case <-arrived:
			go func() { tested <- <-done }()
		}
		break
	}
	_, err := p.Void(t.Context(), "k", money)
	require.ErrorIs(t, err, fault.Unavailable, "one call tests the service")
	close(answer)
	require.ErrorIs(t, <-tested, fault.EffectSettled)
	_, err = p.Void(t.Context(), "k", money)
	require.ErrorIs(t, err, fault.EffectSettled, "a definite answer closes it")
	require.NoError(t, p.Ready())
	require.Equal(t, []participant.BreakerState{
		participant.BreakerClosed, participant.BreakerOpen, participant.BreakerHalfOpen, participant.BreakerClosed,
	}, states)
}

// TestTraits: a service that is not what it is configured for is refused.
func TestTraits(t *testing.T) {
	p := payments(t, answers(200, plain, `{"name":"acme","contract":1,"provides":["payment"],"authorizationLifetimeSeconds":600}`))
	require.NoError(t, p.Describe(t.Context()))
	require.Equal(t, 10*time.Minute, p.Traits().AuthorizationLifetime)
	require.False(t, p.Traits().Fast)
	for code, body := range map[fault.Code][]string{
		fault.Invalid:     {`{"name":"acme","contract":2,"provides":["payment"]}`, `{"name":"acme","contract":1,"provides":["inventory"]}`},
		fault.Unavailable: {`{"name":"acme","contract":1}`, `{"name":"acme","contract":1,"provides":["payment"],"authorizationLifetimeSeconds":-1}`},
	} {
		for _, b := range body {
			require.ErrorIs(t, payments(t, answers(200, plain, b)).Describe(t.Context()), code, b)
		}
	}
}

// TestWrongConfigurationIsRefused names what is wrong, and never a secret.
func TestWrongConfigurationIsRefused(t *testing.T) {
	for _, c := range []participant.Config{
		{Name: "payment"},
		{URL: "http://127.0.0.1:1"},
		{Name: "payment", URL: "ftp://pay"},
		{Name: "payment", URL: "http://127.0.0.1:1", Secrets: []string{"my secret"}},
		{Name: "payment", URL: "http://127.0.0.1:1", Timeout: -1},
	} {
		_, err := participant.NewPayments(c)
		require.ErrorIs(t, err, fault.Invalid)
		require.NotContains(t, fmt.Sprint(err), "my secret")
	}
}

// TestAuthority: a certificate of an authority that is not trusted is refused, and nothing is sent.
func TestAuthority(t *testing.T) {
	var sent atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent.Add(1)
		answers(200, plain, `{"result":"undone"}`).ServeHTTP(w, r)
	}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	trusted := x509.NewCertPool()
	trusted.AddCert(server.Certificate())
	for _, authorities := range []*x509.CertPool{x509.NewCertPool(), trusted} {
		p, err := participant.NewPayments(participant.Config{Name: "payment", URL: server.URL, TLS: &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS12}})
		require.NoError(t, err)
		t.Cleanup(p.Close)
		_, err = p.Void(t.Context(), "k", money)
		if authorities == trusted {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, fault.OutcomeUnknown)
			require.Zero(t, sent.Load())
		}
	}
}
