package mongo

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/mongo/mongofake"
	"github.com/ordersaga/ordersaga/internal/sealed"
)

// TestKeyHiddenByFailoverIsNotErased: a customer whose key a majority read misses is not taken for erased.
func TestKeyHiddenByFailoverIsNotErased(t *testing.T) {
	stored := bson.D{{Key: "_id", Value: "c-1"}, {Key: "keyId", Value: "k-1"}, {Key: "secret", Value: []byte("secret")}}
	erased, standalone := false, false
	keys := NewKeys(fake(t, func(c mongofake.Command) bson.D {
		switch {
		case c.Name == "insert":
			return mongofake.Refused(false, 0)
		case c.Name == "find" && c.ReadConcern() == "linearizable" && standalone:
			return bson.D{{Key: "ok", Value: 0}, {Key: "code", Value: 123}, {Key: "errmsg", Value: "no replicas"}}
		case c.Name == "find" && c.ReadConcern() == "linearizable" && !erased:
			return mongofake.Found("fake.customer_keys", stored)
		}
		return mongofake.Found("fake.customer_keys")
	}))
	got, err := keys.Get(t.Context(), "c-1")
	require.NoError(t, err)
	require.Equal(t, "k-1", got.ID)
	got, err = keys.Add(t.Context(), "c-1", sealed.Key{ID: "k-2", Secret: []byte("other")})
	require.NoError(t, err)
	require.Equal(t, "k-1", got.ID, "the first writer wins")

	erased = true
	_, err = keys.Get(t.Context(), "c-1")
	require.ErrorIs(t, err, fault.NotFound)
	_, err = keys.Add(t.Context(), "c-1", sealed.Key{ID: "k-2", Secret: []byte("other")})
	require.ErrorIs(t, err, fault.Unavailable, "what the insert met was erased meanwhile: the next try makes a key")
	standalone = true
	_, err = keys.Get(t.Context(), "c-1")
	require.ErrorIs(t, err, fault.NotFound, "a server without replicas misses nothing")
}

// TestUnconfirmedKeyIsUnknown: the key that the insert found may be rolled back.
func TestUnconfirmedKeyIsUnknown(t *testing.T) {
	reads := 0
	keys := NewKeys(fake(t, func(c mongofake.Command) bson.D {
		if c.Name == "find" {
			reads++
			return mongofake.Found("fake.customer_keys")
		}
		return mongofake.Refused(true, 0)
	}))
	_, err := keys.Add(t.Context(), "c-1", sealed.Key{ID: "k-1", Secret: []byte("secret")})
	require.ErrorIs(t, err, fault.Unavailable)
	require.Zero(t, reads)
}
