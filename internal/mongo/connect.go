package mongo

import (
	"context"
	"crypto/tls"
	"log/slog"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// defaultTimeout bounds one round trip.
const defaultTimeout = 10 * time.Second

// Server is a kind of server.
type Server int

const (
	// MongoDB is a replica set or a sharded cluster.
	MongoDB Server = iota
	// FerretDB2 uses indexes for filters but sorts results itself; only by _id it reads in index order. Sorted queries must select
	// few documents.
	FerretDB2
	// FerretDB1 is for development and tests: it uses indexes only for filters on _id, loses concurrent updates, and has no
	// replicas.
	FerretDB1
)

// DB is a database on a server whose kind is known. It is safe for concurrent use; its fields must not change after the first use.
type DB struct {
	Database *driver.Database
	Server   Server
	// Timeout bounds each round trip, in addition to the deadline of the caller's context.
	Timeout time.Duration
	Logger  *slog.Logger
	// Metrics may be nil.
	Metrics *Metrics
}

// Connect returns a client that logs slow commands. Encryption has certificate authorities and the client's certificate, besides those that the
// URI names; not nil, it turns TLS on. Metrics may be nil. It does no I/O: the error is about the URI.
func Connect(uri string, encryption *tls.Config, logger *slog.Logger, metrics *Metrics) (*driver.Client, error) {
	// More connections would not be faster and would pass overload on to the server. The URI has precedence.
	o := options.Client().SetMaxPoolSize(32).ApplyURI(uri).SetAppName("ordersaga").
		SetMonitor(monitors(slowCommands(logger), metrics.commands(), tracedCommands())).SetPoolMonitor(metrics.pool()).
		SetServerSelectionTimeout(3 * time.Second).SetConnectTimeout(5 * time.Second)
	if encryption != nil {
		if o.TLSConfig == nil {
			o.TLSConfig = new(tls.Config)
		}
		if o.TLSConfig.RootCAs == nil {
			o.TLSConfig.RootCAs = encryption.RootCAs
		}
		if len(o.TLSConfig.Certificates) == 0 {
			o.TLSConfig.GetClientCertificate = encryption.GetClientCertificate
		}
		o.TLSConfig.MinVersion = max(o.TLSConfig.MinVersion, encryption.MinVersion)
	}
	return driver.Connect(o)
}

// Open determines the kind of server. Read and write concerns of the database are ignored: stores set their own. Errors: Unavailable.
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
		return nil, unavailable(ctx, err, "determine the kind of server")
	}
	switch {
	case info.FerretDB1 != "":
		db.Server = FerretDB1
		db.Logger.LogAttrs(ctx, slog.LevelInfo, "the database is FerretDB 1, which is for development and tests only")
	case info.FerretDB2 != nil:
		db.Server = FerretDB2
	}
	err := db.Ping(ctx)
	return db, err
}

// Ping reports whether the primary responds. Errors: Unavailable.
func (db *DB) Ping(ctx context.Context) error {
	return fault.Wrap(db.Database.Client().Ping(ctx, readpref.Primary()), fault.Unavailable, "ping mongodb")
}
