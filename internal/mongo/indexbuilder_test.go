package mongo

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/internal/mongo/mongofake"
	"github.com/ordersaga/ordersaga/internal/testenv"
)

// indexed is a server with indexes. The test defines its answer to createIndexes.
type indexed struct {
	mu sync.Mutex
	// exist are the names of indexes, by collection.
	exist map[string][]bson.D
	// noList reports that indexes are not listed.
	noList bool
	create func(name string, command bson.Raw) bson.D
	// created are the names of the requested indexes; deadlines counts the requests with a deadline.
	created   []string
	deadlines int
}

var unauthorized = bson.D{{Key: "ok", Value: 0}, {Key: "code", Value: 13}, {Key: "errmsg", Value: "not authorized"}}

func (s *indexed) handle(c mongofake.Command) bson.D {
	switch c.Name {
	case "buildInfo":
		return bson.D{{Key: "version", Value: "8.0.0"}}
	case "listIndexes":
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.noList {
			return unauthorized
		}
		collection := c.Body.Lookup("listIndexes").StringValue()
		batch := bson.A{bson.D{{Key: "name", Value: "_id_"}, {Key: "key", Value: bson.D{{Key: "_id", Value: 1}}}}}
		for _, i := range s.exist[collection] {
			batch = append(batch, i)
		}
		return mongofake.Found("fake."+collection, batch...)
	case "createIndexes":
		name := c.Body.Lookup("createIndexes").StringValue() + "." + c.Body.Lookup("indexes", "0", "name").StringValue()
		s.mu.Lock()
		s.created = append(s.created, name)
		if c.Body.Lookup("maxTimeMS").Type != 0 {
			s.deadlines++
		}
		create := s.create
		s.mu.Unlock()
		return create(name, c.Body)
	}
	return nil
}

// names returns the names of the requested indexes so far: builds may go on in the background.
func (s *indexed) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.created)
}

// index is an index as a server lists it; the names are an administrator's.
func index(unique bool, fields ...string) bson.D {
	keys := bson.D{}
	for _, f := range fields {
		direction := 1.0
		if f[0] == '-' {
			f, direction = f[1:], -1
		}
		keys = append(keys, bson.E{Key: f, Value: direction})
	}
	return bson.D{{Key: "name", Value: "by hand"}, {Key: "key", Value: keys}, {Key: "unique", Value: unique}}
}

// allIndexes are the indexes of the collections.
func allIndexes() map[string][]bson.D {
	newest := []bson.D{
		index(false, "-createdAt", "-_id"), index(false, "status", "-createdAt", "-_id"), index(false, "customerId", "-createdAt", "-_id"),
	}
	all := map[string][]bson.D{
		"events": {index(true, "stream", "key"), index(true, "stream", "version")}, "orders": newest,
		"dead_letters": {index(false, "kind", "-failedAt", "-_id")},
	}
	for _, field := range []string{"status", "reason", "type"} {
		all["dead_letters"] = append(all["dead_letters"], index(false, "kind", field, "-failedAt", "-_id"))
	}
	return all
}

// logs collects log lines.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func prepare(t *testing.T, s *indexed) (*logs, error) {
	t.Helper()
	said, run := preparing(t, s)
	return said, run()
}

// preparing returns a function that creates the indexes of all stores on the server.
func preparing(t *testing.T, s *indexed) (*logs, func() error) {
	t.Helper()
	said := &logs{}
	db, err := Open(t.Context(), mongofake.Connect(t, s.handle), nil)
	require.NoError(t, err)
	b := NewIndexBuilder(slog.New(slog.NewTextHandler(said, nil)))
	t.Cleanup(b.Close)
	log, orders, letters := NewLog(db, EventsCollection), NewOrders(db), NewLetters(db)
	return said, func() error {
		return b.Prepare(t.Context(), true, log.Indexes(), orders.Indexes(), letters.Indexes())
	}
}

// TestStartUsesExistingIndexes: the service starts although the server refuses to create indexes.
func TestStartUsesExistingIndexes(t *testing.T) {
	for name, noList := range map[string]bool{"listed": false, "not listed": true} {
		t.Run(name, func(t *testing.T) {
			s := &indexed{exist: allIndexes(), noList: noList, create: func(string, bson.Raw) bson.D { return unauthorized }}
			said, err := prepare(t, s)
			require.NoError(t, err)
			require.NotContains(t, said.String(), "a unique index is missing")
			if !noList {
				require.Equal(t, []string{"events.stream_key", "events.stream_version"}, s.names()[:2], "they come first")
			}
		})
	}
}

// TestStartReportsMissingIndexes: lists are slow without them, and that is no reason not to start.
func TestStartReportsMissingIndexes(t *testing.T) {
	exist := allIndexes()
	exist["orders"] = exist["orders"][:2]
	s := &indexed{exist: exist, create: func(name string, _ bson.Raw) bson.D {
		if name == "orders.customer_newest" {
			return unauthorized
		}
		return nil
	}}
	said, err := prepare(t, s)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return strings.Contains(said.String(), "createIndex({customerId: 1, createdAt: -1, _id: -1}")
	}, testenv.Timeout, 10*time.Millisecond)
}

// TestBuildWaitsForEveryIndex: also for those that a start creates in the background.
func TestBuildWaitsForEveryIndex(t *testing.T) {
	s := &indexed{create: func(string, bson.Raw) bson.D { return nil }}
	db, err := Open(t.Context(), mongofake.Connect(t, s.handle), nil)
	require.NoError(t, err)
	b := NewIndexBuilder(slog.New(slog.DiscardHandler))
	t.Cleanup(b.Close)
	orders, log := NewOrders(db).Indexes(), NewLog(db, EventsCollection).Indexes()
	require.NoError(t, b.Build(t.Context(), orders, log))
	require.Len(t, s.names(), len(orders)+len(log))
}

// TestIndexBuildHasNoTimeout: a build has no deadline, neither here nor at the server; one that nothing is written
// without is waited for, the others are not.
func TestIndexBuildHasNoTimeout(t *testing.T) {
	unique, other := make(chan struct{}), make(chan struct{})
	waiting := make(chan string, 16)
	s := &indexed{create: func(name string, _ bson.Raw) bson.D {
		select {
		case waiting <- name:
		default:
		}
		switch name {
		case "events.stream_key":
			<-unique
		case "orders.newest":
			<-other
		}
		return nil
	}}
	defer close(other)
	_, run := preparing(t, s)
	prepared := make(chan error, 1)
	go func() { prepared <- run() }()
	require.Equal(t, "events.stream_key", <-waiting)
	select {
	case err := <-prepared:
		t.Fatalf("it started without a unique index: %v", err)
	default:
	}
	close(unique)
	select {
	case err := <-prepared:
		require.NoError(t, err)
	case <-time.After(testenv.Timeout):
		t.Fatal("it waits for an index that it can do without")
	}
	require.Eventually(t, func() bool {
		return slices.Contains(s.names(), "orders.newest")
	}, testenv.Timeout, 10*time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Zero(t, s.deadlines)
}
