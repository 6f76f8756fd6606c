package mongoregistry_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/eventlog/mongolog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/inventory"
	"github.com/ordersaga/ordersaga/internal/inventory/inventorytest"
	"github.com/ordersaga/ordersaga/internal/inventory/mongoregistry"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// database returns a database that is dropped when the test ends.
func database(t *testing.T) *mongo.Database {
	t.Helper()
	uri, name := testenv.MongoDB(t)
	client, err := mongo.Connect(options.Client().ApplyURI(uri).SetServerSelectionTimeout(testenv.Patience))
	require.NoError(t, err)
	db := client.Database(name)
	t.Cleanup(func() {
		// The test's own context has ended here.
		ctx := context.WithoutCancel(t.Context())
		require.NoError(t, db.Drop(ctx))
		require.NoError(t, client.Disconnect(ctx))
	})
	return db
}

func TestSKUsAreListedOnceInOrder(t *testing.T) {
	db := database(t)
	registry := mongoregistry.New(db)
	empty, err := registry.List(t.Context(), "", 10)
	require.NoError(t, err)
	require.Empty(t, empty)
	for _, sku := range []string{"b", "A", "a", "B-10", "B-2", "b", "A"} {
		require.NoError(t, mongoregistry.New(db).Add(t.Context(), sku))
	}
	all, err := registry.List(t.Context(), "", 10)
	require.NoError(t, err)
	require.Equal(t, []string{"A", "B-10", "B-2", "a", "b"}, all)
	page, err := registry.List(t.Context(), "B-10", 2)
	require.NoError(t, err)
	require.Equal(t, []string{"B-2", "a"}, page)
	count, err := db.Collection(mongoregistry.Collection).CountDocuments(t.Context(), bson.D{})
	require.NoError(t, err)
	require.Equal(t, int64(5), count)
}

func TestAServerThatDoesNotAnswerIsUnavailable(t *testing.T) {
	registry := mongoregistry.New(database(t))
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
			log, err := mongolog.New(mongolog.Config{Database: database(t), Timeout: testenv.Patience})
			require.NoError(t, err)
			require.NoError(t, log.Setup(t.Context()))
			return log
		},
		Registry: func(t *testing.T) inventory.Registry { return mongoregistry.New(database(t)) },
		Slow:     true,
	})
}
