package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// TLSFiles are PEM files of a connection to a server, each optional: the authorities that may sign the server's certificate, and the client's
// own certificate with its key.
type TLSFiles struct{ CA, Cert, Key string }

// Client returns the configuration of clients; nil when no file is set. The authorities are read once, the client's certificate for every
// connection, because it is renewed while processes run. Errors have names of files, never content.
func (f TLSFiles) Client() (*tls.Config, error) {
	if f == (TLSFiles{}) {
		return nil, nil //nolint:nilnil // none is what no files mean
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.CA != "" {
		authorities, err := os.ReadFile(f.CA)
		if err != nil {
			return nil, err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(authorities) {
			return nil, fmt.Errorf("%s contains no certificate", f.CA)
		}
	}
	if f.Cert != "" {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			own, err := LoadKeyPair(f.Cert, f.Key)
			return &own, err
		}
	}
	return c, nil
}

// check reports what is wrong with the content of the files.
func (f TLSFiles) check() error {
	_, err := f.Client()
	if err == nil && f.Cert != "" && f.Key != "" {
		_, err = LoadKeyPair(f.Cert, f.Key)
	}
	return err
}

// LoadKeyPair is tls.LoadX509KeyPair with errors that name the files.
func LoadKeyPair(certFile, keyFile string) (tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	var missing *os.PathError
	if err != nil && !errors.As(err, &missing) {
		err = fmt.Errorf("%s and %s: %w", certFile, keyFile, err)
	}
	return pair, err
}

// tlsLink is a connection whose files checkTLS validates.
type tlsLink struct {
	// prefix begins the names of its settings; files are nil for a listener, which reads its files itself.
	prefix string
	files  *TLSFiles
	// plain reports that the connection has no TLS, so that the files have no effect; other is the setting that says so.
	plain           bool
	other, expected string
}

// checkTLS requires both files of a certificate, valid files, and that the connection has TLS.
func (l *loader) checkTLS() {
	c := &l.config
	begins := func(url, scheme string) bool { return url == "" || strings.HasPrefix(url, scheme+"://") }
	for _, link := range []tlsLink{
		{prefix: "HTTP_TLS_"},
		{prefix: "METRICS_TLS_", plain: c.MetricsAddr == "", other: "METRICS_ADDR", expected: "the address that is served with METRICS_TLS_CERT_FILE"},
		{
			prefix: "OIDC_TLS_", files: &c.OIDCTLS, plain: !begins(c.OIDCIssuer, "https"), other: "OIDC_ISSUER",
			expected: "a URL that begins with https://, because OIDC_TLS_CA_FILE is set",
		},
		{prefix: "MONGODB_TLS_", files: &c.MongoDBTLS},
		{
			prefix: "AMQP_TLS_", files: &c.AMQPTLS, plain: !begins(c.AMQPURL.Reveal(), "amqps"), other: "AMQP_URL",
			expected: "a URL that begins with amqps://, because files for TLS are set",
		},
		{
			prefix: "SMTP_TLS_", files: &c.SMTPFiles, plain: c.SMTPTLS == "none" && !begins(c.SMTPURL.Reveal(), "smtps"), other: "SMTP_TLS",
			expected: "mandatory or opportunistic, because SMTP_TLS_CA_FILE is set",
		},
		{
			prefix: "PARTICIPANT_TLS_", files: &c.ParticipantTLS,
			plain: !strings.HasPrefix(c.PaymentURL, "https://") && !strings.HasPrefix(c.InventoryURL, "https://"), other: participantOver(c),
			expected: "a URL that begins with https://, because files for TLS are set",
		},
		{prefix: "OTEL_EXPORTER_OTLP_", files: &c.TracesTLS},
	} {
		l.checkLink(link)
	}
}

func (l *loader) checkLink(link tlsLink) {
	ca, cert, key := link.prefix+"CA_FILE", link.prefix+"CERT_FILE", link.prefix+"KEY_FILE"
	if link.files == &l.config.TracesTLS { // their names are OpenTelemetry's
		ca, cert, key = link.prefix+"CERTIFICATE", link.prefix+"CLIENT_CERTIFICATE", link.prefix+"CLIENT_KEY"
	}
	_, caSet := l.environment[ca]
	_, certSet := l.environment[cert]
	_, keySet := l.environment[key]
	switch {
	case certSet && !keySet:
		l.problem(key, "", "the key of "+cert)
		return
	case keySet && !certSet:
		l.problem(cert, "", "the certificate of "+key)
		return
	}
	wrong := func(name string) bool {
		return slices.ContainsFunc(l.problems, func(p Problem) bool { return p.Name == name })
	}
	if link.plain && (caSet || certSet) && !wrong(link.other) {
		value := ""
		for _, s := range l.config.settings {
			if s.Name == link.other {
				value = s.Value
			}
		}
		l.problem(link.other, value, link.expected)
	}
	if link.files == nil || wrong(ca) || wrong(cert) || wrong(key) {
		return
	}
	if err := (TLSFiles{CA: link.files.CA}).check(); err != nil {
		l.problem(ca, link.files.CA, "certificates in PEM: "+err.Error())
	}
	if err := (TLSFiles{Cert: link.files.Cert, Key: link.files.Key}).check(); err != nil {
		l.problem(cert, link.files.Cert, "a certificate in PEM, with its key in "+key+": "+err.Error())
	}
}
