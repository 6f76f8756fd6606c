package mongolog

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// connect returns a database that is dropped when the test ends.
func connect(t testing.TB, uri, name string) *mongo.Database {
	t.Helper()
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

// open returns a log on db, set up.
func open(t testing.TB, db *mongo.Database, lookup Lookup) *Log {
	t.Helper()
	log, err := New(Config{Database: db, Lookup: lookup, Timeout: testenv.Patience})
	require.NoError(t, err)
	require.NoError(t, log.Setup(t.Context()))
	return log
}

// newLog returns a log in a database of its own.
func newLog(t testing.TB) *Log {
	t.Helper()
	uri, name := testenv.MongoDB(t)
	return open(t, connect(t, uri, name), LookupAuto)
}

// entry makes an entry of slot key.
func entry(key string) event.Entry {
	return event.New("order-1", key, event.OrderAccepted, "1", time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		map[string]any{"orderId": "1"})
}

func entries(keys ...string) []event.Entry {
	list := make([]event.Entry, len(keys))
	for i, key := range keys {
		list[i] = entry(key)
	}
	return list
}

func keysOf(records []event.Record) []string {
	keys := make([]string, len(records))
	for i, r := range records {
		keys[i] = r.Key
	}
	return keys
}
