package readmodel

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ordersaga/ordersaga/internal/order"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// start is when the first order of the tests was created.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// connect returns a database of the test's own.
func connect(t testing.TB) *mongo.Database {
	t.Helper()
	uri, name := testenv.MongoDB(t)
	client, err := mongo.Connect(options.Client().ApplyURI(uri).SetServerSelectionTimeout(testenv.Patience))
	require.NoError(t, err)
	db := client.Database(name)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		require.NoError(t, db.Drop(ctx))
		require.NoError(t, client.Disconnect(ctx))
	})
	return db
}

// open opens a store on db, as another process would.
func open(t testing.TB, db *mongo.Database) *Store {
	t.Helper()
	s, err := New(Config{Database: db, Timeout: testenv.Patience})
	require.NoError(t, err)
	require.NoError(t, s.Setup(t.Context()))
	return s
}

// sample makes order number n at a version.
func sample(n int, version int64, status order.Status) Order {
	return Order{
		Order: order.Order{
			ID: fmt.Sprintf("o-%03d", n), CustomerID: fmt.Sprintf("c-%d", n%3), Currency: "EUR",
			Lines:   []order.Line{{SKU: "A-1", Quantity: 2, UnitAmount: 1999}, {SKU: "B-2", Quantity: 1, UnitAmount: 1 << 35}},
			Payment: order.PaymentMethod{Method: "tok_visa"}, Fulfillment: order.Shipment, TotalAmount: 3998 + 1<<35,
		},
		Status: status, Reason: "", Version: version, CorrelationID: "corr",
		// Three orders share each moment.
		CreatedAt: start.Add(time.Duration(n/3) * time.Second), UpdatedAt: start.Add(time.Duration(version) * time.Hour),
	}
}
