package mongo

import (
	"context"

	lru "github.com/hashicorp/golang-lru/v2"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/groupcommit"
)

// EventsCollection is the default name of the collection of the event log.
const EventsCollection = "events"

const (
	// maxHeads is the number of cached heads.
	maxHeads = 8192
	// maxFirstRecords is the number of cached first records of streams that this process has started, some kB each.
	maxFirstRecords = 2048
)

// Log is the event log in a collection; see the package comment. It is safe for concurrent use and need not be closed.
type Log struct {
	events       collection
	heads        headCache
	firstRecords firstRecordCache
	// keys is for FerretDB 1.
	keys *lru.Cache[string, *streamKeys]
	// insert inserts documents, possibly together with those of other callers. Tests replace it.
	insert func(ctx context.Context, docs []document) error
	// firstRequests shares round trips for first records.
	firstRequests *groupcommit.Group[*firstRecordRequest]
}

var (
	_ eventlog.Log           = (*Log)(nil)
	_ eventlog.Lister        = (*Log)(nil)
	_ eventlog.Walker        = (*Log)(nil)
	_ eventlog.HeadsReader   = (*Log)(nil)
	_ eventlog.CertainReader = (*Log)(nil)
)

// NewLog returns the event log in a collection of a database.
func NewLog(db *DB, collection string) *Log {
	l := &Log{
		events: db.collection(collection), heads: headCache{newCache[event.Head](maxHeads)},
		firstRecords: firstRecordCache{newCache[event.Record](maxFirstRecords)}, keys: newCache[*streamKeys](keyStreams),
	}
	l.setGroup(groupcommit.Config[[]document]{Concurrency: maxRoundTrips, SlowAfter: slowRoundTrip})
	return l
}

// setGroup configures how appends, and reads of first records, share round trips.
func (l *Log) setGroup(c groupcommit.Config[[]document]) {
	c.Timeout = l.events.db.Timeout
	l.insert = sharedInserts(c, l.write)
	l.firstRequests = newGroup(groupcommit.Config[*firstRecordRequest]{
		Write: l.readFirstRecords, Timeout: c.Timeout, Concurrency: c.Concurrency, SlowAfter: c.SlowAfter,
	})
}

// Indexes returns the indexes of the log.
func (l *Log) Indexes() []Index {
	indexes := []Index{{l.events, "stream_key", bson.D{{Key: "stream", Value: 1}, {Key: "key", Value: 1}}, true}}
	if l.events.db.Server == MongoDB {
		indexes = append(indexes, Index{l.events, "stream_version", bson.D{{Key: "stream", Value: 1}, {Key: "version", Value: 1}}, true})
	}
	return indexes
}

// newCache returns a cache with a capacity of at least one.
func newCache[V any](entries int) *lru.Cache[string, V] {
	c, err := lru.New[string, V](entries)
	if err != nil {
		panic(err)
	}
	return c
}

// headCache has the newest known record of each stream. An entry may be old but is never wrong.
type headCache struct{ *lru.Cache[string, event.Head] }

// get returns the zero Head for an unknown stream.
func (c headCache) get(stream string) event.Head {
	head, _ := c.Get(stream)
	return head
}

// put stores a head, unless a newer one is cached. With concurrent calls an older head may win, which only costs a read.
func (c headCache) put(stream string, head event.Head) {
	if c.get(stream).Version <= head.Version {
		c.Add(stream, head)
	}
}

// firstRecordCache has the first records of streams that this process has started. They contain the subject, which is needed when the
// stream ends.
type firstRecordCache struct {
	*lru.Cache[string, event.Record]
}

// put stores the first of records if it is the first of its stream.
func (c firstRecordCache) put(records []event.Record) {
	if len(records) > 0 && records[0].Version == 1 {
		c.Add(records[0].Stream, records[0])
	}
}
