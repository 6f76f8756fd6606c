// Package authtest has what tests of API keys need: a store in memory, and the suite that every adapter of auth.Store passes. Only tests
// import it.
package authtest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/auth"
)

// Store is a store in memory.
type Store struct {
	mu      sync.Mutex
	records []auth.Record
	// Fail is the answer of All when it is set; Reads counts its calls. Use them under Lock.
	Fail  error
	Reads int
}

var _ auth.Store = (*Store)(nil)

// Insert implements auth.Store.
func (s *Store) Insert(_ context.Context, r auth.Record) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, other := range s.records {
		if other.ID() == r.ID() {
			return false, nil
		}
	}
	s.records = append(s.records, r)
	return true, nil
}

// All implements auth.Store.
func (s *Store) All(context.Context) ([]auth.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Reads++
	if s.Fail != nil {
		return nil, s.Fail
	}
	return append([]auth.Record(nil), s.records...), nil
}

// Break has All fail with an error; nil mends it.
func (s *Store) Break(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Fail = err
}

// Count is how often All was called.
func (s *Store) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Reads
}

// Run holds an adapter to the contract of auth.Store. Each call of open returns an empty store.
func Run(t *testing.T, open func(t *testing.T) auth.Store) {
	at := time.Date(2026, 11, 30, 12, 0, 0, 123e6, time.UTC)
	first := auth.Record{
		Name: "shop", Secret: 1, Hash: "aa", Scopes: []auth.Scope{auth.OrdersRead, auth.OrdersWrite}, Namespace: "anonymous", At: at,
	}
	second := auth.Record{
		Name: "shop", Secret: 2, Hash: "bb", Scopes: []auth.Scope{auth.OrdersRead}, Namespace: "anonymous", At: at, FormerUntil: at.Add(time.Hour),
	}
	revocation := auth.Record{Name: "shop", At: at.Add(time.Minute)}

	t.Run("records are kept as they are", func(t *testing.T) {
		s := open(t)
		none, err := s.All(t.Context())
		require.NoError(t, err)
		require.Empty(t, none)
		for _, r := range []auth.Record{first, second, revocation} {
			inserted, err := s.Insert(t.Context(), r)
			require.NoError(t, err)
			require.True(t, inserted)
		}
		all, err := s.All(t.Context())
		require.NoError(t, err)
		require.ElementsMatch(t, []auth.Record{first, second, revocation}, all)
	})

	t.Run("a record is inserted once", func(t *testing.T) {
		s := open(t)
		var wins sync.Map
		var tries sync.WaitGroup
		for i := range 8 {
			tries.Go(func() {
				r := first
				r.Hash = string(rune('a' + i))
				if inserted, err := s.Insert(context.Background(), r); err == nil && inserted {
					wins.Store(r.Hash, true)
				}
			})
		}
		tries.Wait()
		all, err := s.All(t.Context())
		require.NoError(t, err)
		require.Len(t, all, 1)
		won := 0
		wins.Range(func(hash, _ any) bool {
			won++
			require.Equal(t, all[0].Hash, hash)
			return true
		})
		require.Equal(t, 1, won)
	})

	t.Run("keys are made, rotated and revoked", func(t *testing.T) {
		admin := auth.Admin{Store: open(t), Clock: func() time.Time { return at }}
		key, made, err := admin.Create(t.Context(), "shop", "", []auth.Scope{auth.OrdersRead})
		require.NoError(t, err)
		ring := auth.NewKeyring(admin.Store, nil)
		caller, err := ring.Authenticate(t.Context(), key)
		require.NoError(t, err)
		require.Equal(t, auth.Caller{Namespace: "shop", Actor: "shop", Scopes: made.Scopes}, caller)
		_, _, err = admin.Rotate(t.Context(), "shop", time.Hour)
		require.NoError(t, err)
		_, err = admin.Revoke(t.Context(), "shop")
		require.NoError(t, err)
		keys, err := admin.List(t.Context())
		require.NoError(t, err)
		require.Len(t, keys, 1)
		require.Equal(t, at, keys[0].RevokedAt)
		require.Equal(t, at.Add(time.Hour), keys[0].FormerUntil)
	})
}
