package mongo

import (
	"context"
	"log/slog"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// defaultTimeout bounds a round trip.
const defaultTimeout = 10 * time.Second

// Server is a kind of server, as far as its kind matters.
type Server int

const (
	// MongoDB is a replica set or a sharded cluster.
	MongoDB Server = iota
	// FerretDB2 finds documents by its indexes but sorts them afterwards, whatever their order in the index: it reads in the
	// order of _id alone. What it finds has to be little.
	FerretDB2
	// FerretDB1 is a stand-in for development and tests: it uses an index for a filter on _id alone, loses concurrent updates,
	// and has no replicas.
	FerretDB1
)

// DB is a database on a server that has said what it is. It may be used by any number of goroutines at once; its fields are set
// before it is used.
type DB struct {
	Database *driver.Database
	Server   Server
	// Timeout bounds each round trip to the server, whatever deadline the caller's context has.
	Timeout time.Duration
	Logger  *slog.Logger
	// Metrics may be nil.
	Metrics *Metrics
}

// Connect returns a client, which logs slow commands. Metrics may be nil. It does no I/O: the error says what is wrong with the URI.
func Connect(uri string, logger *slog.Logger, metrics *Metrics) (*driver.Client, error) {
	// More at once would not be quicker, and would let an overload reach the server; the URI may say otherwise.
	return driver.Connect(options.Client().SetMaxPoolSize(32).ApplyURI(uri).SetAppName("ordersaga").
		SetMonitor(monitors(slowCommands(logger), metrics.commands(), tracedCommands())).SetPoolMonitor(metrics.pool()).
		SetServerSelectionTimeout(3 * time.Second).SetConnectTimeout(5 * time.Second))
}

// Open asks the server what it is. The database's concerns do not matter: stores set their own. Errors: Unavailable.
func Open(ctx context.Context, database *driver.Database, logger *slog.Logger) (*DB, error) {
	db := &DB{Database: database, Timeout: defaultTimeout, Logger: logger}
	if logger == nil {
		db.Logger = slog.New(slog.DiscardHandler)
	}
	var info struct {
		FerretDB1 string   `bson:"ferretdbVersion"`
		FerretDB2 bson.Raw `bson:"ferretdb"`
	}
	if err := database.RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Decode(&info); err != nil {
		return nil, unavailable(ctx, err, "ask the server what it is")
	}
	switch {
	case info.FerretDB1 != "":
		db.Server = FerretDB1
		db.Logger.LogAttrs(ctx, slog.LevelInfo, "the database is on FerretDB 1: a stand-in for development and tests")
	case info.FerretDB2 != nil:
		db.Server = FerretDB2
	}
	err := db.Ping(ctx)
	return db, err
}

// Ping asks whether the primary answers. Errors: Unavailable.
func (db *DB) Ping(ctx context.Context) error {
	return fault.Wrap(db.Database.Client().Ping(ctx, readpref.Primary()), fault.Unavailable, "ping mongodb")
}
