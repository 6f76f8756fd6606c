package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/auth"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// renewAfter is how long keys of the provider are trusted without looking whether it has withdrawn them.
const renewAfter = 5 * time.Minute

// algorithms are those that a token may be signed with: none is no signature, and a shared secret is not the provider's alone.
var algorithms = []string{
	oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA,
}

// Config is what a Verifier needs. Issuer, Audience and ScopesClaim are mandatory.
type Config struct {
	// Issuer is the provider's URL, exactly as its tokens have it.
	Issuer string
	// Audience is what the provider calls this service.
	Audience string
	// ScopesClaim names the claim with the caller's scopes: a text with spaces between them, or an array.
	ScopesClaim string
	// CustomerClaim names the claim with the customer to whom a token is limited. Tokens without the claim are not limited. Default: none is.
	CustomerClaim string
	// Transport sends requests to the provider. Default: http.DefaultTransport.
	Transport http.RoundTripper
	// Clock tells the time. Default: time.Now.
	Clock func() time.Time
}

// Verifier authenticates tokens. It implements auth.Authenticator. Call New.
type Verifier struct {
	cfg    Config
	client *http.Client

	mu sync.Mutex
	// verifier is that of renewed; nil before the first.
	verifier *oidc.IDTokenVerifier
	renewed  time.Time
	failed   error
}

// New returns a Verifier. It does no I/O.
func New(c Config) *Verifier {
	if c.Transport == nil {
		c.Transport = http.DefaultTransport
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	provider := &provider{next: c.Transport, clock: c.Clock, said: make(map[string]*document)}
	return &Verifier{cfg: c, client: &http.Client{Transport: provider}}
}

// Ready returns why the provider could not be discovered the last time; nil when it could, or was not needed yet.
func (v *Verifier) Ready() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.failed
}

// Discover reads the provider's configuration, as the first token would. Errors: Unavailable.
func (v *Verifier) Discover(ctx context.Context) error {
	_, err := v.current(ctx)
	return err
}

// Authenticate implements auth.Authenticator.
func (v *Verifier) Authenticate(ctx context.Context, token string) (auth.Caller, error) {
	verifier, err := v.current(ctx)
	if err != nil {
		return auth.Caller{}, err
	}
	var outage error
	verified, err := verifier.Verify(context.WithValue(ctx, outageKey{}, &outage), token)
	var expired *oidc.TokenExpiredError
	switch {
	case outage != nil:
		return auth.Caller{}, fault.Wrap(outage, fault.Unavailable, "read the keys of the OpenID provider")
	case errors.As(err, &expired):
		return auth.Caller{}, refused("the token has expired", err)
	case err != nil:
		return auth.Caller{}, refused("the token is not valid", err)
	}
	return v.callerOf(verified)
}

// refused is Unauthenticated with a cause, which clients do not see.
func refused(message string, cause error) error {
	return &fault.Error{Code: fault.Unauthenticated, Message: message, Err: cause}
}

// current returns a verifier whose keys are not older than renewAfter.
func (v *Verifier) current(ctx context.Context) (*oidc.IDTokenVerifier, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.cfg.Clock()
	if v.verifier != nil && now.Sub(v.renewed) < renewAfter {
		return v.verifier, nil
	}
	// Not ended with the request: the next one needs it too. The transport bounds it.
	ctx = oidc.ClientContext(context.WithoutCancel(ctx), v.client)
	provider, err := oidc.NewProvider(ctx, v.cfg.Issuer)
	var found struct {
		Keys string `json:"jwks_uri"`
	}
	if err == nil {
		err = provider.Claims(&found)
	}
	if err == nil && found.Keys == "" {
		err = errors.New("the provider has no jwks_uri")
	}
	if v.failed = fault.Wrap(err, fault.Unavailable, "discover the OpenID provider %s", v.cfg.Issuer); v.failed != nil {
		return nil, v.failed
	}
	v.renewed = now
	v.verifier = oidc.NewVerifier(v.cfg.Issuer, keySet{oidc.NewRemoteKeySet(ctx, found.Keys)}, &oidc.Config{
		ClientID: v.cfg.Audience, SupportedSigningAlgs: algorithms, Now: v.cfg.Clock,
	})
	return v.verifier, nil
}

// callerOf reads the claims of a token that is valid.
func (v *Verifier) callerOf(token *oidc.IDToken) (auth.Caller, error) {
	var claims map[string]any
	if err := token.Claims(&claims); err != nil {
		return auth.Caller{}, refused("the token is not valid", err)
	}
	// An issuer has no fragment, so that no two callers are the same.
	actor := v.cfg.Issuer + "#" + token.Subject
	if token.Subject == "" || !auth.ValidActor(actor) {
		return auth.Caller{}, auth.Refused("the token has no sub that can be recorded")
	}
	c := auth.Caller{Namespace: actor, Actor: actor, Scopes: scopesOf(claims[v.cfg.ScopesClaim]), Expires: token.Expiry}
	if limit, limited := claims[v.cfg.CustomerClaim]; limited && v.cfg.CustomerClaim != "" {
		var ok bool
		if c.CustomerID, ok = limit.(string); !ok || !event.ValidID(c.CustomerID) {
			return auth.Caller{}, auth.Refused("the token's claim %s is no customer ID", v.cfg.CustomerClaim)
		}
	}
	return c, nil
}

// scopesOf reads a claim. Scopes of other services are not this one's.
func scopesOf(claim any) []auth.Scope {
	var words []string
	switch claim := claim.(type) {
	case string:
		words = strings.Fields(claim)
	case []any:
		for _, word := range claim {
			words = append(words, fmt.Sprint(word))
		}
	}
	return auth.KnownScopes(words)
}
