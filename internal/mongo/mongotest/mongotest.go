// Package mongotest gives tests their own databases on the server that the environment names. Only tests may import it.
package mongotest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ordersaga/ordersaga/internal/testenv"
)

// Database returns a database that is dropped when the test ends.
func Database(t testing.TB, o ...*options.ClientOptions) *mongo.Database {
	t.Helper()
	uri, name := testenv.MongoDB(t)
	own := options.Client().ApplyURI(uri).SetServerSelectionTimeout(testenv.Timeout)
	client, err := mongo.Connect(append([]*options.ClientOptions{own}, o...)...)
	require.NoError(t, err)
	db := client.Database(name)
	t.Cleanup(func() {
		// The context of the test has ended here.
		ctx := context.WithoutCancel(t.Context())
		require.NoError(t, db.Drop(ctx))
		require.NoError(t, client.Disconnect(ctx))
	})
	return db
}
