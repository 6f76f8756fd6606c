// Package sealedtest has keys in memory, and the contract suite of sealed.Keys. Only tests may import it.
package sealedtest

import (
	"context"
	"encoding/base64"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/sealed"
)

// Keys stores keys in memory.
type Keys struct {
	mu   sync.Mutex
	keys map[string]sealed.Key
}

var _ sealed.Keys = (*Keys)(nil)

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

// Erase deletes a customer's key.
func (k *Keys) Erase(_ context.Context, customerID string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.keys, customerID)
	return nil
}

// Eraser is a Keys that can delete keys.
type Eraser interface {
	sealed.Keys
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
}
