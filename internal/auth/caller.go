package auth

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// AnonymousNamespace is the namespace of idempotency keys of callers that are not authenticated.
const AnonymousNamespace = "anonymous"

// Caller is the sender of a request.
type Caller struct {
	// Namespace is that of the caller's idempotency keys.
	Namespace string
	// Actor is the caller in events and logs; empty when callers are not authenticated.
	Actor string
	// Scopes are the caller's permissions.
	Scopes []Scope
	// CustomerID is the customer whose orders the caller may see, and no others; empty when all may be seen.
	CustomerID string
	// Expires is when the credentials expire; zero when they do not.
	Expires time.Time
}

// maxActor is the most bytes of an actor, which becomes part of events.
const maxActor = 400

// ValidActor reports whether a text can be recorded as an actor: printable characters without a space at either end.
func ValidActor(actor string) bool {
	return actor != "" && len(actor) <= maxActor && utf8.ValidString(actor) && strings.TrimSpace(actor) == actor &&
		!strings.ContainsFunc(actor, func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) })
}

// Anonymous is the caller of every request when callers are not authenticated. It may do everything.
func Anonymous() Caller { return Caller{Namespace: AnonymousNamespace, Scopes: Scopes} }

// Authenticated reports whether the caller has proved its identity.
func (c Caller) Authenticated() bool { return c.Actor != "" }

// Has reports whether the caller has a scope.
func (c Caller) Has(s Scope) bool { return slices.Contains(c.Scopes, s) }

// Authenticator finds the caller of a token. Errors: Unauthenticated, Unavailable.
type Authenticator interface {
	Authenticate(ctx context.Context, token string) (Caller, error)
}

// Combined accepts API keys and other tokens. A nil field accepts none of its kind.
type Combined struct{ Keys, Tokens Authenticator }

// Authenticate implements Authenticator.
func (c Combined) Authenticate(ctx context.Context, token string) (Caller, error) {
	by := c.Tokens
	if strings.HasPrefix(token, KeyPrefix) {
		by = c.Keys
	}
	if by == nil {
		return Caller{}, Refused("credentials of this kind are not accepted")
	}
	return by.Authenticate(ctx, token)
}

// Refused is the error for credentials that are not valid. The message is shown to the client.
func Refused(format string, args ...any) error {
	return fault.New(fault.Unauthenticated, format, args...)
}
