package mongo

import (
	"context"

	lru "github.com/hashicorp/golang-lru/v2"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/groupcommit"
)

// EventsCollection is the usual name of the event log's collection.
const EventsCollection = "events"

const (
	// rememberedHeads is about how many streams' heads are remembered.
	rememberedHeads = 8192
	// rememberedFirsts is about how many of the streams that this process has begun keep their first record in memory, some kB each.
	rememberedFirsts = 2048
)

// Log is the event log in a collection; see the package comment. It is safe for concurrent use and needs no closing.
type Log struct {
	events collection
	heads  headCache
	firsts firstCache
	// keys is for FerretDB 1.
	keys *lru.Cache[string, *streamKeys]
	// insert inserts documents, perhaps together with those of others; tests put a saboteur in its place.
	insert func(ctx context.Context, docs []document) error
	// questions are for first records.
	questions *groupcommit.Group[*firstQuestion]
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
		events: db.collection(collection), heads: headCache{newCache[event.Head](rememberedHeads)},
		firsts: firstCache{newCache[event.Record](rememberedFirsts)}, keys: newCache[*streamKeys](keyStreams),
	}
	l.share(groupcommit.Config[[]document]{Lanes: lanes, Overtake: overtake})
	return l
}

// share has appends, and questions for first records, share round trips.
func (l *Log) share(c groupcommit.Config[[]document]) {
	c.Timeout = l.events.db.Timeout
	l.insert = sharedInserts(c, l.write)
	l.questions = shared(groupcommit.Config[*firstQuestion]{Write: l.readFirsts, Timeout: c.Timeout, Lanes: c.Lanes, Overtake: c.Overtake})
}

// Indexes returns the indexes of the log.
func (l *Log) Indexes() []Index {
	indexes := []Index{{l.events, "stream_key", bson.D{{Key: "stream", Value: 1}, {Key: "key", Value: 1}}, true}}
	if l.events.db.Server == MongoDB {
		indexes = append(indexes, Index{l.events, "stream_version", bson.D{{Key: "stream", Value: 1}, {Key: "version", Value: 1}}, true})
	}
	return indexes
}

// newCache returns a cache of so many entries, at least one.
func newCache[V any](entries int) *lru.Cache[string, V] {
	c, err := lru.New[string, V](entries)
	if err != nil {
		panic(err)
	}
	return c
}

// headCache remembers the newest record of each stream that this process has seen. What it says is true, and may be old.
type headCache struct{ *lru.Cache[string, event.Head] }

// get returns the zero Head for a stream that it does not know.
func (c headCache) get(stream string) event.Head {
	head, _ := c.Get(stream)
	return head
}

// put remembers a head, unless a newer one is known. One that comes at the same time may win: an older head costs a read.
func (c headCache) put(stream string, head event.Head) {
	if c.get(stream).Version <= head.Version {
		c.Add(stream, head)
	}
}

// firstCache remembers the first records of streams that this process has begun: what a stream is about stands there,
// and whoever hears of the stream's end asks for it.
type firstCache struct {
	*lru.Cache[string, event.Record]
}

// put remembers the first of records if it begins its stream.
func (c firstCache) put(records []event.Record) {
	if len(records) > 0 && records[0].Version == 1 {
		c.Add(records[0].Stream, records[0])
	}
}
