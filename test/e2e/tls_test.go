package e2e

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/notify/notifytest"
	"github.com/ordersaga/ordersaga/internal/oidc/providertest"
	"github.com/ordersaga/ordersaga/internal/rabbitmq/rabbitmqtest"
	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/internal/tlstest"
	"github.com/ordersaga/ordersaga/test/harness"
)

// allScopes are the scopes of an operator.
const allScopes = "orders:read orders:write stock:read stock:write operate"

// encrypted is the environment of a service that uses TLS for every connection: with client certificates to RabbitMQ, MongoDB and Temporal.
// MongoDB and Temporal have proxies that put TLS in front of them, RabbitMQ a listener of its own.
type encrypted struct {
	authority *tlstest.Authority
	// http trusts the authority. api, metrics and the others are the files and servers of the service.
	http     *http.Client
	api      tlstest.Pair
	metrics  string
	provider *providertest.Provider
	spans    *spans
	mail     *notifytest.Server
	env      []string
}

// mongoVia is MONGODB_URI with another address.
func mongoVia(t *testing.T, address string) string {
	t.Helper()
	uri, _ := testenv.MongoDB(t)
	u, err := url.Parse(uri)
	require.NoError(t, err)
	u.Host = address
	q := u.Query()
	q.Set("directConnection", "true") // a replica set would name addresses without TLS
	u.RawQuery = q.Encode()
	if u.Path == "" {
		u.Path = "/"
	}
	return u.String()
}

func (s *stack) mongoAddress() string {
	s.t.Helper()
	uri, _ := testenv.MongoDB(s.t)
	u, err := url.Parse(uri)
	require.NoError(s.t, err)
	return u.Host
}

func newEncrypted(s *stack) *encrypted {
	t := s.t
	a := tlstest.New(t)
	server, client := a.Sign("server"), a.Sign("client")
	e := &encrypted{
		authority: a, api: a.Sign("api"), provider: providertest.Start(t, server.Server(t)), spans: newSpans(t, server.Server(t)),
		mail: notifytest.Start(t, server.Server(t)),
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: a.Pool, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}
	e.http = &http.Client{Transport: contract.transport(transport)}
	var err error
	e.metrics, err = harness.FreeAddr()
	require.NoError(t, err)
	port := rabbitmqtest.NewNode(t).TLSListener(t, a.CA, server.Cert, server.Key)
	broker, err := url.Parse(testenv.AMQP(t))
	require.NoError(t, err)
	broker.Scheme, broker.Host = "amqps", net.JoinHostPort("127.0.0.1", port)
	e.env = append(e.spans.env(),
		"HTTP_TLS_CERT_FILE="+e.api.Cert, "HTTP_TLS_KEY_FILE="+e.api.Key, "METRICS_ADDR="+e.metrics, "METRICS_TLS_CERT_FILE="+server.Cert, "METRICS_TLS_KEY_FILE="+server.Key,
		"API_AUTH=oidc", "OIDC_ISSUER="+e.provider.URL, "OIDC_AUDIENCE="+providertest.Audience, "OIDC_TLS_CA_FILE="+a.CA,
		"MONGODB_URI="+mongoVia(t, tlstest.Proxy(t, s.mongoAddress(), a.Mutual(server))),
		"MONGODB_TLS_CA_FILE="+a.CA, "MONGODB_TLS_CERT_FILE="+client.Cert, "MONGODB_TLS_KEY_FILE="+client.Key,
		"TEMPORAL_ADDRESS="+tlstest.Proxy(t, testenv.Temporal(t), a.Mutual(server)), "TEMPORAL_TLS_SERVER_CA_CERT_PATH="+a.CA,
		"TEMPORAL_TLS_CLIENT_CERT_PATH="+client.Cert, "TEMPORAL_TLS_CLIENT_KEY_PATH="+client.Key,
		"AMQP_URL="+broker.String(), "AMQP_TLS_CA_FILE="+a.CA, "AMQP_TLS_CERT_FILE="+client.Cert, "AMQP_TLS_KEY_FILE="+client.Key,
		"OTEL_EXPORTER_OTLP_CERTIFICATE="+a.CA, "NOTIFICATIONS=smtp", "SMTP_URL=smtp://"+e.mail.Addr(), "SMTP_TLS_CA_FILE="+a.CA, "MAIL_FROM=orders@example.org",
	)
	return e
}

// TestEveryConnectionWithTLS: an order, its trace, its metrics and the message to its customer, with TLS everywhere; and a certificate that is
// renewed while the service runs.
func TestEveryConnectionWithTLS(t *testing.T) {
	s := newStack(t)
	e := newEncrypted(s)
	service := s.startWith(harness.Options{HTTP: e.http}, e.env...)
	client := harness.Client{URL: service.URL, HTTP: e.http, Patient: true, Token: e.provider.Token("k1", time.Now(), map[string]any{"scope": allScopes})}
	s.client = client
	m := &mailed{stack: s, server: e.mail}
	m.listens()

	who, sku := customer(), s.sku(10)
	m.registers(who, "e-"+who, "ada@example.org", time.Now())
	m.awaitEnds([]string{"notice-welcome-" + who}, "notice.sent")
	o := harness.NewOrder(sku, 1, "tok_visa")
	o.CustomerID = who
	const traceID = "1af7651916cd43dd8448eb211c80319d"
	placed, err := client.Place(s.ctx, o, longestWait, "Traceparent", "00-"+traceID+"-b7ad6b7169203331-01")
	require.NoError(t, err)
	require.Equal(t, "completed", placed.Status)
	for _, mail := range e.mail.Mails() {
		require.True(t, mail.Encrypted)
	}
	require.Eventually(t, func() bool { return len(e.spans.of(traceID)) > 0 }, patience, tick, "spans are received over TLS")
	values, _, err := harness.Client{URL: "https://" + e.metrics, HTTP: e.http}.Metrics(s.ctx)
	require.NoError(t, err)
	require.Positive(t, values[`ordersaga_sagas_ended_total{flow="order",reason="",status="completed"}`])

	response, err := http.Get("http://" + strings.TrimPrefix(service.URL, "https://") + "/livez")
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusBadRequest, response.StatusCode, "without TLS")
	require.Equal(t, "application/problem+json", response.Header.Get("Content-Type"))

	before, err := os.ReadFile(e.api.Cert)
	require.NoError(t, err)
	e.authority.Sign("api")
	after, err := os.ReadFile(e.api.Cert)
	require.NoError(t, err)
	require.NotEqual(t, before, after)
	renewed := e.authority.Leaf(e.api)
	require.Eventually(t, func() bool {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(service.URL, "https://"), &tls.Config{RootCAs: e.authority.Pool, MinVersion: tls.VersionTLS12})
		if err != nil {
			return false
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].Equal(renewed)
	}, patience, tick, "the certificate is read again")
	require.NoError(t, service.Stop(patience))
	s.audit()
	require.NotContains(t, service.Log(), "guest:guest")
}

// fault is a certificate that clients refuse.
type fault struct{ name, cause string }

var faults = []fault{
	{"expired", "certificate has expired"}, {"wrong name", "doesn't contain any IP SANs"}, {"unknown authority", "signed by unknown authority"},
}

// of returns a certificate with the fault.
func (f fault) of(t *testing.T, a *tlstest.Authority) tlstest.Pair {
	switch f.name {
	case "expired":
		return a.Sign("expired", tlstest.Expired)
	case "wrong name":
		return a.Sign("other", tlstest.OfAnotherName)
	}
	return tlstest.New(t).Sign("unknown")
}

// TestServersWithWrongCertificatesAreRefused: the service does not connect to a server whose certificate is wrong in any way, and its log names
// the settings and the cause, without secrets.
func TestServersWithWrongCertificatesAreRefused(t *testing.T) {
	s := newStack(t)
	a := tlstest.New(t)
	const secret = "not-for-logs"
	for _, f := range faults {
		wrong := f.of(t, a)
		for settings, env := range map[string][]string{
			"MONGODB_URI, MONGODB_TLS_*": {
				"MONGODB_URI=" + strings.Replace(mongoVia(t, tlstest.Proxy(t, s.mongoAddress(), wrong.Server(t))), "//", "//shop:"+secret+"@", 1), "MONGODB_TLS_CA_FILE=" + a.CA,
			},
			"TEMPORAL_ADDRESS, TEMPORAL_TLS_*": {
				"TEMPORAL_ADDRESS=" + tlstest.Proxy(t, testenv.Temporal(t), wrong.Server(t)), "TEMPORAL_TLS_SERVER_CA_CERT_PATH=" + a.CA, "TEMPORAL_API_KEY=" + secret,
			},
			"AMQP_URL, AMQP_TLS_*": {
				"AMQP_URL=amqps://shop:" + secret + "@" + tlstest.Proxy(t, "127.0.0.1:1", wrong.Server(t)) + "/", "AMQP_TLS_CA_FILE=" + a.CA,
			},
		} {
			t.Run(settings+" "+f.name, func(t *testing.T) {
				t.Parallel()
				service := s.startWith(harness.Options{NoWait: true}, env...)
				s.saysOf(t, service, settings, f.cause)
				require.NotContains(t, service.Log(), secret)
				require.Error(t, service.Ready(s.ctx))
			})
		}
	}
}

// TestWrongCertificatesOfWhatMayFail: the service runs while the provider of tokens, the collector of traces or the mail server has a wrong
// certificate, uses none of them, and its log says so.
func TestWrongCertificatesOfWhatMayFail(t *testing.T) {
	s := newStack(t)
	a := tlstest.New(t)
	for _, f := range faults {
		wrong := f.of(t, a)
		provider, collector, mail := providertest.Start(t, wrong.Server(t)), newSpans(t, wrong.Server(t)), notifytest.Start(t, wrong.Server(t))
		metrics, err := harness.FreeAddr()
		require.NoError(t, err)
		own := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: a.Pool, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}}
		// The certificates of the API and of /metrics are wrong, too: this client does not verify them.
		blind := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}} //nolint:gosec // for the other client's sake
		service := s.startWith(harness.Options{HTTP: blind}, append(collector.env(),
			"HTTP_TLS_CERT_FILE="+wrong.Cert, "HTTP_TLS_KEY_FILE="+wrong.Key, "METRICS_ADDR="+metrics, "METRICS_TLS_CERT_FILE="+wrong.Cert, "METRICS_TLS_KEY_FILE="+wrong.Key,
			"API_AUTH=keys,oidc", "OIDC_ISSUER="+provider.URL, "OIDC_AUDIENCE="+providertest.Audience, "OIDC_TLS_CA_FILE="+a.CA,
			"OTEL_EXPORTER_OTLP_CERTIFICATE="+a.CA, "OTEL_EXPORTER_OTLP_HEADERS=authorization=not-for-logs",
			"NOTIFICATIONS=smtp", "SMTP_URL=smtp://shop:not-for-logs@"+mail.Addr(), "SMTP_TLS_CA_FILE="+a.CA, "MAIL_FROM=orders@example.org",
		)...)
		s.client = harness.Client{URL: service.URL, HTTP: blind}
		m := &mailed{stack: s, server: mail}
		who := customer()
		m.registers(who, "e-"+who, "ada@example.org", time.Now())
		answer, err := harness.Client{URL: service.URL, HTTP: blind, Token: provider.Token("k1", time.Now(), nil)}.Do(s.ctx, http.MethodGet, "/v1/orders", nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusServiceUnavailable, answer.Status, "nothing is known about the token")
		for _, settings := range []string{"OIDC_ISSUER, OIDC_TLS_CA_FILE", "OTEL_EXPORTER_OTLP_*", "SMTP_URL, SMTP_TLS_CA_FILE"} {
			s.saysOf(t, service, settings, f.cause)
		}
		for _, address := range []string{strings.TrimPrefix(service.URL, "https://"), metrics} {
			_, err = own.Get("https://" + address + "/metrics")
			require.ErrorContains(t, err, f.cause)
		}
		if f.name == "expired" {
			s.saysOf(t, service, "HTTP_TLS_CERT_FILE, HTTP_TLS_KEY_FILE", "expired")
			s.saysOf(t, service, "METRICS_TLS_CERT_FILE, METRICS_TLS_KEY_FILE", "expired")
		}
		require.NotContains(t, service.Log(), "not-for-logs")
		require.Zero(t, provider.Requests())
		require.Empty(t, mail.Mails())
		service.Kill()
	}
}

// saysOf waits until a log line of the service names settings and a cause.
func (s *stack) saysOf(t *testing.T, service *harness.Service, settings, cause string) {
	t.Helper()
	require.Eventually(t, func() bool {
		for line := range strings.Lines(service.Log()) {
			if strings.Contains(line, `"settings":"`+settings+`"`) && strings.Contains(line, cause) {
				return true
			}
		}
		return false
	}, patience, tick, "no line has %s and %s:\n%s", settings, cause, lazy(service.Log))
}

// TestWrongFilesForTLSAreNamed: the service does not start with wrong files, and names their settings.
func TestWrongFilesForTLSAreNamed(t *testing.T) {
	a := tlstest.New(t)
	missing := filepath.Join(t.TempDir(), "none")
	for env, says := range map[string]string{
		"MONGODB_TLS_CA_FILE=" + missing: "MONGODB_TLS_CA_FILE=" + missing, "AMQP_TLS_CA_FILE=" + a.CA: "AMQP_URL=amqp://",
		"HTTP_TLS_CERT_FILE=" + a.CA: "HTTP_TLS_KEY_FILE is not set",
	} {
		out, err := command(t, append(environ(), env), "serve")
		require.Error(t, err)
		require.Contains(t, out, says)
	}
}
