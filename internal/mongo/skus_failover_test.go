package mongo

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/mongo/mongofake"
)

// TestUnconfirmedSKUIsUnknown: the SKU that the insert met may be rolled back, and would never be listed.
func TestUnconfirmedSKUIsUnknown(t *testing.T) {
	unconfirmed := true
	registry := NewSKUs(fake(t, func(mongofake.Command) bson.D { return mongofake.Refused(unconfirmed, 0) }))
	require.ErrorIs(t, registry.Add(t.Context(), "A-1"), fault.Unavailable)
	unconfirmed = false
	require.NoError(t, registry.Add(t.Context(), "A-1"))
}
