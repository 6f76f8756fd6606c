package service

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/api"
	"github.com/ordersaga/ordersaga/internal/tlstest"
)

func TestAPIIsServedWithTLS(t *testing.T) {
	a := tlstest.New(t)
	// sign signs a certificate of this serial number, and returns its files, which are the same each time.
	sign := func(serial int64) tlstest.Pair {
		pair := a.Sign("tls", func(c *x509.Certificate) { c.SerialNumber = big.NewInt(serial) })
		// Files that are written at once may have the same times.
		at := time.Now().Add(time.Duration(serial) * time.Second)
		require.NoError(t, os.Chtimes(pair.Cert, at, at))
		return pair
	}
	pair := sign(10)
	s := &Service{logger: slog.New(slog.DiscardHandler), registry: prometheus.NewRegistry()}
	s.cfg.HTTPAddr, s.cfg.HTTPTLSCertFile, s.cfg.HTTPTLSKeyFile = "127.0.0.1:0", pair.Cert, pair.Key
	l, err := s.listen(t.Context(), s.probes(false, func(context.Context) []api.Check { return nil }))
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.server.Close() })
	now := time.Now()
	l.certificate.mu.Lock()
	l.certificate.clock = func() time.Time { return now }
	l.certificate.mu.Unlock()

	// serial asks over a connection of its own.
	serial := func() int64 {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: a.Pool}, ForceAttemptHTTP2: true}
		defer transport.CloseIdleConnections()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+l.addr()+"/livez", nil)
		require.NoError(t, err)
		answer, err := transport.RoundTrip(request)
		require.NoError(t, err)
		defer answer.Body.Close()
		require.Equal(t, http.StatusOK, answer.StatusCode)
		require.Equal(t, "HTTP/1.1", answer.Proto)
		return answer.TLS.PeerCertificates[0].SerialNumber.Int64()
	}
	require.EqualValues(t, 10, serial())
	sign(20)
	now = now.Add(certificateCheck)
	require.EqualValues(t, 20, serial(), "renewed while the process runs")
	require.NoError(t, os.WriteFile(pair.Cert, []byte("half a fi"), 0o600))
	now = now.Add(certificateCheck)
	require.EqualValues(t, 20, serial(), "a file that cannot be read changes nothing")
	sign(30)
	now = now.Add(certificateCheck)
	require.EqualValues(t, 30, serial())

	response, body := ask(t, l.addr(), "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
	require.Equal(t, http.StatusBadRequest, response.StatusCode, "a request without TLS")
	require.Equal(t, "application/problem+json", response.Header.Get("Content-Type"))
	require.Contains(t, body, "use https://")
	secure, err := tls.Dial("tcp", l.addr(), &tls.Config{RootCAs: a.Pool, MinVersion: tls.VersionTLS12})
	require.NoError(t, err)
	t.Cleanup(func() { _ = secure.Close() })
	_, err = secure.Write([]byte("GET /livez HTTP/1.1\r\n\r\n"))
	require.NoError(t, err)
	response, err = http.ReadResponse(bufio.NewReader(secure), nil)
	require.NoError(t, err)
	require.Equal(t, "application/problem+json", response.Header.Get("Content-Type"), "net/http's own errors are problems with TLS, too")
	require.NoError(t, response.Body.Close())
}

func TestCertificatesThatAreWrongAreNamed(t *testing.T) {
	a := tlstest.New(t)
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	good, expired := a.Sign("good"), a.Sign("expired", tlstest.Expired)
	for _, wrong := range []tlstest.Pair{{Cert: good.Cert, Key: good.Key + "x"}, {Cert: good.Cert, Key: expired.Key}, {Cert: good.Key, Key: good.Key}} {
		_, err := newCertificate("HTTP_TLS_CERT_FILE, HTTP_TLS_KEY_FILE", wrong.Cert, wrong.Key, logger)
		require.ErrorContains(t, err, "HTTP_TLS_CERT_FILE, HTTP_TLS_KEY_FILE: ")
		require.ErrorContains(t, err, wrong.Key)
	}
	require.Zero(t, log.Len())
	_, err := newCertificate("METRICS_TLS_CERT_FILE", expired.Cert, expired.Key, logger)
	require.NoError(t, err, "the process does more than that")
	require.Contains(t, log.String(), "the certificate has expired")
	require.Contains(t, log.String(), "METRICS_TLS_CERT_FILE")
}
