// Package tlstest has what tests of connections with TLS need: an authority that signs certificates, and a proxy that puts TLS in front of a
// server. Only tests import it.
package tlstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Authority signs certificates. Its files are deleted when the test ends.
type Authority struct {
	// CA is the file with its own certificate, in PEM.
	CA string
	// Pool contains its certificate.
	Pool *x509.CertPool

	t      testing.TB
	folder string
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
}

// Pair are the files of a certificate and its key, in PEM.
type Pair struct{ Cert, Key string }

// New returns an authority.
func New(t testing.TB) *Authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	a := &Authority{Pool: x509.NewCertPool(), t: t, folder: t.TempDir(), key: key}
	a.CA = filepath.Join(a.folder, "ca.crt")
	a.write(a.CA, "CERTIFICATE", der)
	a.cert, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	a.Pool.AddCert(a.cert)
	return a
}

func (a *Authority) write(file, kind string, der []byte) {
	a.t.Helper()
	require.NoError(a.t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

// Sign signs a certificate for 127.0.0.1 and localhost, for servers and clients, and writes it. Change changes the certificate before.
func (a *Authority) Sign(name string, change ...func(*x509.Certificate)) Pair {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, do := range change {
		do(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	require.NoError(a.t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(a.t, err)
	p := Pair{filepath.Join(a.folder, name+".crt"), filepath.Join(a.folder, name+".key")}
	a.write(p.Cert, "CERTIFICATE", der)
	a.write(p.Key, "PRIVATE KEY", secret)
	return p
}

// Leaf reads a certificate that was signed.
func (a *Authority) Leaf(p Pair) *x509.Certificate {
	a.t.Helper()
	pair, err := tls.LoadX509KeyPair(p.Cert, p.Key)
	require.NoError(a.t, err)
	return pair.Leaf
}

// Expired makes a certificate one that has expired.
func Expired(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
}

// OfAnotherName makes a certificate one of a server that no test uses.
func OfAnotherName(c *x509.Certificate) {
	c.DNSNames, c.IPAddresses = []string{"other.example"}, nil
}

// Server returns the configuration of a server with a certificate.
func (p Pair) Server(t testing.TB) *tls.Config {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(p.Cert, p.Key)
	require.NoError(t, err)
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
}

// Mutual returns the configuration of a server that requires a certificate of clients, too, signed by the authority.
func (a *Authority) Mutual(p Pair) *tls.Config {
	a.t.Helper()
	c := p.Server(a.t)
	c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, a.Pool
	return c
}
