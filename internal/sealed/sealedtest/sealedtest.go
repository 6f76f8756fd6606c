// Package sealedtest has what tests of sealed data need: keys in memory, and the suite that every adapter of sealed.Keys
// passes. Only tests import it.
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

// Keys are keys in memory.
type Keys struct {
	mu   sync.Mutex
	keys map[string]sealed.Key
}

var _ sealed.Keys = (*Keys)(nil)

// NewKeys returns no keys.
func NewKeys() *Keys { return &Keys{keys: make(map[string]sealed.Key)} }

// Add implements sealed.Keys.
func (k *Keys) Add(_ context.Context, customerID string, key sealed.Key) (sealed.Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if standing, there := k.keys[customerID]; there {
		return standing, nil
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

// Eraser are keys that can be deleted.
type Eraser interface {
	sealed.Keys
	Erase(ctx context.Context, customerID string) error
}

// Run is the suite. Each call of fresh returns empty keys.
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
		standing, err := keys.Get(t.Context(), "c-1")
		require.NoError(t, err)
		for _, key := range got {
			require.Equal(t, standing, key)
		}
	})
	t.Run("what is not there is not found", func(t *testing.T) {
		_, err := fresh(t).Get(t.Context(), "nobody")
		require.ErrorIs(t, err, fault.NotFound)
	})
	t.Run("what is sealed opens", func(t *testing.T) {
		keys := fresh(t)
		one, err := sealed.NewBox(keys).Seal(t.Context(), "c-1", []byte("ada@example.com"))
		require.NoError(t, err)
		two, err := sealed.NewBox(keys).Seal(t.Context(), "c-1", []byte("ada@example.com"))
		require.NoError(t, err)
		require.NotEqual(t, one, two, "nobody sees that it is the same")
		require.Equal(t, one.KeyID, two.KeyID, "a customer has one key")
		for _, s := range []sealed.Sealed{one, two} {
			text, err := base64.StdEncoding.DecodeString(s.Text)
			require.NoError(t, err)
			require.NotContains(t, string(text), "ada@example", "three letters would be there by chance")
			data, err := sealed.NewBox(keys).Open(t.Context(), "c-1", s)
			require.NoError(t, err)
			require.Equal(t, "ada@example.com", string(data))
		}
	})
	t.Run("it opens for its customer only", func(t *testing.T) {
		keys := fresh(t)
		box := sealed.NewBox(keys)
		s, err := box.Seal(t.Context(), "c-1", []byte("ada@example.com"))
		require.NoError(t, err)
		key, err := keys.Get(t.Context(), "c-1")
		require.NoError(t, err)
		_, err = keys.Add(t.Context(), "c-2", key)
		require.NoError(t, err)
		_, err = box.Open(t.Context(), "c-2", s)
		require.ErrorIs(t, err, fault.Corrupt, "the customer is part of what is authenticated")
		spoiled := s
		spoiled.Text = "AAAA" + s.Text[4:]
		_, err = box.Open(t.Context(), "c-1", spoiled)
		require.ErrorIs(t, err, fault.Corrupt)
	})
	t.Run("an erased key opens nothing", func(t *testing.T) {
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
		require.ErrorIs(t, err, fault.NotFound, "what was sealed before stays unreadable")
		data, err := box.Open(t.Context(), "c-1", again)
		require.NoError(t, err)
		require.Equal(t, "ada@example.com", string(data))
	})
}
