package mongokeys_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/sealed/mongokeys"
	"github.com/ordersaga/ordersaga/internal/sealed/sealedtest"
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

func TestKeysOnMongoDB(t *testing.T) {
	sealedtest.Run(t, func(t *testing.T) sealedtest.Eraser { return mongokeys.New(database(t)) })
}

func TestAServerThatDoesNotAnswerIsUnavailable(t *testing.T) {
	keys := mongokeys.New(database(t))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := keys.Get(ended, "c-1")
	require.ErrorIs(t, err, fault.Unavailable)
	require.ErrorIs(t, keys.Erase(ended, "c-1"), fault.Unavailable)
}
