package oidc_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	library "github.com/coreos/go-oidc/v3/oidc"
	"github.com/coreos/go-oidc/v3/oidc/oidctest"
	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/auth"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/oidc"
	"github.com/ordersaga/ordersaga/internal/oidc/providertest"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// now is the time of the tests.
var now = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// world is a provider, and a service that trusts it.
type world struct {
	*testing.T
	*providertest.Provider
	verifier *oidc.Verifier

	mu sync.Mutex
	at time.Time
}

func newWorld(t *testing.T, change ...func(*oidc.Config)) *world {
	t.Helper()
	w := &world{T: t, Provider: providertest.Start(t, nil), at: now}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c := oidc.Config{
		Issuer: w.URL, Audience: providertest.Audience, ScopesClaim: "scope", CustomerClaim: "customer_id", Clock: w.now, Transport: transport,
	}
	for _, do := range change {
		do(&c)
	}
	w.verifier = oidc.New(c)
	return w
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(d)
}

// claims are those of a valid token, changed; nil removes one.
func (w *world) claims(change map[string]any) string { return w.Claims(w.now(), change) }

// token signs a valid token with changed claims.
func (w *world) token(key string, change map[string]any) string { return w.Token(key, w.now(), change) }

func (w *world) code(token string) fault.Code {
	_, err := w.verifier.Authenticate(w.Context(), token)
	return fault.CodeOf(err)
}

func TestTokenMakesTheCaller(t *testing.T) {
	w := newWorld(t)
	got, err := w.verifier.Authenticate(t.Context(), w.token("k1", nil))
	require.NoError(t, err)
	require.Equal(t, auth.Caller{
		Namespace: w.URL + "#alice", Actor: w.URL + "#alice", Scopes: []auth.Scope{auth.OrdersRead, auth.OrdersWrite},
		Expires: now.Add(time.Hour),
	}, withUTC(got))
	require.NoError(t, w.verifier.Ready())
}

func withUTC(c auth.Caller) auth.Caller {
	c.Expires = c.Expires.UTC()
	return c
}

func TestScopesAreReadFromTheirClaim(t *testing.T) {
	w := newWorld(t, func(c *oidc.Config) { c.ScopesClaim = "https://shop.example/roles" })
	for _, c := range []struct {
		claim any
		want  []auth.Scope
	}{
		{"operate  audit", []auth.Scope{auth.Operate, auth.Audit}},
		{[]string{"operate", "email"}, []auth.Scope{auth.Operate}},
		{[]any{1, nil, "operate"}, []auth.Scope{auth.Operate}},
		{"public", nil}, {"orders:*", nil}, {"operate,audit", nil}, {7, nil}, {map[string]any{"operate": true}, nil}, {nil, nil},
	} {
		got, err := w.verifier.Authenticate(t.Context(), w.token("k1", map[string]any{"https://shop.example/roles": c.claim}))
		require.NoError(t, err)
		require.Equal(t, c.want, got.Scopes, "%v", c.claim)
	}
}

func TestTokensAreLimitedToTheirCustomer(t *testing.T) {
	w := newWorld(t)
	got, err := w.verifier.Authenticate(t.Context(), w.token("k1", map[string]any{"customer_id": "gid://shop/7"}))
	require.NoError(t, err)
	require.Equal(t, "gid://shop/7", got.CustomerID)
	for _, wrong := range []any{"", " ", 7, []string{"c-1"}, "a\nb", strings.Repeat("x", 201), json.RawMessage("null"), true} {
		require.Equal(t, fault.Unauthenticated, w.code(w.token("k1", map[string]any{"customer_id": wrong})), "%v: a limit that cannot be read is not none", wrong)
	}
}

func TestWrongTokensAreRefused(t *testing.T) {
	w := newWorld(t)
	valid := w.token("k1", nil)
	require.Empty(t, w.code(valid))
	parts := strings.Split(valid, ".")
	encode := base64.RawURLEncoding.EncodeToString
	foreign, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	for name, token := range map[string]string{
		"empty": "", "text": "hello", "dots": "..", "one part": parts[0], "no signature": parts[0] + "." + parts[1] + ".",
		"of another token":         parts[0] + "." + encode([]byte(w.claims(map[string]any{"sub": "mallory"}))) + "." + parts[2],
		"alg none":                 encode([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".",
		"alg None":                 encode([]byte(`{"alg":"None","kid":"k1"}`)) + "." + parts[1] + "." + parts[2],
		"HMAC with the public key": w.hmac(),
		"another key of that name": oidctest.SignIDToken(foreign, "k1", library.ES256, w.claims(nil)),
		"unknown key":              oidctest.SignIDToken(foreign, "k9", library.ES256, w.claims(nil)),
		"embedded key":             encode([]byte(`{"alg":"ES256","jwk":{"kty":"EC"}}`)) + "." + parts[1] + "." + parts[2],
		"wrong issuer":             w.token("k1", map[string]any{"iss": "https://other.example"}),
		"issuer with a slash":      w.token("k1", map[string]any{"iss": w.URL + "/"}),
		"no issuer":                w.token("k1", map[string]any{"iss": nil}),
		"wrong audience":           w.token("k1", map[string]any{"aud": "other"}),
		"part of the audience":     w.token("k1", map[string]any{"aud": "ordersaga-staging"}),
		"other audiences":          w.token("k1", map[string]any{"aud": []string{"a", "b"}}),
		"no audience":              w.token("k1", map[string]any{"aud": nil}),
		"expired":                  w.token("k1", map[string]any{"exp": now.Add(-time.Second).Unix()}),
		"no expiry":                w.token("k1", map[string]any{"exp": nil}),
		"not yet valid":            w.token("k1", map[string]any{"nbf": now.Add(time.Hour).Unix()}),
		"no subject":               w.token("k1", map[string]any{"sub": nil}),
		"subject with a line end":  w.token("k1", map[string]any{"sub": "alice\nbob"}),
		"long subject":             w.token("k1", map[string]any{"sub": strings.Repeat("x", 400)}),
		"no object":                oidctest.SignIDToken(w.Keys["k1"], "k1", library.ES256, `[]`),
		"JSON serialization":       `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `x"}`,
	} {
		_, err := w.verifier.Authenticate(t.Context(), token)
		require.Equal(t, fault.Unauthenticated, fault.CodeOf(err), name)
		if token != "" {
			require.NotContains(t, err.Error(), parts[2], name)
		}
	}
	require.Empty(t, w.code(w.token("k1", map[string]any{"aud": []string{"other", "ordersaga"}})))
	require.Empty(t, w.code(w.token("k1", map[string]any{"nbf": now.Unix()})))
}

// hmac is a token that is signed with the public key as a shared secret.
func (w *world) hmac() string {
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"alg":"HS256","kid":"k1"}`)) + "." + encode([]byte(w.claims(nil)))
	public, err := w.Keys["k1"].PublicKey.Bytes()
	require.NoError(w, err)
	mac := hmac.New(sha256.New, public)
	mac.Write([]byte(signed))
	return signed + "." + encode(mac.Sum(nil))
}

func TestTokenExpires(t *testing.T) {
	w := newWorld(t)
	token := w.token("k1", nil)
	require.Empty(t, w.code(token))
	w.pass(time.Hour + time.Second)
	_, err := w.verifier.Authenticate(t.Context(), token)
	require.Equal(t, "the token has expired", fault.SafeMessage(err))
}

func TestKeysAreRotated(t *testing.T) {
	w := newWorld(t)
	old := w.token("k1", nil)
	require.Empty(t, w.code(old))
	w.Publish("k1", "k2")
	w.pass(time.Minute)
	// The library may still hand out what it has just read for the former token.
	require.Eventually(t, func() bool { return w.code(w.token("k2", nil)) == "" }, testenv.Timeout, time.Millisecond, "a new key is read when its token comes")
	require.Empty(t, w.code(old))

	w.Publish("k2")
	w.pass(5 * time.Minute)
	require.Equal(t, fault.Unauthenticated, w.code(old), "a key that was withdrawn")
	require.Empty(t, w.code(w.token("k2", nil)))
}

// TestTokensWithUnknownKeysCostFewRequests: anyone can send them.
func TestTokensWithUnknownKeysCostFewRequests(t *testing.T) {
	w := newWorld(t)
	require.Empty(t, w.code(w.token("k1", nil)))
	var foreign crypto.Signer
	foreign, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	before := w.Requests()
	for range 100 {
		require.Equal(t, fault.Unauthenticated, w.code(oidctest.SignIDToken(foreign, "k9", library.ES256, w.claims(nil))))
	}
	require.LessOrEqual(t, w.Requests()-before, 1)
}

func TestUnavailableProviderIsNotARefusal(t *testing.T) {
	w := newWorld(t)
	w.SetDown(true)
	token := w.token("k1", map[string]any{"exp": now.Add(24 * time.Hour).Unix()})
	require.Equal(t, fault.Unavailable, w.code(token))
	require.ErrorIs(t, w.verifier.Ready(), fault.Unavailable)
	w.SetDown(false)
	w.pass(time.Second)
	require.Empty(t, w.code(token))

	w.SetDown(true)
	w.pass(30 * time.Minute)
	require.Empty(t, w.code(token), "its keys are still known")
	w.Publish("k1", "k2")
	require.Equal(t, fault.Unauthenticated, w.code(w.token("k2", nil)), "a key that is not known yet")
	w.pass(time.Hour)
	require.Equal(t, fault.Unavailable, w.code(token), "its keys may have been withdrawn")
	w.SetDown(false)
	w.pass(time.Second)
	require.Empty(t, w.code(token))
}

func TestOtherIssuerIsRefused(t *testing.T) {
	w := newWorld(t, func(c *oidc.Config) { c.Issuer += "/" })
	require.Equal(t, fault.Unavailable, w.code(w.token("k1", nil)))
	var mismatch *library.IssuerMismatchError
	require.ErrorAs(t, w.verifier.Ready(), &mismatch)
}

func TestTransportErrorsAreOutages(t *testing.T) {
	w := newWorld(t, func(c *oidc.Config) { c.Transport = broken{} })
	require.Equal(t, fault.Unavailable, w.code(w.token("k1", nil)))
}

type broken struct{}

func (broken) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("no route") }

func TestCallersDoNotWaitForEachOther(t *testing.T) {
	w := newWorld(t)
	token := w.token("k1", nil)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			_, err := w.verifier.Authenticate(context.Background(), token)
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.LessOrEqual(t, w.Requests(), 2)
}
