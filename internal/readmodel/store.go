package readmodel

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog/mongolog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/groupcommit"
)

// Defaults of Config.
const (
	DefaultCollection = "orders"
	DefaultTimeout    = 10 * time.Second
)

// Config configures a Store.
type Config struct {
	// Database holds the collection. Mandatory. Its concerns do not matter: the store sets its own.
	Database *mongo.Database
	// Collection is the collection's name. Default "orders".
	Collection string
	// Stream names the stream of an order that its document is made from. Default: the order's own.
	Stream func(orderID string) string
	// Fold makes the document out of that stream; listed is false when the stream has none. Default: FromState, always.
	Fold func(records []event.Record) (o Order, listed bool, err error)
	// Timeout bounds each round trip to the server, whatever deadline the caller's context has. Default 10 s.
	Timeout time.Duration
}

// Validate fills in defaults and names what is wrong.
func (c *Config) Validate() error {
	if c.Collection == "" {
		c.Collection = DefaultCollection
	}
	if c.Stream == nil {
		c.Stream = event.OrderStream
	}
	if c.Fold == nil {
		c.Fold = foldOrder
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Database == nil {
		return fmt.Errorf("readmodel: Database is missing")
	}
	if c.Timeout < 0 {
		return fmt.Errorf("readmodel: Timeout %s must be positive", c.Timeout)
	}
	return nil
}

// stripes is the number of locks that put the writes of one process in a row on FerretDB 1.
const stripes = 64

// lanes is how many round trips that write are under way at once; what comes meanwhile shares the next, unless it has waited
// for overtake.
const (
	lanes    = 4
	overtake = 200 * time.Millisecond
)

// Store is the read model. It needs no closing; the client behind Config.Database is the caller's.
type Store struct {
	orders  *mongo.Collection
	stream  func(orderID string) string
	fold    func(records []event.Record) (Order, bool, error)
	timeout time.Duration
	// lookup is mongolog.LookupAuto until the server was asked.
	lookup atomic.Int32
	// ordered is what is known about the order in which the server reads.
	ordered atomic.Int32
	seed    maphash.Seed
	locks   [stripes]sync.Mutex
	// group shares the round trips of Put.
	group *groupcommit.Group[document]
}

// New returns a store. It does no I/O. The error says what is wrong with the configuration.
func New(cfg Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	collection := options.Collection().SetWriteConcern(writeconcern.Majority()).SetReadPreference(readpref.Primary())
	s := &Store{
		orders:  cfg.Database.Collection(cfg.Collection, collection),
		stream:  cfg.Stream,
		fold:    cfg.Fold,
		timeout: cfg.Timeout,
		seed:    maphash.MakeSeed(),
	}
	var err error
	s.group, err = groupcommit.New(groupcommit.Config[document]{Write: s.together, Timeout: cfg.Timeout, Lanes: lanes, Overtake: overtake})
	return s, err
}

// Setup makes the indexes of List. It may be called again and by several processes at once. See mongolog.Index.Build for the
// context. Errors: Unavailable.
func (s *Store) Setup(ctx context.Context) error {
	indexes, err := s.Indexes(ctx)
	if err != nil {
		return err
	}
	return mongolog.Ensure(ctx, indexes)
}

// Indexes returns the indexes of List; FerretDB 1 would not use them and gets none. Errors: Unavailable.
func (s *Store) Indexes(ctx context.Context) ([]mongolog.Index, error) {
	standIn, err := s.standIn(ctx)
	if err != nil || standIn {
		return nil, err
	}
	newestFirst := bson.D{{Key: "createdAt", Value: -1}, {Key: "_id", Value: -1}}
	by := func(name, field string) mongolog.Index {
		keys := newestFirst
		if field != "" {
			keys = append(bson.D{{Key: field, Value: 1}}, newestFirst...)
		}
		return mongolog.Index{Collection: s.orders, Name: name, Keys: keys}
	}
	return []mongolog.Index{by("newest", ""), by("status_newest", "status"), by("customer_newest", "customerId")}, nil
}

// Get returns the document of an order; it is for checks, an order itself is folded from its stream. Errors:
// Unavailable.
func (s *Store) Get(ctx context.Context, id string) (Order, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var d document
	err := s.orders.FindOne(ctx, byID(id)).Decode(&d)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return Order{}, false, nil
	}
	if err != nil {
		return Order{}, false, unavailable(ctx, err, "read list entry of order %s", id)
	}
	return d.order(), true, nil
}

// standIn reports whether the server is FerretDB 1, whose updates are not atomic and whose only index is _id.
func (s *Store) standIn(ctx context.Context) (bool, error) {
	if known := mongolog.Lookup(s.lookup.Load()); known != mongolog.LookupAuto {
		return known == mongolog.LookupProbe, nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	lookup, err := mongolog.DetectLookup(ctx, s.orders.Database())
	if err != nil {
		return false, err
	}
	s.lookup.Store(int32(lookup))
	return lookup == mongolog.LookupProbe, nil
}

func byID(id string) bson.D { return bson.D{{Key: "_id", Value: id}} }

// unavailable wraps what server, network or context did; nil stays nil. The error matches the context's error
// when the context has ended, whatever the driver made of it.
func unavailable(ctx context.Context, err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		err = errors.Join(ended, err)
	}
	return fault.Wrap(err, fault.Unavailable, format, args...)
}
