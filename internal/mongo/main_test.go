package mongo

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/groupcommit"
	"github.com/ordersaga/ordersaga/internal/inventory"
	"github.com/ordersaga/ordersaga/internal/mongo/mongofake"
	"github.com/ordersaga/ordersaga/internal/mongo/mongotest"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/internal/sealed"
	"github.com/ordersaga/ordersaga/internal/testenv"
	"github.com/ordersaga/ordersaga/workflows/order"
)

func TestMain(m *testing.M) { testenv.Main(m) }

var (
	_ readmodel.Store    = (*List)(nil)
	_ deadletter.Store   = (*Letters)(nil)
	_ inventory.Registry = (*SKUs)(nil)
	_ sealed.Keys        = (*Keys)(nil)
)

// connect returns a database that is dropped when the test ends.
func connect(t testing.TB, o ...*options.ClientOptions) *DB {
	t.Helper()
	return use(t, mongotest.Database(t, o...))
}

// use returns the state of a database.
func use(t testing.TB, database *driver.Database) *DB {
	t.Helper()
	db, err := Open(t.Context(), database, nil)
	require.NoError(t, err)
	db.Timeout = testenv.Timeout
	return db
}

// fake returns a database on a server that answers as the handler says; it is MongoDB.
func fake(t testing.TB, handle mongofake.Handler) *DB {
	t.Helper()
	return &DB{Database: mongofake.Connect(t, handle), Timeout: testenv.Timeout, Logger: slog.New(slog.DiscardHandler)}
}

// as returns the database as if it were on another server.
func as(db *DB, server Server) *DB {
	other := *db
	other.Server = server
	return &other
}

// open returns a log on db, set up.
func open(t testing.TB, db *DB) *Log {
	t.Helper()
	log := NewLog(db, EventsCollection)
	require.NoError(t, Setup(t.Context(), log.Indexes()))
	return log
}

// newLog returns a log in a database of its own.
func newLog(t testing.TB) *Log {
	t.Helper()
	return open(t, connect(t))
}

// sharing returns a log whose round trips are shared as c says.
func sharing(db *DB, c groupcommit.Config[[]document]) *Log {
	log := NewLog(db, EventsCollection)
	log.setGroup(c)
	return log
}

// openOrders opens the list of orders, as another process would.
func openOrders(t testing.TB, db *DB) *List {
	t.Helper()
	l := NewOrders(db)
	require.NoError(t, Setup(t.Context(), l.Indexes()))
	return l
}

// start is when the first order of the tests was created.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// sample makes order number n at a version.
func sample(n int, version int64, status order.Status) readmodel.Order {
	return readmodel.Order{
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

// entryOf makes an entry of slot key.
func entryOf(key string) event.Entry {
	return event.New("order-1", key, event.OrderAccepted, "1", time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		map[string]any{"orderId": "1"})
}

func entries(keys ...string) []event.Entry {
	list := make([]event.Entry, len(keys))
	for i, key := range keys {
		list[i] = entryOf(key)
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
