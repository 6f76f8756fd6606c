package sealed

import (
	"context"
	"iter"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/keyset"
)

// Wrapper wraps the keys of subjects with master keys. Master has them in memory; a key management service is another implementation. It is safe
// for concurrent use.
type Wrapper interface {
	// Active is the ID of the master key that wraps; empty when keys are not wrapped.
	Active() string
	// Wrap encrypts the secret of a key of a subject with the active master key. Errors: Unavailable.
	Wrap(ctx context.Context, subject string, key Key) (Key, error)
	// Unwrap decrypts the secret of a wrapped key. Errors: Unavailable when its master key cannot be used; Corrupt.
	Unwrap(ctx context.Context, subject string, key Key) (Key, error)
}

// Master is a Wrapper with master keys in memory.
type Master struct{ keyset.Set }

var _ Wrapper = Master{}

// Wrap implements Wrapper.
func (m Master) Wrap(_ context.Context, subject string, key Key) (Key, error) {
	key.Master, key.Secret = m.Seal(masterPurpose(subject, key), key.Secret)
	return key, nil
}

// Unwrap implements Wrapper.
func (m Master) Unwrap(_ context.Context, subject string, key Key) (Key, error) {
	secret, err := m.Open(masterPurpose(subject, key), key.Master, key.Secret)
	return Key{ID: key.ID, Secret: secret}, err
}

// masterPurpose is authenticated: a wrapped key that is copied to another subject cannot be unwrapped.
func masterPurpose(subject string, key Key) string {
	return "ordersaga/sealed/master/v1\n" + subject + "\n" + key.ID
}

// Wrapped stores keys wrapped. Keys that were stored before there was a master key are read as they are.
type Wrapped struct {
	Keys Keys
	By   Wrapper
}

var _ Keys = Wrapped{}

// Add implements Keys.
func (w Wrapped) Add(ctx context.Context, subject string, key Key) (Key, error) {
	var err error
	if w.By.Active() != "" {
		if key, err = w.By.Wrap(ctx, subject, key); err != nil {
			return Key{}, err
		}
	}
	if key, err = w.Keys.Add(ctx, subject, key); err != nil {
		return Key{}, err
	}
	return unwrap(ctx, w.By, subject, key)
}

// Get implements Keys.
func (w Wrapped) Get(ctx context.Context, subject string) (Key, error) {
	key, err := w.Keys.Get(ctx, subject)
	if err != nil {
		return Key{}, err
	}
	return unwrap(ctx, w.By, subject, key)
}

func unwrap(ctx context.Context, by Wrapper, subject string, key Key) (Key, error) {
	if key.Master == "" {
		return key, nil
	}
	return by.Unwrap(ctx, subject, key)
}

// Store is a store of keys whose master keys can be replaced.
type Store interface {
	Keys
	// All yields the keys by their subjects. An error ends it. Errors: Unavailable.
	All(ctx context.Context) iter.Seq2[Entry, error]
	// Replace replaces a key by one with the same ID, unless it was deleted or replaced meanwhile. Errors: Unavailable.
	Replace(ctx context.Context, subject string, from, to Key) (replaced bool, err error)
}

// Entry is a key with its subject.
type Entry struct {
	Subject string
	Key     Key
}

// Rotated says what a rotation did.
type Rotated struct {
	// Wrapped keys were wrapped by another master key, or by none; Current ones by the active master key already. Gone were deleted or replaced
	// meanwhile.
	Wrapped, Current, Gone int
}

// Rotate wraps all keys of a store with the active master key. An interrupted rotation is resumed by another one. Errors: Invalid without an active
// master key; those of the Wrapper: then the other keys are not wrapped either.
func Rotate(ctx context.Context, in Store, by Wrapper) (r Rotated, err error) {
	if by.Active() == "" {
		return r, fault.New(fault.Invalid, "there is no master key")
	}
	for e, err := range in.All(ctx) {
		if err != nil {
			return r, err
		}
		if e.Key.Master == by.Active() {
			r.Current++
			continue
		}
		key, err := unwrap(ctx, by, e.Subject, e.Key)
		if err == nil {
			key, err = by.Wrap(ctx, e.Subject, key)
		}
		if err != nil {
			return r, err
		}
		replaced, err := in.Replace(ctx, e.Subject, e.Key, key)
		switch {
		case err != nil:
			return r, err
		case replaced:
			r.Wrapped++
		default:
			r.Gone++
		}
	}
	return r, nil
}
