package config_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/config"
)

func TestAuthModes(t *testing.T) {
	for value, want := range map[string]config.Auth{
		"":          {},
		"none":      {},
		"insecure":  {Insecure: true},
		"keys":      {Keys: true},
		"oidc":      {OIDC: true},
		"keys,oidc": {Keys: true, OIDC: true}, "oidc, keys": {Keys: true, OIDC: true},
	} {
		c, err := config.Load([]string{"API_AUTH=" + value, "OIDC_ISSUER=https://idp.example.com/", "OIDC_AUDIENCE=ordersaga"})
		require.NoError(t, err, value)
		require.Equal(t, want, c.Auth, value)
		require.Equal(t, "https://idp.example.com/", c.OIDCIssuer, "letter by letter")
		require.Equal(t, "scope", c.OIDCScopesClaim)
	}
	for _, wrong := range []string{
		"API_AUTH=basic", "API_AUTH=keys,none", "API_AUTH=keys,keys", "API_AUTH=keys,", "API_AUTH=insecure,keys", "API_AUTH=Keys",
		"OIDC_ISSUER=idp.example.com", "OIDC_ISSUER=http://idp.example.com", "OIDC_ISSUER=https://u:p@idp.example.com", "OIDC_ISSUER=https://idp.example.com?a",
		"OIDC_ISSUER=https://idp.example.com#", "OIDC_AUDIENCE= a",
		"RATE_LIMIT=100", "RATE_LIMIT=0/1s", "RATE_LIMIT=100/s", "RATE_LIMIT=-1/1s", "RATE_LIMIT=1/1ms", "RATE_LIMIT=1/2h", "RATE_LIMIT=1000001/1s",
		"METRICS_ADDR=9090",
	} {
		require.Len(t, problemsOf(t, wrong), 1, wrong)
	}
}

func TestOIDCNeedsAnIssuerAndAnAudience(t *testing.T) {
	for _, loopback := range []string{"http://127.0.0.1:9000", "http://localhost/realms/shop", "http://[::1]:80"} {
		_, err := config.Load([]string{"API_AUTH=oidc", "OIDC_ISSUER=" + loopback, "OIDC_AUDIENCE=ordersaga"})
		require.NoError(t, err, loopback)
	}
	problems := problemsOf(t, "API_AUTH=keys,oidc")
	require.Len(t, problems, 2)
	require.Equal(t, "OIDC_ISSUER is not set: expected a value, because API_AUTH has oidc", problems[0].String())
	require.Equal(t, "OIDC_AUDIENCE", problems[1].Name)
	require.Len(t, problemsOf(t, "API_AUTH=oidc", "OIDC_ISSUER=ftp://x", "OIDC_AUDIENCE=a"), 1, "one complaint about one variable")
}

func TestAPINeedsExplicitAuthMode(t *testing.T) {
	for _, allowed := range [][]string{
		{}, {"API_AUTH=none"}, {"API_AUTH=insecure"}, {"API_AUTH=keys"}, {"HTTP_ADDR=[::1]:8080"},
		{"HTTP_ADDR=:8080", "API_AUTH=keys"}, {"HTTP_ADDR=0.0.0.0:8080", "API_AUTH=insecure"},
	} {
		c, err := config.Load(append(allowed, "PAYMENT_GATEWAY=simulator"))
		require.NoError(t, err, allowed)
		require.NoError(t, c.CheckAPI(), allowed)
		require.Equal(t, len(allowed) == 2 && allowed[1] == "API_AUTH=insecure", c.IsOpen(), allowed)
	}
	for _, address := range []string{":8080", "0.0.0.0:8080", "10.0.0.1:8080", "orders.internal:8080"} {
		c, err := config.Load([]string{"HTTP_ADDR=" + address, "PAYMENT_GATEWAY=simulator"})
		require.NoError(t, err, "a worker serves no API")
		require.EqualError(t, c.CheckAPI(), "the configuration is invalid:\n  API_AUTH=none: expected keys, oidc or keys,oidc, because HTTP_ADDR="+address+
			" can be reached from other machines; insecure lets everyone who reaches it do everything")
	}
}

func TestTLSNeedsACertificateAndItsKey(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, []byte("x"), 0o600))
	c, err := config.Load([]string{"HTTP_TLS_CERT_FILE=" + file, "HTTP_TLS_KEY_FILE=" + file})
	require.NoError(t, err)
	require.Equal(t, file, c.HTTPTLSCertFile)
	for _, wrong := range [][]string{
		{"HTTP_TLS_CERT_FILE=" + file}, {"HTTP_TLS_KEY_FILE=" + file}, {"HTTP_TLS_CERT_FILE=" + file, "HTTP_TLS_KEY_FILE=" + filepath.Dir(file)},
		{"HTTP_TLS_CERT_FILE=" + file + "x", "HTTP_TLS_KEY_FILE=" + file},
	} {
		require.Len(t, problemsOf(t, wrong...), 1, wrong)
	}
}

func TestRateLimit(t *testing.T) {
	c, err := config.Load([]string{"RATE_LIMIT=3000/1m"})
	require.NoError(t, err)
	require.Equal(t, config.RateLimit{Requests: 3000, Per: time.Minute}, c.RateLimit)
	c, err = config.Load(nil)
	require.NoError(t, err)
	require.Zero(t, c.RateLimit)
}
