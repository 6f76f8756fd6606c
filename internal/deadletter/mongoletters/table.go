package mongoletters

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"golang.org/x/sync/errgroup"

	"github.com/ordersaga/ordersaga/internal/cursor"
	"github.com/ordersaga/ordersaga/internal/deadletter"
)

// FerretDB 1 reads the whole collection for every list, payloads and all. Where there are many letters, what lists select and sort
// by is kept in memory there, and a page costs a look-up for each of its letters.
const (
	// smallCollection is how many letters are read for each list all the same: it shows at once what other processes keep.
	smallCollection = 1000
	// readTimeout bounds reading the whole collection.
	readTimeout = 10 * time.Minute
	// restAfterRead is how long nothing is read after that, in times of what it took: other processes keep letters, too.
	restAfterRead = 10
	// pageReads is how many letters of a page are looked up at once.
	pageReads = 8
)

// row is what lists select and sort by.
type row struct {
	ID       string        `bson:"_id"`
	Kind     string        `bson:"kind"`
	Reason   string        `bson:"reason"`
	Type     string        `bson:"type"`
	FailedAt bson.DateTime `bson:"failedAt"`
	Status   string        `bson:"status"`
	Version  int64         `bson:"version"`
}

// table are the rows of all letters.
type table struct {
	mu sync.Mutex
	// rows is nil until the collection was read.
	rows map[string]row
	// changed are the rows that this process wrote while the collection is being read.
	changed map[string]row
	// reading is closed when that has ended; nil when it is not being read. failed is how it ended.
	reading chan struct{}
	failed  error
	// next is when it is read again.
	next time.Time
}

// put adds what was written: nothing is known of it where a newer version is.
func (t *table) put(r row) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, rows := range []map[string]row{t.rows, t.changed} {
		if rows != nil && rows[r.ID].Version <= r.Version {
			rows[r.ID] = r
		}
	}
}

// mark changes status and version of a letter.
func (t *table) mark(id string, status deadletter.Status, version int64) {
	t.mu.Lock()
	r, known := t.rows[id]
	t.mu.Unlock()
	if known {
		r.Status, r.Version = string(status), version
		t.put(r)
	}
}

// get returns the rows. They are read once, in the background, where a caller waits for them as long as it likes, and again now and
// then, where nobody waits.
func (t *table) get(ctx context.Context, read func(ctx context.Context) ([]row, error)) (map[string]row, error) {
	t.mu.Lock()
	if t.reading == nil && (t.rows == nil || time.Now().After(t.next)) {
		t.reading, t.changed = make(chan struct{}), make(map[string]row)
		go t.refresh(context.WithoutCancel(ctx), read)
	}
	reading := t.reading
	if t.rows != nil {
		defer t.mu.Unlock()
		return maps.Clone(t.rows), nil
	}
	t.mu.Unlock()
	select {
	case <-reading:
	case <-ctx.Done():
		return nil, unavailable(ctx, ctx.Err(), "wait until all dead letters are read")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rows == nil {
		return nil, unavailable(ctx, t.failed, "read all dead letters")
	}
	return maps.Clone(t.rows), nil
}

// refresh reads the rows.
func (t *table) refresh(ctx context.Context, read func(ctx context.Context) ([]row, error)) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	began := time.Now()
	all, err := read(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		rows := make(map[string]row, len(all))
		for _, r := range all {
			rows[r.ID] = r
		}
		for id, r := range t.changed {
			if rows[id].Version <= r.Version {
				rows[id] = r
			}
		}
		t.rows = rows
	}
	t.next = time.Now().Add(restAfterRead * time.Since(began))
	t.failed = err
	close(t.reading)
	t.reading, t.changed = nil, nil
}

// pageOfTable is page for a collection that is not to be read for it; ok is false for one that is small.
func (s *Store) pageOfTable(ctx context.Context, f deadletter.Filter, want int) (docs []document, ok bool, err error) {
	rows, err := s.table.get(ctx, s.readRows)
	if err != nil || len(rows) <= s.small {
		return nil, false, err
	}
	within := span(f)
	after, paging := cursor.DeadLetters.Parse(f.Cursor)
	maps.DeleteFunc(rows, func(_ string, r row) bool {
		behind := !paging || r.FailedAt < bson.DateTime(after.Millis) || r.FailedAt == bson.DateTime(after.Millis) && r.ID < after.ID
		return !behind || r.FailedAt < within.From || r.FailedAt > within.To ||
			!oneOf(f.Statuses, r.Status) || !oneOf(f.Reasons, r.Reason) || !oneOf(f.Types, r.Type)
	})
	newest := slices.SortedFunc(maps.Values(rows), func(a, b row) int {
		return cmp.Or(cmp.Compare(b.FailedAt, a.FailedAt), cmp.Compare(b.ID, a.ID))
	})
	docs, err = s.lookUp(ctx, newest[:min(want, len(newest))])
	return docs, true, err
}

// oneOf is true for a filter that selects nothing.
func oneOf[T ~string](values []T, value string) bool {
	return len(values) == 0 || slices.Contains(values, T(value))
}

// readRows reads the whole collection.
func (s *Store) readRows(ctx context.Context) ([]row, error) {
	projection := bson.D{}
	for _, field := range []string{"kind", "reason", "type", "failedAt", "status", "version"} {
		projection = append(projection, bson.E{Key: field, Value: 1})
	}
	found, err := s.letters.Find(ctx, bson.D{}, options.Find().SetProjection(projection))
	if err != nil {
		return nil, err
	}
	var rows []row
	if err := found.All(ctx, &rows); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(rows, func(r row) bool { return r.Kind != kindLetter }), nil
}

// lookUp reads the letters of rows one by one, without their payloads.
func (s *Store) lookUp(ctx context.Context, rows []row) ([]document, error) {
	docs := make([]document, len(rows))
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(pageReads)
	for i, r := range rows {
		work.Go(func() error {
			projection := options.FindOne().SetProjection(bson.D{{Key: "body", Value: 0}, {Key: "headers", Value: 0}})
			err := s.letters.FindOne(ctx, byID(r.ID), projection).Decode(&docs[i])
			if errors.Is(err, mongo.ErrNoDocuments) {
				return nil // removed by hand
			}
			return unavailable(ctx, err, "read dead letter %s", r.ID)
		})
	}
	if err := work.Wait(); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(docs, func(d document) bool { return d.ID == "" }), nil
}

// rowOf is what lists select and sort a letter by.
func rowOf(d document) row {
	return row{ID: d.ID, Kind: d.Kind, Reason: d.Reason, Type: d.Type, FailedAt: d.FailedAt, Status: d.Status, Version: d.Version}
}
