package mongoregistry_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/internal/eventlog/mongolog/mongofake"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/inventory/mongoregistry"
)

// TestADuplicateThatIsNotConfirmedIsUnknown: the SKU that the insert met may be rolled back, and would never be listed.
func TestADuplicateThatIsNotConfirmedIsUnknown(t *testing.T) {
	unconfirmed := true
	registry := mongoregistry.New(mongofake.Connect(t, func(mongofake.Command) bson.D { return mongofake.Refused(unconfirmed, 0) }))
	require.ErrorIs(t, registry.Add(t.Context(), "A-1"), fault.Unavailable)
	unconfirmed = false
	require.NoError(t, registry.Add(t.Context(), "A-1"))
}
