package smtpmail_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/notify"
	"github.com/ordersaga/ordersaga/internal/notify/notifytest"
	"github.com/ordersaga/ordersaga/internal/notify/smtpmail"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// config is for a server on loopback, which is waited for as long as a busy machine may take.
func config(s *notifytest.Server) smtpmail.Config {
	return smtpmail.Config{
		Host: "127.0.0.1", Port: s.Port(), TLS: smtpmail.None, From: "Shop <orders@example.org>", Timeout: time.Minute,
	}
}

func notifier(t *testing.T, c smtpmail.Config) *smtpmail.Notifier {
	t.Helper()
	n, err := smtpmail.New(c)
	require.NoError(t, err)
	return n
}

func TestContract(t *testing.T) {
	var server *notifytest.Server
	notifytest.Run(t, notifytest.Subject{
		Server: func() *notifytest.Server { return server },
		New: func(t *testing.T) (notify.Notifier, func() string) {
			server = notifytest.Start(t, nil)
			c := config(server)
			if strings.Contains(t.Name(), "nothing_before") {
				c.Timeout = 300 * time.Millisecond // whatever it has come to until then
			}
			return notifier(t, c), func() string { return "" }
		},
	})
}

func TestMessageFormat(t *testing.T) {
	server := notifytest.Start(t, nil)
	n := notifier(t, config(server))
	require.Equal(t, notify.Accepted, n.Send(t.Context(), notifytest.Message()).Outcome)
	require.Equal(t, notify.Accepted, n.Send(t.Context(), notifytest.Message()).Outcome)
	mails := server.Mails()
	require.Len(t, mails, 2)
	m := mails[0]
	require.Equal(t, "orders@example.org", m.From)
	require.Equal(t, notifytest.Address, m.To)
	require.Equal(t, "Your order 42 is complete", m.Header("Subject"))
	require.Equal(t, `"Shop" <orders@example.org>`, m.Header("From"))
	require.Equal(t, "<"+n.MessageID("completed-42")+">", m.Header("Message-ID"))
	require.Equal(t, m.Header("Message-ID"), mails[1].Header("Message-ID"), "a recipient can recognize the second copy")
	require.NotEqual(t, n.MessageID("completed-42"), n.MessageID("completed-43"))
	require.NotContains(t, m.Header("Message-ID"), "42", "the id tells strangers nothing")
	require.Equal(t, "auto-generated", m.Header("Auto-Submitted"))
	require.Contains(t, m.Header("Content-Type"), "multipart/alternative")
	require.Contains(t, m.Data, "Hello Ada Lovelace")
}

// TestHeaderInjectionIsPrevented: a line break in what people say about themselves begins no header and no recipient.
func TestHeaderInjectionIsPrevented(t *testing.T) {
	server := notifytest.Start(t, nil)
	n := notifier(t, config(server))
	m := notifytest.Message()
	m.Subject = "Hello Ada\r\nBcc: everybody@example.com\r\n\r\n<script>"
	require.Equal(t, notify.Accepted, n.Send(t.Context(), m).Outcome)
	got := server.Mails()[0]
	require.Empty(t, got.Header("Bcc"))
	require.Equal(t, "Hello Ada Bcc: everybody@example.com <script>", got.Header("Subject"))
	for _, to := range []string{"ada@example.com\r\nRCPT TO:<bob@example.com>", "ada@example.com, bob@example.com", "Ada <ada@example.com>", "nobody", ""} {
		m.To = to
		require.Equal(t, notify.Refused, n.Send(t.Context(), m).Outcome, to)
	}
	require.Len(t, server.Mails(), 1)
}

// TestUnusualAddressesAreAccepted as mail servers read them.
func TestUnusualAddressesAreAccepted(t *testing.T) {
	server := notifytest.Start(t, nil)
	n := notifier(t, config(server))
	for to, recipient := range map[string]string{
		"a..b@docomo.example": `"a..b"@docomo.example`, "a.@docomo.example": `"a."@docomo.example`, "üser@example.com": "üser@example.com",
		"ada@exämple.com": "ada@xn--exmple-cua.com",
	} {
		m := notifytest.Message()
		m.To = to
		require.Equal(t, notify.Accepted, n.Send(t.Context(), m).Outcome, to)
		mails := server.Mails()
		require.Equal(t, recipient, mails[len(mails)-1].To)
		require.Equal(t, "<"+recipient+">", mails[len(mails)-1].Header("To"))
	}
}

func TestUnreachableServer(t *testing.T) {
	c := smtpmail.Config{Host: "127.0.0.1", Port: 1, TLS: smtpmail.None, From: "Shop <orders@example.org>"} // a port that no process gets
	require.Equal(t, notify.Result{Outcome: notify.NotAccepted}, notifier(t, c).Send(t.Context(), notifytest.Message()))
}

// certificate is one for loopback, and who trusts it.
func certificate(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	trusted, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(trusted)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		&tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}
}

func TestTLSPolicies(t *testing.T) {
	certified, trusting := certificate(t)
	for name, test := range map[string]struct {
		policy    smtpmail.TLSPolicy
		offered   *tls.Config
		trusted   *tls.Config
		want      notify.Outcome
		encrypted bool
	}{
		"mandatory":                        {smtpmail.Mandatory, certified, trusting, notify.Accepted, true},
		"mandatory and not offered":        {smtpmail.Mandatory, nil, trusting, notify.NotAccepted, false},
		"mandatory, unknown authority":     {smtpmail.Mandatory, certified, nil, notify.NotAccepted, false},
		"opportunistic":                    {smtpmail.Opportunistic, certified, trusting, notify.Accepted, true},
		"opportunistic and not offered":    {smtpmail.Opportunistic, nil, trusting, notify.Accepted, false},
		"none":                             {smtpmail.None, certified, trusting, notify.Accepted, false},
		"implicit, and the server is not ": {smtpmail.Implicit, certified, trusting, notify.NotAccepted, false},
	} {
		t.Run(name, func(t *testing.T) {
			server := notifytest.Start(t, test.offered)
			c := config(server)
			c.TLS, c.TLSConfig = test.policy, test.trusted
			require.Equal(t, test.want, notifier(t, c).Send(t.Context(), notifytest.Message()).Outcome)
			for _, m := range server.Mails() {
				require.Equal(t, test.encrypted, m.Encrypted)
			}
		})
	}
}

func TestLogin(t *testing.T) {
	certified, trusting := certificate(t)
	server := notifytest.Start(t, certified)
	c := config(server)
	c.TLS, c.TLSConfig, c.User, c.Password = smtpmail.Mandatory, trusting, "shop", "secret"
	require.Equal(t, notify.Accepted, notifier(t, c).Send(t.Context(), notifytest.Message()).Outcome)
	said, err := base64.StdEncoding.DecodeString(server.Mails()[0].User)
	require.NoError(t, err)
	require.Equal(t, "\x00shop\x00secret", string(said))

	server.Answer(notifytest.Script{"auth": "535 5.7.8 wrong"})
	require.Equal(t, notify.Result{Outcome: notify.NotAccepted, Code: "535 5.7.8"}, notifier(t, c).Send(t.Context(), notifytest.Message()),
		"a wrong password is mended, and then the message goes through")
}

func TestSettingsAreValidated(t *testing.T) {
	good := smtpmail.Config{Host: "mail", Port: 25, From: "a@b.example"}
	_, err := smtpmail.New(good)
	require.NoError(t, err)
	for _, spoil := range []func(*smtpmail.Config){
		func(c *smtpmail.Config) { c.Host = "" }, func(c *smtpmail.Config) { c.Port = 0 }, func(c *smtpmail.Config) { c.From = "nobody" },
		func(c *smtpmail.Config) { c.TLS = "perhaps" }, func(c *smtpmail.Config) { c.Timeout = -1 },
	} {
		c := good
		spoil(&c)
		_, err := smtpmail.New(c)
		require.ErrorIs(t, err, fault.Invalid)
	}
}
