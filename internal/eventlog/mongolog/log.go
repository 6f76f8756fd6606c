package mongolog

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/groupcommit"
)

// Defaults of Config.
const (
	DefaultCollection = "events"
	DefaultTimeout    = 10 * time.Second
	DefaultHeads      = 8192
	DefaultFirsts     = 2048
	DefaultLanes      = 4
	// DefaultOvertake is longer than an insert takes on a server that is well, and shorter than anybody minds.
	DefaultOvertake = 200 * time.Millisecond
)

// Lookup says how records are found.
type Lookup int

const (
	// LookupAuto asks the server once which of the others fits it.
	LookupAuto Lookup = iota
	// LookupRange asks for ranges of _id: MongoDB and FerretDB 2.
	LookupRange
	// LookupProbe asks for one _id after the other: FerretDB 1, where nothing else uses an index.
	LookupProbe
)

// Config configures a Log.
type Config struct {
	// Database holds the collection. Mandatory. Its concerns do not matter: the log sets its own.
	Database *mongo.Database
	// Collection is the collection's name. Default "events".
	Collection string
	// Timeout bounds each round trip to the server, whatever deadline the caller's context has. Default 10 s.
	Timeout time.Duration
	// Lookup is LookupAuto by default.
	Lookup Lookup
	// Heads is how many streams' heads are remembered. Default 8192.
	Heads int
	// Firsts is how many of the streams that this process has begun keep their first record in memory, some kB each.
	// Default 2048.
	Firsts int
	// Lanes is how many inserts are under way at once, and how many questions for first records; what comes meanwhile shares the
	// next. Default 4.
	Lanes int
	// Overtake is how long one of those may take before what comes meanwhile gets another beside it. Default 200 ms.
	Overtake time.Duration
	// Logger hears of retries, at debug level, and of servers that are only stand-ins. Default: silence.
	Logger *slog.Logger
}

// Validate fills in defaults and names what is wrong.
func (c *Config) Validate() error {
	if c.Collection == "" {
		c.Collection = DefaultCollection
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Heads == 0 {
		c.Heads = DefaultHeads
	}
	if c.Firsts == 0 {
		c.Firsts = DefaultFirsts
	}
	if c.Lanes == 0 {
		c.Lanes = DefaultLanes
	}
	if c.Overtake == 0 {
		c.Overtake = DefaultOvertake
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case c.Database == nil:
		return fmt.Errorf("mongolog: Database is missing")
	case c.Timeout < 0 || c.Heads < 0 || c.Firsts < 0 || c.Lanes < 0 || c.Overtake < 0:
		return fmt.Errorf("mongolog: Timeout %s, Heads %d, Firsts %d, Lanes %d and Overtake %s must be positive",
			c.Timeout, c.Heads, c.Firsts, c.Lanes, c.Overtake)
	case c.Lookup < LookupAuto || c.Lookup > LookupProbe:
		return fmt.Errorf("mongolog: there is no Lookup %d", c.Lookup)
	}
	return nil
}

// Log is the event log in a collection. It is safe for concurrent use and needs no closing; the client
// behind Config.Database is the caller's.
type Log struct {
	events *mongo.Collection
	// latest is events with reads that are certain, for what events did not find; see Latest.
	latest  *mongo.Collection
	timeout time.Duration
	logger  *slog.Logger
	heads   headCache
	firsts  firstCache
	// lookup is LookupAuto until the server was asked.
	lookup atomic.Int32
	// keys is for LookupProbe alone.
	keys keyCache
	// insert inserts documents, perhaps together with those of others; tests put a saboteur in its place.
	insert func(ctx context.Context, docs []document) error
	// beginnings are questions for first records.
	beginnings *groupcommit.Group[*beginning]
}

var (
	_ eventlog.Log    = (*Log)(nil)
	_ eventlog.Lister = (*Log)(nil)
	_ eventlog.Walker = (*Log)(nil)

	_ eventlog.CertainReader = (*Log)(nil)
)

// New returns a log. It does no I/O. The error says what is wrong with the configuration.
func New(cfg Config) (*Log, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	journaled := true
	collection := options.Collection().
		SetWriteConcern(&writeconcern.WriteConcern{W: "majority", Journal: &journaled}).
		SetReadConcern(readconcern.Majority()).
		SetReadPreference(readpref.Primary())
	l := &Log{
		events:  cfg.Database.Collection(cfg.Collection, collection),
		timeout: cfg.Timeout,
		logger:  cfg.Logger,
		heads:   newHeadCache(cfg.Heads),
		firsts:  newFirstCache(cfg.Firsts),
		keys:    keyCache{newCache[*streamKeys](keyStreams)},
	}
	l.latest = Latest(l.events)
	l.lookup.Store(int32(cfg.Lookup))
	commits, err := newCommits(cfg.Lanes, cfg.Overtake, cfg.Timeout, l.write)
	if err != nil {
		return nil, err
	}
	l.insert = commits.insert
	l.beginnings, err = groupcommit.New(groupcommit.Config[*beginning]{
		Write: l.readFirsts, Timeout: cfg.Timeout, Lanes: cfg.Lanes, Overtake: cfg.Overtake,
	})
	return l, err
}

// Setup makes the indexes; call it once before the first append of a new database. It may be called again and
// by several processes at once. See Index.Build for the context. Errors: Unavailable.
func (l *Log) Setup(ctx context.Context) error {
	indexes, err := l.Indexes(ctx)
	if err != nil {
		return err
	}
	return Ensure(ctx, indexes)
}

// Indexes returns the indexes that this server needs. Errors: Unavailable.
func (l *Log) Indexes(ctx context.Context) ([]Index, error) {
	lookup, err := l.how(ctx)
	if err != nil {
		return nil, err
	}
	sorts, err := l.sorts(ctx)
	if err != nil {
		return nil, err
	}
	indexes := []Index{{
		Collection: l.events, Name: "stream_key", Unique: true,
		Keys: bson.D{{Key: "stream", Value: 1}, {Key: "key", Value: 1}},
	}}
	if lookup == LookupRange && !sorts {
		indexes = append(indexes, Index{
			Collection: l.events, Name: "stream_version", Unique: true,
			Keys: bson.D{{Key: "stream", Value: 1}, {Key: "version", Value: 1}},
		})
	}
	return indexes, nil
}

// sorts is SortsWhatIsIndexed within the bounds of a round trip.
func (l *Log) sorts(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	return SortsWhatIsIndexed(ctx, l.events.Database())
}

// how returns how records are found, after asking the server when nobody said.
func (l *Log) how(ctx context.Context) (Lookup, error) {
	if known := Lookup(l.lookup.Load()); known != LookupAuto {
		return known, nil
	}
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	lookup, err := DetectLookup(ctx, l.events.Database())
	if err != nil {
		return LookupAuto, err
	}
	if lookup == LookupProbe {
		l.logger.LogAttrs(ctx, slog.LevelInfo, "the event log is on FerretDB 1: a stand-in for development and tests")
	}
	l.lookup.Store(int32(lookup))
	return lookup, nil
}

// DetectLookup asks the server what it is and returns LookupProbe for FerretDB 1, LookupRange for all others.
// Errors: Unavailable.
func DetectLookup(ctx context.Context, db *mongo.Database) (Lookup, error) {
	var info struct {
		// FerretDBVersion is what FerretDB 1 adds; FerretDB 2 has a subdocument "ferretdb" instead.
		FerretDBVersion string `bson:"ferretdbVersion"`
	}
	if err := db.RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Decode(&info); err != nil {
		return LookupAuto, unavailable(ctx, err, "ask the server what it is")
	}
	if info.FerretDBVersion != "" {
		return LookupProbe, nil
	}
	return LookupRange, nil
}
