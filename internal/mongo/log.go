package mongo

import (
	"context"

	lru "github.com/hashicorp/golang-lru/v2"
	"go.mongodb.org/mongo-driver/v2/bson"

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
		events: db.collection(collection), heads: newHeadCache(rememberedHeads), firsts: newFirstCache(rememberedFirsts),
		keys: newCache[*streamKeys](keyStreams),
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
