package config_test

import (
	"crypto/tls"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/config"
	"github.com/ordersaga/ordersaga/internal/tlstest"
)

func TestFilesForTLS(t *testing.T) {
	a := tlstest.New(t)
	own := a.Sign("own")
	c, err := config.Load([]string{
		"AMQP_URL=amqps://mq", "AMQP_TLS_CA_FILE=" + a.CA, "AMQP_TLS_CERT_FILE=" + own.Cert, "AMQP_TLS_KEY_FILE=" + own.Key,
		"OTEL_EXPORTER_OTLP_CERTIFICATE=" + a.CA, "MONGODB_TLS_CA_FILE=" + a.CA, "METRICS_ADDR=:9090", "METRICS_TLS_CERT_FILE=" + own.Cert,
		"METRICS_TLS_KEY_FILE=" + own.Key,
	})
	require.NoError(t, err)
	client, err := c.AMQPTLS.Client()
	require.NoError(t, err)
	require.True(t, client.RootCAs.Equal(a.Pool))
	pair, err := client.GetClientCertificate(nil)
	require.NoError(t, err)
	require.Equal(t, "own", pair.Leaf.Subject.CommonName)
	a.Sign("own", tlstest.OfAnotherName)
	pair, err = client.GetClientCertificate(nil)
	require.NoError(t, err)
	require.Equal(t, []string{"other.example"}, pair.Leaf.DNSNames, "a certificate that was renewed")
	require.EqualValues(t, tls.VersionTLS12, client.MinVersion)
	none, err := c.OIDCTLS.Client()
	require.NoError(t, err)
	require.Nil(t, none)
}

func TestWrongFilesForTLSAreNamed(t *testing.T) {
	a := tlstest.New(t)
	own, other := a.Sign("own"), a.Sign("other")
	for name, test := range map[string]struct {
		environ []string
		// wrong is the variable of the only problem, says part of it.
		wrong, says string
	}{
		"no certificate":          {[]string{"MONGODB_TLS_CA_FILE=" + own.Key}, "MONGODB_TLS_CA_FILE", "contains no certificate"},
		"no such file":            {[]string{"MONGODB_TLS_CA_FILE=" + a.CA + "x"}, "MONGODB_TLS_CA_FILE", "a file that this process may read"},
		"no key":                  {[]string{"MONGODB_TLS_CERT_FILE=" + own.Cert}, "MONGODB_TLS_KEY_FILE", "the key of MONGODB_TLS_CERT_FILE"},
		"no certificate of a key": {[]string{"MONGODB_TLS_KEY_FILE=" + own.Key}, "MONGODB_TLS_CERT_FILE", "the certificate of MONGODB_TLS_KEY_FILE"},
		"another key": {
			[]string{"MONGODB_TLS_CERT_FILE=" + own.Cert, "MONGODB_TLS_KEY_FILE=" + other.Key},
			"MONGODB_TLS_CERT_FILE", "with its key in MONGODB_TLS_KEY_FILE: " + own.Cert + " and " + other.Key + ": tls: private key does not match public key",
		},
		"the collector's": {[]string{"OTEL_EXPORTER_OTLP_CERTIFICATE=" + own.Key}, "OTEL_EXPORTER_OTLP_CERTIFICATE", "contains no certificate"},
		"the collector's client": {
			[]string{"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=" + own.Cert}, "OTEL_EXPORTER_OTLP_CLIENT_KEY", "the key of OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
		},
		"a broker without TLS":     {[]string{"AMQP_TLS_CA_FILE=" + a.CA}, "AMQP_URL", "amqp://guest:***@127.0.0.1:5672/: expected a URL that begins with amqps://"},
		"a provider without TLS":   {[]string{"OIDC_TLS_CA_FILE=" + a.CA, "OIDC_ISSUER=http://localhost"}, "OIDC_ISSUER", "begins with https://"},
		"mail without TLS":         {[]string{"SMTP_TLS_CA_FILE=" + a.CA, "SMTP_URL=smtp://mail", "SMTP_TLS=none"}, "SMTP_TLS", "mandatory or opportunistic"},
		"metrics at no address":    {[]string{"METRICS_TLS_CERT_FILE=" + own.Cert, "METRICS_TLS_KEY_FILE=" + own.Key}, "METRICS_ADDR", "METRICS_TLS_CERT_FILE"},
		"Temporal's":               {[]string{"TEMPORAL_TLS_SERVER_CA_CERT_PATH=" + a.CA + "x"}, "TEMPORAL_TLS_*", "no such file"},
		"Temporal's without a key": {[]string{"TEMPORAL_TLS_CLIENT_CERT_PATH=" + own.Cert}, "TEMPORAL_TLS_*", "key"},
	} {
		t.Run(name, func(t *testing.T) {
			problems := problemsOf(t, test.environ...)
			require.Len(t, problems, 1)
			require.Equal(t, test.wrong, problems[0].Name)
			require.Contains(t, problems[0].String(), test.says)
		})
	}
}
