package mongo

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/inventory"
	"github.com/ordersaga/ordersaga/internal/inventory/inventorytest"
)

func TestSKUsAreListedOnceInOrder(t *testing.T) {
	db := connect(t)
	registry := NewSKUs(db)
	empty, err := registry.List(t.Context(), "", 10)
	require.NoError(t, err)
	require.Empty(t, empty)
	for _, sku := range []string{"b", "A", "a", "B-10", "B-2", "b", "A"} {
		require.NoError(t, NewSKUs(db).Add(t.Context(), sku))
	}
	all, err := registry.List(t.Context(), "", 10)
	require.NoError(t, err)
	require.Equal(t, []string{"A", "B-10", "B-2", "a", "b"}, all)
	page, err := registry.List(t.Context(), "B-10", 2)
	require.NoError(t, err)
	require.Equal(t, []string{"B-2", "a"}, page)
	count, err := db.Database.Collection(SKUsCollection).CountDocuments(t.Context(), bson.D{})
	require.NoError(t, err)
	require.Equal(t, int64(5), count)
}

func TestSKUsAreUnavailableWithoutServer(t *testing.T) {
	registry := NewSKUs(connect(t))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, registry.Add(ended, "a"), fault.Unavailable)
	_, err := registry.List(ended, "", 1)
	require.ErrorIs(t, err, fault.Unavailable)
}

// TestLedgerOnMongoDB runs the ledger's contract suite on the log and the registry that services use.
func TestLedgerOnMongoDB(t *testing.T) {
	inventorytest.Run(t, inventorytest.Subject{
		Log: func(t *testing.T) eventlog.Log {
			// A collection for each test: FerretDB 1 scans it.
			return newLog(t)
		},
		Registry: func(t *testing.T) inventory.Registry { return NewSKUs(connect(t)) },
		Slow:     true,
	})
}
