package rabbitmq_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/rabbitmq"
	"github.com/ordersaga/ordersaga/internal/rabbitmq/rabbitmqtest"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

// encrypted puts TLS before the broker and returns its URL and the certificate to trust.
func encrypted(t *testing.T, brokerURL string) (string, *x509.Certificate) {
	t.Helper()
	lender := httptest.NewTLSServer(nil) // it has a certificate for 127.0.0.1
	t.Cleanup(lender.Close)
	u, err := url.Parse(brokerURL)
	require.NoError(t, err)
	target := u.Host
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: lender.TLS.Certificates, MinVersion: tls.VersionTLS12})
	require.NoError(t, err)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				_ = client.Close()
				continue
			}
			for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
				all.Go(func() {
					_, _ = io.Copy(way[0], way[1])
					_, _ = way[0].Close(), way[1].Close()
				})
			}
		}
	})
	t.Cleanup(func() { _ = listener.Close(); all.Wait() })
	u.Scheme, u.Host = "amqps", listener.Addr().String()
	return u.String(), lender.Certificate()
}

func TestEncryptedConnections(t *testing.T) {
	url := testenv.AMQP(t)
	secure, certificate := encrypted(t, url)
	topology := rabbitmqtest.Topology(t, url)
	listener := rabbitmqtest.Listen(t, url, topology.Exchange)
	file := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}), 0o600))
	t.Run("trusted by the URL", func(t *testing.T) {
		p := startPublisher(t, rabbitmq.PublisherConfig{Config: config(secure+"?cacertfile="+file, topology)})
		_, err := p.PublishRecords(patient(t), rabbitmqtest.Records("order-1", 1))
		require.NoError(t, err)
		listener.Next(t)
	})
	t.Run("not trusted", func(t *testing.T) {
		p, err := rabbitmq.NewPublisher(rabbitmq.PublisherConfig{Config: config(secure, topology)})
		require.NoError(t, err)
		p.Start()
		defer func() { require.NoError(t, p.Stop(patient(t))) }()
		// An attempt may have run out of time before it saw the certificate.
		require.Eventually(t, func() bool { return strings.Contains(p.Status().LastError, "certificate") }, rabbitmqtest.Timeout, 5*time.Millisecond, "%v", status(p))
	})
}
