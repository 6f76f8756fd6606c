package mongo

import (
	"cmp"
	"context"
	"errors"
	"hash/maphash"
	"maps"
	"slices"
	"sort"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/singleflight"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/cursor"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// FerretDB 1 finds documents by _id; every other filter reads the whole collection. Streams have no gaps, so what is asked about
// a stream is asked version by version.

// Of a stream, windowFirst versions are asked for at once at first, windowLast at most.
const (
	windowFirst = 2
	windowLast  = 16
)

// readProbing reads successive versions, some at once.
func (l *Log) readProbing(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error) {
	var records []event.Record
	known := l.heads.get(stream).Version
	for {
		next := after + int64(len(records)) + 1
		// As many as were found so far, or one more than is known to be there, to see that nothing follows.
		n := int(min(max(int64(len(records)), known-next+2, windowFirst), windowLast))
		if limit > 0 {
			n = min(n, limit-len(records))
		}
		window := make([]event.Record, n)
		group, within := errgroup.WithContext(ctx)
		for i := range window {
			group.Go(func() (err error) {
				window[i], _, err = l.get(within, l.events, stream, next+int64(i))
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return nil, err
		}
		// What was found behind a version that was not was written meanwhile.
		end := slices.IndexFunc(window, func(r event.Record) bool { return r.Version == 0 })
		if end >= 0 {
			return append(records, window[:end]...), nil
		}
		if records = append(records, window...); len(records) == limit {
			return records, nil
		}
	}
}

// headProbing returns the newest version, if there is one: it gallops from the newest that is known until nothing is there, then
// searches between.
func (l *Log) headProbing(ctx context.Context, stream string) ([]event.Record, error) {
	var newest []event.Record
	var failed error
	there := func(version int64) bool {
		if failed != nil {
			return false
		}
		r, ok, err := l.get(ctx, l.events, stream, version)
		if failed = err; ok && (len(newest) == 0 || r.Version > newest[0].Version) {
			newest = []event.Record{r}
		}
		return ok
	}
	low, step := l.heads.get(stream).Version, int64(1)
	if low > 0 && !there(low) {
		l.forget(stream)
		low = 0
	}
	for ; there(low + step); step *= 2 {
		low += step
	}
	// low is there, low+step is not.
	sort.Search(int(step-1), func(i int) bool { return !there(low + int64(i) + 1) })
	return newest, failed
}

const (
	// keysPage is how many records of a stream are read for their keys at a time.
	keysPage = 256
	// keyStreams is how many streams' keys are remembered.
	keyStreams = 256
)

// streamKeys are the records of one stream up to a version, by their keys: the index over keys of a stream in which keys were looked
// for. It is for small streams.
type streamKeys struct {
	mu      sync.Mutex
	through int64
	records map[string]event.Record
}

// findProbing returns the records of a stream that hold one of keys. Callers that look at the same time read on together: one
// reads, the others wait.
func (l *Log) findProbing(ctx context.Context, stream string, keys []string) (map[string]event.Record, error) {
	k := &streamKeys{records: make(map[string]event.Record)}
	if known, ok, _ := l.keys.PeekOrAdd(stream, k); ok {
		l.keys.Get(stream) // it is used
		k = known
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for {
		found := make(map[string]event.Record, len(keys))
		for _, key := range keys {
			if r, ok := k.records[key]; ok {
				found[key] = r
			}
		}
		if len(found) == len(keys) {
			return found, nil
		}
		// A page at a time, so that what a caller with little time has read is kept for the next one.
		page, err := l.readProbing(ctx, stream, k.through, keysPage)
		if err != nil || len(page) == 0 {
			return found, err
		}
		for _, r := range page {
			k.records[r.Key], k.through = r, r.Version
		}
	}
}

// Updates are not atomic: those of one process to one document take turns, and what they wrote is read again. Two processes can
// still lose an update; nothing but an insert is atomic.

const (
	// maxTurns bounds how often one update tries to find out that it is done.
	maxTurns = 5
	stripes  = 64
)

// turns are locks for the documents of a collection.
type turns [stripes]sync.Mutex

var stripeSeed = maphash.MakeSeed()

// take calls step until the document is as it should be.
func (t *turns) take(id string, step func() (done bool, err error)) error {
	lock := &t[maphash.String(stripeSeed, id)%stripes]
	lock.Lock()
	defer lock.Unlock()
	for range maxTurns {
		if done, err := step(); done || err != nil {
			return err
		}
	}
	return fault.New(fault.Unavailable, "document %s is overwritten again and again", id)
}

// replaceInTurn is Replace.
func (l *List) replaceInTurn(ctx context.Context, e entry, most int64) (wrote bool, err error) {
	err = l.turns.take(e.ID, func() (bool, error) {
		stored, found, err := l.Get(ctx, e.ID)
		switch {
		case err != nil:
			return false, err
		case !found:
			wrote, err = l.entries.insert(ctx, e, "write list entry %s", e.ID)
			return false, err
		case stored.Version > most || wrote && stored.Version == e.Version:
			return true, nil
		}
		ctx, cancel := l.entries.bounded(ctx)
		defer cancel()
		_, err = l.entries.ReplaceOne(ctx, byID(e.ID), e)
		wrote = true
		return false, unavailable(ctx, err, "write list entry %s", e.ID)
	})
	return wrote, err
}

// markInTurn is Mark.
func (l *Letters) markInTurn(ctx context.Context, id string, status deadletter.Status, version int64) error {
	return l.turns.take(id, func() (bool, error) {
		var d letter
		err := l.letters.get(ctx, id, &d, options.FindOne().SetProjection(bson.D{{Key: "version", Value: 1}}))
		if errors.Is(err, fault.NotFound) || err == nil && d.Version >= version {
			return true, nil
		}
		if err == nil {
			err = l.mark(ctx, byID(id), status, version)
		}
		if err == nil {
			l.table.mark(id, status, version)
		}
		return false, err
	})
}

// A list of dead letters reads the whole collection, payloads and all. Where there are many, what lists select and sort by is kept
// in memory, and a page costs a look-up for each of its letters.
const (
	// smallTable is how many letters are read for each list all the same: it shows at once what other processes keep.
	smallTable = 1000
	// tableTimeout bounds reading the whole collection.
	tableTimeout = 10 * time.Minute
	// tableRest is how long nothing is read after that, in times of what it took: other processes keep letters, too.
	tableRest = 10
	// tableReads is how many letters of a page are looked up at once.
	tableReads = 8
)

// row is what lists select and sort a letter by.
type row struct {
	ID       string            `bson:"_id"`
	Kind     string            `bson:"kind"`
	Reason   fault.Code        `bson:"reason"`
	Type     string            `bson:"type"`
	FailedAt bson.DateTime     `bson:"failedAt"`
	Status   deadletter.Status `bson:"status"`
	Version  int64             `bson:"version"`
}

func (r row) position() cursor.Position { return cursor.Position{Millis: int64(r.FailedAt), ID: r.ID} }

// table are the rows of all letters.
type table struct {
	mu sync.Mutex
	// rows is nil until the collection was read; own are the rows that this process wrote.
	rows, own map[string]row
	// next is when the collection is read again.
	next   time.Time
	flight singleflight.Group
}

// put adds what was written, unless a newer version is known.
func (t *table) put(r row) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.own == nil {
		t.own = make(map[string]row)
	}
	merge(t.own, r)
	if t.rows != nil {
		merge(t.rows, r)
	}
}

func merge(into map[string]row, rows ...row) {
	for _, r := range rows {
		if into[r.ID].Version <= r.Version {
			into[r.ID] = r
		}
	}
}

// mark changes status and version of a letter.
func (t *table) mark(id string, status deadletter.Status, version int64) {
	t.mu.Lock()
	r, known := t.rows[id]
	t.mu.Unlock()
	if known {
		r.Status, r.Version = status, version
		t.put(r)
	}
}

// get returns the rows. They are read once, in the background, where a caller waits for them as long as it likes, and again now and
// then, where nobody waits.
func (t *table) get(ctx context.Context, read func(ctx context.Context) ([]row, error)) (map[string]row, error) {
	t.mu.Lock()
	rows, old := maps.Clone(t.rows), time.Now().After(t.next)
	t.mu.Unlock()
	if rows != nil && !old {
		return rows, nil
	}
	done := t.flight.DoChan("", func() (any, error) { return t.refresh(context.WithoutCancel(ctx), read) })
	if rows != nil {
		return rows, nil
	}
	select {
	case result := <-done:
		rows, _ = result.Val.(map[string]row)
		return rows, unavailable(ctx, result.Err, "read all dead letters")
	case <-ctx.Done():
		return nil, unavailable(ctx, ctx.Err(), "wait until all dead letters are read")
	}
}

// refresh reads the rows.
func (t *table) refresh(ctx context.Context, read func(ctx context.Context) ([]row, error)) (map[string]row, error) {
	ctx, cancel := context.WithTimeout(ctx, tableTimeout)
	defer cancel()
	began := time.Now()
	all, err := read(ctx)
	if err != nil {
		return nil, err
	}
	rows := make(map[string]row, len(all))
	merge(rows, all...)
	t.mu.Lock()
	defer t.mu.Unlock()
	merge(rows, slices.Collect(maps.Values(t.own))...)
	t.rows, t.next = rows, time.Now().Add(tableRest*time.Since(began))
	return maps.Clone(rows), nil
}

// pageOfTable is readPage for a collection that may be too large to be read for it.
func (l *Letters) pageOfTable(ctx context.Context, f deadletter.Filter, p *listing, limit int) (docs []letter, next string, err error) {
	rows, err := l.table.get(ctx, l.readRows)
	if err != nil {
		return nil, "", err
	}
	if len(rows) <= l.small {
		return readPage[letter](ctx, p, limit)
	}
	maps.DeleteFunc(rows, func(_ string, r row) bool {
		return p.paging && cursor.Compare(p.after, r.position()) >= 0 || r.FailedAt < p.span.from || r.FailedAt > p.span.to ||
			!hasOne(f.Statuses, r.Status) || !hasOne(f.Reasons, r.Reason) || !hasOne(f.Types, r.Type)
	})
	newest := slices.SortedFunc(maps.Values(rows), func(a, b row) int { return cursor.Compare(a.position(), b.position()) })
	newest, next = cursor.Cut(p.name, newest, cmp.Or(limit, cursor.DefaultLimit), row.position)
	found := make([][]letter, len(newest))
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(tableReads)
	for i, r := range newest {
		group.Go(func() (err error) {
			// One that was removed by hand is not found.
			found[i], err = find[letter](within, l.letters, byID(r.ID), options.Find().SetProjection(p.projection), "read dead letter %s", r.ID)
			return err
		})
	}
	err = group.Wait()
	return slices.Concat(found...), next, err
}

// hasOne is true for a filter that selects nothing.
func hasOne[T comparable](values []T, value T) bool {
	return len(values) == 0 || slices.Contains(values, value)
}

// readRows reads the whole collection.
func (l *Letters) readRows(ctx context.Context) ([]row, error) {
	projection := bson.D{}
	for _, field := range []string{"kind", "reason", "type", "failedAt", "status", "version"} {
		projection = append(projection, bson.E{Key: field, Value: 1})
	}
	cursor, err := l.letters.Find(ctx, bson.D{}, options.Find().SetProjection(projection))
	if err != nil {
		return nil, err
	}
	var rows []row
	err = cursor.All(ctx, &rows)
	return slices.DeleteFunc(rows, func(r row) bool { return r.Kind != kindLetter }), err
}
