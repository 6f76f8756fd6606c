// Package sealedtest has keys in memory, and the contract suite of sealed.Keys. Only tests may import it.
package sealedtest

import (
	"context"
	"encoding/base64"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/keyset"
	"github.com/ordersaga/ordersaga/internal/sealed"
)

// Keys stores keys in memory.
type Keys struct {
	mu   sync.Mutex
	keys map[string]sealed.Key
}

var _ Eraser = (*Keys)(nil)

// NewKeys returns an empty store.
func NewKeys() *Keys { return &Keys{keys: make(map[string]sealed.Key)} }

// Add implements sealed.Keys.
func (k *Keys) Add(_ context.Context, customerID string, key sealed.Key) (sealed.Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if existing, there := k.keys[customerID]; there {
		return existing, nil
	}
	k.keys[customerID] = key
	return key, nil
}

// Get implements sealed.Keys.
func (k *Keys) Get(_ context.Context, customerID string) (sealed.Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key, there := k.keys[customerID]
	if !there {
		return sealed.Key{}, fault.New(fault.NotFound, "customer %s has no key", customerID)
	}
	return key, nil
}

// All implements sealed.Store.
func (k *Keys) All(context.Context) iter.Seq2[sealed.Entry, error] {
	k.mu.Lock()
	defer k.mu.Unlock()
	keys := maps.Clone(k.keys)
	return func(yield func(sealed.Entry, error) bool) {
		for _, subject := range slices.Sorted(maps.Keys(keys)) {
			if !yield(sealed.Entry{Subject: subject, Key: keys[subject]}, nil) {
				return
			}
		}
	}
}

// Replace implements sealed.Store.
func (k *Keys) Replace(_ context.Context, subject string, from, to sealed.Key) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now, there := k.keys[subject]; !there || now.ID != from.ID || now.Master != from.Master {
		return false, nil
	}
	k.keys[subject] = to
	return true, nil
}

// Erase deletes a customer's key.
func (k *Keys) Erase(_ context.Context, customerID string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.keys, customerID)
	return nil
}

// Eraser is a store that can delete keys.
type Eraser interface {
	sealed.Store
	Erase(ctx context.Context, customerID string) error
}

// Run runs the suite. fresh returns an empty store.
func Run(t *testing.T, fresh func(t *testing.T) Eraser) {
	t.Run("the first writer wins", func(t *testing.T) {
		keys, secret := fresh(t), make([]byte, sealed.KeyBytes)
		var all sync.WaitGroup
		got := make([]sealed.Key, 16)
		for i := range got {
			all.Go(func() {
				key, err := keys.Add(t.Context(), "c-1", sealed.Key{ID: string(rune('a' + i)), Secret: secret})
				if err == nil {
					got[i] = key
				}
			})
		}
		all.Wait()
		existing, err := keys.Get(t.Context(), "c-1")
		require.NoError(t, err)
		for _, key := range got {
			require.Equal(t, existing, key)
		}
	})
	t.Run("a missing key is not found", func(t *testing.T) {
		_, err := fresh(t).Get(t.Context(), "nobody")
		require.ErrorIs(t, err, fault.NotFound)
	})
	t.Run("sealed data is opened", func(t *testing.T) {
		keys := fresh(t)
		one, err := sealed.NewBox(keys).Seal(t.Context(), "c-1", []byte("ada@example.com"))
		require.NoError(t, err)
		two, err := sealed.NewBox(keys).Seal(t.Context(), "c-1", []byte("ada@example.com"))
		require.NoError(t, err)
		require.NotEqual(t, one, two, "equal data has different ciphertexts")
		require.Equal(t, one.KeyID, two.KeyID, "a customer has one key")
		for _, s := range []sealed.Sealed{one, two} {
			text, err := base64.StdEncoding.DecodeString(s.Text)
			require.NoError(t, err)
			require.NotContains(t, string(text), "ada@example", "long enough not to occur by chance")
			data, err := sealed.NewBox(keys).Open(t.Context(), "c-1", s)
			require.NoError(t, err)
			require.Equal(t, "ada@example.com", string(data))
		}
	})
	t.Run("data is bound to its customer", func(t *testing.T) {
		keys := fresh(t)
		box := sealed.NewBox(keys)
		s, err := box.Seal(t.Context(), "c-1", []byte("ada@example.com"))
		require.NoError(t, err)
		key, err := keys.Get(t.Context(), "c-1")
		require.NoError(t, err)
		_, err = keys.Add(t.Context(), "c-2", key)
		require.NoError(t, err)
		_, err = box.Open(t.Context(), "c-2", s)
		require.ErrorIs(t, err, fault.Corrupt, "the customer ID is authenticated")
		spoiled := s
		spoiled.Text = "AAAA" + s.Text[4:]
		_, err = box.Open(t.Context(), "c-1", spoiled)
		require.ErrorIs(t, err, fault.Corrupt)
	})
	t.Run("data of an erased key cannot be opened", func(t *testing.T) {
		keys := fresh(t)
		box := sealed.NewBox(keys)
		s, err := box.Seal(t.Context(), "c-1", []byte("ada@example.com"))
		require.NoError(t, err)
		require.NoError(t, keys.Erase(t.Context(), "c-1"))
		require.NoError(t, keys.Erase(t.Context(), "c-1"))
		_, err = box.Open(t.Context(), "c-1", s)
		require.ErrorIs(t, err, fault.NotFound)
		again, err := box.Seal(t.Context(), "c-1", []byte("ada@example.com"))
		require.NoError(t, err)
		require.NotEqual(t, s.KeyID, again.KeyID)
		_, err = box.Open(t.Context(), "c-1", s)
		require.ErrorIs(t, err, fault.NotFound, "older data stays unreadable")
		data, err := box.Open(t.Context(), "c-1", again)
		require.NoError(t, err)
		require.Equal(t, "ada@example.com", string(data))
	})
	t.Run("master keys are replaced", func(t *testing.T) { rotates(t, fresh(t)) })
	t.Run("an interrupted rotation is resumed", func(t *testing.T) { resumes(t, fresh(t)) })
	t.Run("a key that was erased is not replaced", func(t *testing.T) {
		keys := fresh(t)
		key, err := keys.Add(t.Context(), "c-1", sealed.Key{ID: "k", Secret: make([]byte, sealed.KeyBytes)})
		require.NoError(t, err)
		require.NoError(t, keys.Erase(t.Context(), "c-1"))
		replaced, err := keys.Replace(t.Context(), "c-1", key, sealed.Key{ID: "k", Secret: key.Secret, Master: "a"})
		require.NoError(t, err)
		require.False(t, replaced)
		_, err = keys.Get(t.Context(), "c-1")
		require.ErrorIs(t, err, fault.NotFound)
	})
}

// Master returns master keys with these IDs.
func Master(t *testing.T, ids ...string) sealed.Master {
	t.Helper()
	var lines []string
	for _, id := range ids {
		lines = append(lines, id+" "+base64.StdEncoding.EncodeToString([]byte(strings.Repeat(id, keyset.KeyBytes)[:keyset.KeyBytes])))
	}
	set, err := keyset.Parse(strings.Join(lines, "\n"))
	require.NoError(t, err)
	return sealed.Master{Set: set}
}

// customers seals data of customers with wrapped keys, and returns what opens it.
func customers(t *testing.T, keys sealed.Store, by sealed.Wrapper, ids ...string) (open func(by sealed.Wrapper) error) {
	t.Helper()
	texts := make(map[string]sealed.Sealed)
	for _, id := range ids {
		s, err := sealed.NewBox(sealed.Wrapped{Keys: keys, By: by}).Seal(t.Context(), id, []byte(id))
		require.NoError(t, err)
		texts[id] = s
	}
	return func(by sealed.Wrapper) error {
		for id, text := range texts {
			data, err := sealed.NewBox(sealed.Wrapped{Keys: keys, By: by}).Open(t.Context(), id, text)
			if err != nil {
				return err
			}
			require.Equal(t, id, string(data))
		}
		return nil
	}
}

func rotates(t *testing.T, keys sealed.Store) {
	t.Helper()
	before := customers(t, keys, sealed.Master{}, "c-1", "c-2")
	require.NoError(t, before(Master(t, "a")), "keys that are not wrapped stay readable")
	wrapped := customers(t, keys, Master(t, "a"), "c-3", "c-4")
	stored, err := keys.Get(t.Context(), "c-3")
	require.NoError(t, err)
	require.Equal(t, "a", stored.Master)
	require.NotEqual(t, sealed.KeyBytes, len(stored.Secret))
	require.ErrorIs(t, wrapped(sealed.Master{}), fault.Unavailable)
	require.ErrorIs(t, wrapped(Master(t, "b")), fault.Unavailable)

	_, err = sealed.Rotate(t.Context(), keys, sealed.Master{})
	require.ErrorIs(t, err, fault.Invalid)
	r, err := sealed.Rotate(t.Context(), keys, Master(t, "a"))
	require.NoError(t, err)
	require.Equal(t, sealed.Rotated{Wrapped: 2, Current: 2}, r)
	r, err = sealed.Rotate(t.Context(), keys, Master(t, "b", "a"))
	require.NoError(t, err)
	require.Equal(t, sealed.Rotated{Wrapped: 4}, r)
	require.NoError(t, before(Master(t, "b")))
	require.NoError(t, wrapped(Master(t, "b")))
	require.ErrorIs(t, wrapped(Master(t, "a")), fault.Unavailable)

	// A wrapped key is bound to its subject.
	stored, err = keys.Get(t.Context(), "c-3")
	require.NoError(t, err)
	_, err = keys.Add(t.Context(), "c-5", stored)
	require.NoError(t, err)
	_, err = sealed.Wrapped{Keys: keys, By: Master(t, "b")}.Get(t.Context(), "c-5")
	require.ErrorIs(t, err, fault.Corrupt)
}

// dying is a Wrapper whose process dies after some keys.
type dying struct {
	sealed.Master
	left int
}

func (d *dying) Wrap(ctx context.Context, subject string, key sealed.Key) (sealed.Key, error) {
	if d.left--; d.left < 0 {
		return sealed.Key{}, fault.New(fault.Unavailable, "the process died")
	}
	return d.Master.Wrap(ctx, subject, key)
}

func resumes(t *testing.T, keys sealed.Store) {
	t.Helper()
	open := customers(t, keys, Master(t, "a"), "c-1", "c-2", "c-3", "c-4")
	r, err := sealed.Rotate(t.Context(), keys, &dying{Master(t, "b", "a"), 2})
	require.ErrorIs(t, err, fault.Unavailable)
	require.Equal(t, sealed.Rotated{Wrapped: 2}, r)
	require.NoError(t, open(Master(t, "b", "a")), "both master keys are readable")
	require.ErrorIs(t, open(Master(t, "b")), fault.Unavailable)
	r, err = sealed.Rotate(t.Context(), keys, Master(t, "b", "a"))
	require.NoError(t, err)
	require.Equal(t, sealed.Rotated{Wrapped: 2, Current: 2}, r)
	require.NoError(t, open(Master(t, "b")))
}
