package rabbitmq_test

import (
	"crypto/tls"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/rabbitmq"
	"github.com/ordersaga/ordersaga/internal/rabbitmq/rabbitmqtest"
	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/internal/tlstest"
)

func TestEncryptedConnections(t *testing.T) {
	plain := testenv.AMQP(t)
	u, err := url.Parse(plain)
	require.NoError(t, err)
	authority := tlstest.New(t)
	own := authority.Sign("client")
	pair, err := tls.LoadX509KeyPair(own.Cert, own.Key)
	require.NoError(t, err)
	u.Scheme, u.Host = "amqps", tlstest.Proxy(t, u.Host, authority.Mutual(authority.Sign("broker")))
	topology := rabbitmqtest.Topology(t, plain)
	listener := rabbitmqtest.Listen(t, plain, topology.Exchange)
	base := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: authority.Pool, Certificates: []tls.Certificate{pair}}
	others := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: tlstest.New(t).Pool}
	files := "?cacertfile=" + authority.CA + "&certfile=" + own.Cert + "&keyfile=" + own.Key
	for name, test := range map[string]struct {
		query string
		base  *tls.Config
	}{
		"trusted by the URL": {files, nil}, "trusted by the configuration": {"", base}, "the URL has precedence": {files, others},
	} {
		t.Run(name, func(t *testing.T) {
			c := config(u.String()+test.query, topology)
			c.TLS = func() (*tls.Config, error) { return test.base.Clone(), nil }
			p := startPublisher(t, rabbitmq.PublisherConfig{Config: c})
			_, err := p.PublishRecords(patient(t), rabbitmqtest.Records("order-1", 1))
			require.NoError(t, err)
			listener.Next(t)
		})
	}
	for name, base := range map[string]*tls.Config{
		"not trusted": nil, "without a certificate of the client": {MinVersion: tls.VersionTLS12, RootCAs: authority.Pool},
	} {
		t.Run(name, func(t *testing.T) {
			c := config(u.String(), topology)
			c.TLS = func() (*tls.Config, error) { return base.Clone(), nil }
			p, err := rabbitmq.NewPublisher(rabbitmq.PublisherConfig{Config: c})
			require.NoError(t, err)
			p.Start()
			defer func() { require.NoError(t, p.Stop(patient(t))) }()
			// An attempt may have run out of time before it saw the certificate.
			require.Eventually(t, func() bool { return strings.Contains(p.Status().LastError, "certificate") }, rabbitmqtest.Timeout, 5*time.Millisecond, "%v", status(p))
		})
	}
}
