package service

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/api"
)

// authority signs certificates.
type authority struct {
	*testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	a := &authority{T: t, key: key, pool: x509.NewCertPool()}
	a.cert, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	a.pool.AddCert(a.cert)
	return a
}

// sign writes a certificate of this serial number, and its key.
func (a *authority) sign(serial int64, certFile, keyFile string) {
	a.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a, err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(serial), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}, a.cert, key.Public(), a.key)
	require.NoError(a, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(a, err)
	require.NoError(a, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(a, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	// Files that are written at once may have the same times.
	at := time.Now().Add(time.Duration(serial) * time.Second)
	require.NoError(a, os.Chtimes(certFile, at, at))
}

func TestAPIIsServedWithTLS(t *testing.T) {
	a := newAuthority(t)
	folder := t.TempDir()
	certFile, keyFile := filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")
	a.sign(10, certFile, keyFile)
	s := &Service{logger: slog.New(slog.DiscardHandler), registry: prometheus.NewRegistry()}
	s.cfg.HTTPAddr, s.cfg.HTTPTLSCertFile, s.cfg.HTTPTLSKeyFile = "127.0.0.1:0", certFile, keyFile
	l, err := s.listen(t.Context(), s.probes(false, func(context.Context) []api.Check { return nil }))
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.server.Close() })
	now := time.Now()
	l.certificate.mu.Lock()
	l.certificate.clock = func() time.Time { return now }
	l.certificate.mu.Unlock()

	// serial asks over a connection of its own.
	serial := func() int64 {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: a.pool}, ForceAttemptHTTP2: true}
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
	a.sign(20, certFile, keyFile)
	now = now.Add(certificateCheck)
	require.EqualValues(t, 20, serial(), "renewed while the process runs")
	require.NoError(t, os.WriteFile(certFile, []byte("half a fi"), 0o600))
	now = now.Add(certificateCheck)
	require.EqualValues(t, 20, serial(), "a file that cannot be read changes nothing")
	a.sign(30, certFile, keyFile)
	now = now.Add(certificateCheck)
	require.EqualValues(t, 30, serial())

	response, _ := ask(t, l.addr(), "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
	require.Equal(t, http.StatusBadRequest, response.StatusCode, "a request without TLS")
	_, err = newCertificate(certFile, filepath.Join(folder, "none"), s.logger)
	require.ErrorContains(t, err, "HTTP_TLS_KEY_FILE")
}
