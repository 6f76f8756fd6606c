package auth_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordersaga/ordersaga/internal/auth"
	"github.com/ordersaga/ordersaga/internal/auth/authtest"
	"github.com/ordersaga/ordersaga/internal/fault"
)

var read = []auth.Scope{auth.OrdersRead}

// promised is within which time a revocation is effective.
const promised = 30 * time.Second

// world is a store with its admin and a process that authenticates. Its time is that of the bubble.
type world struct {
	*testing.T
	store *authtest.Store
	admin auth.Admin
	ring  *auth.Keyring
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, store: new(authtest.Store)}
	w.admin = auth.Admin{Store: w.store, Clock: time.Now}
	w.ring = auth.NewKeyring(w.store, nil)
	return w
}

func (w *world) create(name string) string {
	w.Helper()
	key, _, err := w.admin.Create(w.Context(), name, "", read)
	require.NoError(w, err)
	return key
}

// code is what becomes of a key: "" when it is accepted.
func (w *world) code(key string) fault.Code {
	_, err := w.ring.Authenticate(w.Context(), key)
	return fault.CodeOf(err)
}

func TestKeyIsShownOnceAndStoredHashed(t *testing.T) {
	w := newWorld(t)
	key := w.create("shop")
	require.Regexp(t, `^osk_[A-Za-z0-9_-]{43}$`, key)
	records, err := w.store.All(t.Context())
	require.NoError(t, err)
	listed, err := w.admin.List(t.Context())
	require.NoError(t, err)
	asJSON, err := json.Marshal(listed)
	require.NoError(t, err)
	for _, shown := range []string{fmt.Sprintf("%+v", records), fmt.Sprintf("%+v", listed), string(asJSON)} {
		require.NotContains(t, shown, strings.TrimPrefix(key, "osk_"))
	}
	require.NotContains(t, string(asJSON), records[0].Hash)
}

func TestNewKeyWorksAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		require.Empty(t, w.code(w.create("a")))
		require.Empty(t, w.code(w.create("b")), "the copy of the keys is older than this one")
	})
}

func TestWrongKeysAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		key := w.create("shop")
		for _, wrong := range []string{
			"", "osk_", key[:len(key)-1], key + "A", key[4:], strings.ToUpper(key), "osk_" + strings.Repeat("A", 43), " " + key,
			"osk_" + strings.Repeat("=", 43), "osk_" + strings.Repeat("A", 1<<20),
		} {
			require.Equal(t, fault.Unauthenticated, w.code(wrong))
		}
		require.Empty(t, w.code(key))
	})
}

func TestRevocationIsEffectiveWithin30Seconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		key := w.create("shop")
		require.Empty(t, w.code(key))
		_, err := w.admin.Revoke(t.Context(), "shop")
		require.NoError(t, err)
		time.Sleep(promised)
		require.Equal(t, fault.Unauthenticated, w.code(key))
	})
}

func TestRevocationIsEffectiveForABusyCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		key := w.create("shop")
		require.Empty(t, w.code(key))
		_, err := w.admin.Revoke(t.Context(), "shop")
		require.NoError(t, err)
		for began := time.Now(); w.code(key) == ""; time.Sleep(100 * time.Millisecond) {
			require.Less(t, time.Since(began), promised)
		}
	})
}

func TestNamesAreNeverReused(t *testing.T) {
	w := newWorld(t)
	w.create("shop")
	_, _, err := w.admin.Create(t.Context(), "shop", "", read)
	require.ErrorIs(t, err, fault.Conflict)
	_, err = w.admin.Revoke(t.Context(), "shop")
	require.NoError(t, err)
	again, err := w.admin.Revoke(t.Context(), "shop")
	require.NoError(t, err)
	require.False(t, again.RevokedAt.IsZero())
	_, _, err = w.admin.Create(t.Context(), "shop", "", read)
	require.ErrorIs(t, err, fault.Conflict)
	_, _, err = w.admin.Rotate(t.Context(), "shop", 0)
	require.ErrorIs(t, err, fault.Conflict)
	_, err = w.admin.Revoke(t.Context(), "other")
	require.ErrorIs(t, err, fault.NotFound)
	_, _, err = w.admin.Rotate(t.Context(), "other", 0)
	require.ErrorIs(t, err, fault.NotFound)
}

func TestRotatedSecretsOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		first := w.create("shop")
		second, k, err := w.admin.Rotate(t.Context(), "shop", 24*time.Hour)
		require.NoError(t, err)
		require.Equal(t, read, k.Scopes)
		require.NotEqual(t, first, second)
		require.Empty(t, w.code(first))
		require.Empty(t, w.code(second))
		time.Sleep(24 * time.Hour)
		require.Equal(t, fault.Unauthenticated, w.code(first))
		require.Empty(t, w.code(second))

		// A later overlap does not bring back or prolong what an earlier one ends.
		third, _, err := w.admin.Rotate(t.Context(), "shop", time.Hour)
		require.NoError(t, err)
		fourth, _, err := w.admin.Rotate(t.Context(), "shop", 48*time.Hour)
		require.NoError(t, err)
		time.Sleep(time.Hour)
		require.Equal(t, fault.Unauthenticated, w.code(first))
		require.Equal(t, fault.Unauthenticated, w.code(second))
		require.Empty(t, w.code(third))
		_, _, err = w.admin.Rotate(t.Context(), "shop", 0)
		require.NoError(t, err)
		time.Sleep(promised)
		require.Equal(t, fault.Unauthenticated, w.code(third))
		require.Equal(t, fault.Unauthenticated, w.code(fourth))
	})
}

// TestExpiryDoesNotWaitForARead: a secret that has expired is refused although the copy is fresh.
func TestExpiryDoesNotWaitForARead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		first := w.create("shop")
		_, _, err := w.admin.Rotate(t.Context(), "shop", 5*time.Second)
		require.NoError(t, err)
		caller, err := w.ring.Authenticate(t.Context(), first)
		require.NoError(t, err)
		require.Equal(t, time.Now().Add(5*time.Second).UTC(), caller.Expires)
		time.Sleep(5 * time.Second)
		require.Equal(t, fault.Unauthenticated, w.code(first))
		require.Equal(t, 1+1, w.store.Count(), "the admin's read, and one")
	})
}

func TestKeyMayKeepAnonymousNamespace(t *testing.T) {
	w := newWorld(t)
	key, k, err := w.admin.Create(t.Context(), "shop", "anonymous", read)
	require.NoError(t, err)
	require.Equal(t, "anonymous", k.Caller)
	caller, err := w.ring.Authenticate(t.Context(), key)
	require.NoError(t, err)
	require.Equal(t, auth.AnonymousNamespace, caller.Namespace)
	require.Equal(t, "shop", caller.Actor)
}

func TestInvalidKeysAreNotMade(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		name, caller string
		scopes       []auth.Scope
		pointer      string
	}{
		{"", "", read, "/name"},
		{"a/b", "", read, "/name"},
		{"anonymous", "", read, "/name"},
		{"shop", "a b", read, "/caller"},
		{"shop", "https://idp.example#alice", read, "/caller"},
		{"shop", "", nil, "/scopes"},
	} {
		_, _, err := w.admin.Create(t.Context(), c.name, c.caller, c.scopes)
		require.ErrorIs(t, err, fault.Invalid)
		require.Equal(t, c.pointer, fault.FieldsOf(err)[0].Pointer)
	}
	_, _, err := w.admin.Rotate(t.Context(), "shop", -1)
	require.ErrorIs(t, err, fault.Invalid)
}

func TestUnavailableStoreRefusesNoKnownKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		known, other := w.create("known"), w.create("other")
		require.Empty(t, w.code(known))
		w.store.Break(errors.New("no server"))
		unknown := w.foreign("unknown")
		require.Equal(t, fault.Unavailable, w.code(unknown), "it may be valid")
		time.Sleep(12 * time.Second)
		require.Empty(t, w.code(known), "a failover is bridged")
		time.Sleep(promised)
		require.Equal(t, fault.Unavailable, w.code(known), "it may be revoked")
		require.Equal(t, fault.Unavailable, w.code(other))
		w.store.Break(nil)
		require.Empty(t, w.code(known))
	})
}

// foreign makes a key of another store.
func (w *world) foreign(name string) string {
	w.Helper()
	other := new(authtest.Store)
	key, _, err := auth.Admin{Store: other, Clock: time.Now}.Create(w.Context(), name, "", read)
	require.NoError(w, err)
	return key
}

// TestUnknownKeysCostFewReads: a client that tries keys does not cause a read of the store for each of them.
func TestUnknownKeysCostFewReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		known := w.create("known")
		require.Empty(t, w.code(known))
		before, began := w.store.Count(), time.Now()
		var tries sync.WaitGroup
		var refused, unavailable atomic.Int64
		for range 1000 {
			tries.Go(func() {
				_, err := w.ring.Authenticate(context.Background(), w.foreign("x"))
				if errors.Is(err, fault.Unavailable) {
					unavailable.Add(1)
				} else if errors.Is(err, fault.Unauthenticated) {
					refused.Add(1)
				}
			})
		}
		tries.Wait()
		require.EqualValues(t, 1000, refused.Load()+unavailable.Load())
		require.EqualValues(t, 256, refused.Load(), "so many may wait")
		require.LessOrEqual(t, w.store.Count()-before, 2+int(time.Since(began)/(500*time.Millisecond)))
		require.Less(t, time.Since(began), 5*time.Second)
		require.Empty(t, w.code(known))
	})
}

func TestCancelledCallerDoesNotWait(t *testing.T) {
	w := newWorld(t)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	require.NotPanics(t, func() {
		_, err := w.ring.Authenticate(gone, w.foreign("x"))
		require.Error(t, err)
	})
}

func TestScopesAreParsed(t *testing.T) {
	scopes, err := auth.ParseScopes("orders:read, orders:write,orders:read")
	require.NoError(t, err)
	require.Equal(t, []auth.Scope{auth.OrdersRead, auth.OrdersWrite}, scopes)
	for _, wrong := range []string{"", " , ", "orders", "public", "orders:read,everything"} {
		_, err := auth.ParseScopes(wrong)
		require.ErrorContains(t, err, "the scopes are orders:read, ", wrong)
	}
}

func TestOtherCredentialTypesAreRefused(t *testing.T) {
	w := newWorld(t)
	key := w.create("shop")
	for _, c := range []struct {
		by    auth.Combined
		token string
	}{{auth.Combined{Keys: w.ring}, "a.b.c"}, {auth.Combined{Tokens: w.ring}, key}} {
		_, err := c.by.Authenticate(t.Context(), c.token)
		require.ErrorIs(t, err, fault.Unauthenticated)
	}
	_, err := auth.Combined{Keys: w.ring}.Authenticate(t.Context(), key)
	require.NoError(t, err)
}
