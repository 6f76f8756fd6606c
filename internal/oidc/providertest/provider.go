// Package providertest is an OpenID Connect provider for tests. Only tests import it.
package providertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	library "github.com/coreos/go-oidc/v3/oidc"
	"github.com/coreos/go-oidc/v3/oidc/oidctest"
	"github.com/stretchr/testify/require"
)

// Audience is the audience of tokens.
const Audience = "ordersaga"

// Provider is a provider on loopback, which signs with ES256.
type Provider struct {
	// URL is the issuer, Keys are its keys by name, published or not.
	URL  string
	Keys map[string]*ecdsa.PrivateKey

	t        testing.TB
	mu       sync.Mutex
	down     bool
	requests int
	server   *oidctest.Server
}

// Start starts a provider with the key k1. It stops when the test ends. With a TLS configuration it is served with TLS.
func Start(t testing.TB, encryption *tls.Config) *Provider {
	t.Helper()
	p := &Provider{t: t, Keys: make(map[string]*ecdsa.PrivateKey)}
	server := httptest.NewUnstartedServer(p)
	if encryption != nil {
		server.TLS = encryption
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	p.URL = server.URL
	p.Publish("k1")
	return p
}

// ServeHTTP implements http.Handler.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.requests++
	down, server := p.down, p.server
	p.mu.Unlock()
	if down {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	server.ServeHTTP(w, r)
}

// Publish has the provider publish these keys, and no others.
func (p *Provider) Publish(names ...string) {
	p.t.Helper()
	server := &oidctest.Server{Algorithms: []string{library.ES256}}
	for _, name := range names {
		if p.Keys[name] == nil {
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			require.NoError(p.t, err)
			p.Keys[name] = key
		}
		server.PublicKeys = append(server.PublicKeys, oidctest.PublicKey{PublicKey: p.Keys[name].Public(), KeyID: name, Algorithm: library.ES256})
	}
	server.SetIssuer(p.URL)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.server = server
}

// SetDown has the provider answer every request with an error, or no longer.
func (p *Provider) SetDown(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

// Requests is how many requests have come.
func (p *Provider) Requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests
}

// Claims are those of a token that is valid for an hour, changed; nil removes one.
func (p *Provider) Claims(now time.Time, change map[string]any) string {
	p.t.Helper()
	claims := map[string]any{
		"iss": p.URL, "aud": Audience, "sub": "alice", "exp": now.Add(time.Hour).Unix(), "iat": now.Unix(), "scope": "openid orders:read orders:write",
	}
	maps.Copy(claims, change)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	raw, err := json.Marshal(claims)
	require.NoError(p.t, err)
	return string(raw)
}

// Token signs Claims with a key.
func (p *Provider) Token(key string, now time.Time, change map[string]any) string {
	p.t.Helper()
	return oidctest.SignIDToken(p.Keys[key], key, library.ES256, p.Claims(now, change))
}
