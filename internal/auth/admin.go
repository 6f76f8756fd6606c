package auth

import (
	"context"
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Admin makes, lists, rotates and revokes keys.
type Admin struct {
	Store Store
	// Clock tells the time.
	Clock func() time.Time
}

// Create makes a key and returns it: it cannot be shown again. The namespace is the name unless it is given. Errors: Invalid; Conflict
// when the name was used before, even if its key was revoked; Unavailable.
func (a Admin) Create(ctx context.Context, name, namespace string, scopes []Scope) (key string, k Key, err error) {
	var wrong []fault.Field
	if !event.ValidToken(name) {
		wrong = append(wrong, fault.Fieldf("/name", "%s", event.TokenRule))
	}
	if name == AnonymousNamespace {
		wrong = append(wrong, fault.Fieldf("/name", "is reserved"))
	}
	if namespace == "" {
		namespace = name
	} else if !event.ValidToken(namespace) {
		wrong = append(wrong, fault.Fieldf("/caller", "%s", event.TokenRule))
	}
	if len(scopes) == 0 {
		wrong = append(wrong, fault.Fieldf("/scopes", "is missing"))
	}
	if err := fault.NewInvalid("API key", wrong); err != nil {
		return "", Key{}, err
	}
	return a.insert(ctx, Key{Name: name}, Record{Name: name, Secret: 1, Scopes: scopes, Namespace: namespace})
}

// insert makes the secret of a record, stores the record, and returns the key with it. Nothing is read again: a read that failed would lose
// the secret.
func (a Admin) insert(ctx context.Context, before Key, r Record) (key string, k Key, err error) {
	key = newKey()
	r.Hash, r.At = hashOf(key), a.now()
	inserted, err := a.Store.Insert(ctx, r)
	switch {
	case err != nil:
		return "", Key{}, err
	case !inserted && r.Secret == 1:
		return "", Key{}, fault.New(fault.Conflict, "the name %s was used before, and names are never used again", r.Name)
	case !inserted:
		return "", Key{}, fault.New(fault.Conflict, "the key %s was rotated at the same time", r.Name)
	}
	return key, before.with(r), nil
}

// now is in milliseconds, as times are stored.
func (a Admin) now() time.Time { return a.Clock().UTC().Truncate(time.Millisecond) }

// List returns every key, the revoked ones included, by name. Errors: Unavailable.
func (a Admin) List(ctx context.Context) ([]Key, error) {
	records, err := a.Store.All(ctx)
	return keysOf(records), err
}

// Rotate makes a new secret of a key and returns it. The former secrets stay valid for the overlap. Errors: Invalid, NotFound; Conflict
// for a key that is revoked, or rotated at the same time; Unavailable.
func (a Admin) Rotate(ctx context.Context, name string, overlap time.Duration) (key string, k Key, err error) {
	if overlap < 0 {
		return "", Key{}, fault.New(fault.Invalid, "the overlap must not be negative")
	}
	k, err = a.find(ctx, name)
	switch {
	case err != nil:
		return "", Key{}, err
	case !k.RevokedAt.IsZero():
		return "", Key{}, fault.New(fault.Conflict, "the key %s is revoked", name)
	}
	return a.insert(ctx, k, Record{
		Name: name, Secret: len(k.secrets) + 1, Scopes: k.Scopes, Namespace: k.Caller, FormerUntil: a.now().Add(overlap),
	})
}

// Revoke ends a key: all of its secrets are refused. Revoking a revoked key changes nothing. Errors: NotFound, Unavailable.
func (a Admin) Revoke(ctx context.Context, name string) (Key, error) {
	if _, err := a.find(ctx, name); err != nil {
		return Key{}, err
	}
	if _, err := a.Store.Insert(ctx, Record{Name: name, At: a.now()}); err != nil {
		return Key{}, err
	}
	return a.find(ctx, name)
}

// find returns the key of a name. Errors: NotFound, Unavailable.
func (a Admin) find(ctx context.Context, name string) (Key, error) {
	keys, err := a.List(ctx)
	if err != nil {
		return Key{}, err
	}
	i := slices.IndexFunc(keys, func(k Key) bool { return k.Name == name })
	if i < 0 {
		return Key{}, fault.New(fault.NotFound, "there is no key %s", name)
	}
	return keys[i], nil
}
