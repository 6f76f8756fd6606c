package mongo

import (
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"sort"
	"sync"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"golang.org/x/sync/errgroup"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// FerretDB 1 finds documents by _id; every other filter scans the collection. Streams have no gaps, so streams are read version by version.

// firstWindow and lastWindow are the minimum and maximum number of versions that are read concurrently.
const (
	windowFirst = 2
	windowLast  = 16
)

// readProbing reads consecutive versions, several concurrently.
func (l *Log) readProbing(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error) {
	var records []event.Record
	known := l.heads.get(stream).Version
	for {
		next := after + int64(len(records)) + 1
		// As many as found so far, or one more than known to exist, to detect the end.
		n := int(min(max(int64(len(records)), known-next+2, windowFirst), windowLast))
		if limit > 0 {
			n = min(n, limit-len(records))
		}
		window := make([]event.Record, n)
		group, within := errgroup.WithContext(ctx)
		for i := range window {
			group.Go(func() (err error) {
				window[i], _, err = l.get(within, stream, next+int64(i))
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return nil, err
		}
		// A record after a missing version was written meanwhile.
		end := slices.IndexFunc(window, func(r event.Record) bool { return r.Version == 0 })
		if end >= 0 {
			return append(records, window[:end]...), nil
		}
		if records = append(records, window...); len(records) == limit {
			return records, nil
		}
	}
}

// headProbing returns the newest record, if any: an exponential search from the newest known version, then a binary search.
func (l *Log) headProbing(ctx context.Context, stream string) ([]event.Record, error) {
	var newest []event.Record
	var failed error
	exists := func(version int64) bool {
		if failed != nil {
			return false
		}
		r, ok, err := l.get(ctx, stream, version)
		if failed = err; ok && (len(newest) == 0 || r.Version > newest[0].Version) {
			newest = []event.Record{r}
		}
		return ok
	}
	low, step := l.heads.get(stream).Version, int64(1)
	if low > 0 && !exists(low) && failed == nil {
		l.forget(stream)
		low = 0
	}
	for ; exists(low + step); step *= 2 {
		low += step
	}
	// low exists, low+step does not.
	sort.Search(int(step-1), func(i int) bool { return !exists(low + int64(i) + 1) })
	return newest, failed
}

const (
	// keysPage is the number of records that one page of a search for keys reads.
	keysPage = 256
	// keyStreams is the number of streams whose keys are cached.
	keyStreams = 256
)

// streamKeys has the records of a stream up to version through, by key. It replaces an index, for small streams.
type streamKeys struct {
	mu      sync.Mutex
	through int64
	records map[string]event.Record
}

// findProbing returns the records of a stream with one of keys. Concurrent callers of one stream wait for each other and share the result.
func (l *Log) findProbing(ctx context.Context, stream string, keys []string) (map[string]event.Record, error) {
	k := &streamKeys{records: make(map[string]event.Record)}
	if known, ok, _ := l.keys.PeekOrAdd(stream, k); ok {
		l.keys.Get(stream) // marks it as recently used
		k = known
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for last := false; ; {
		found := make(map[string]event.Record, len(keys))
		for _, key := range keys {
			if r, ok := k.records[key]; ok {
				found[key] = r
			}
		}
		if last || len(found) == len(keys) {
			return found, nil
		}
		// One page at a time, so that the pages that a caller has read before its timeout are kept for the next one.
		page, err := l.readProbing(ctx, stream, k.through, keysPage)
		if err != nil {
			return nil, err
		}
		last = len(page) < keysPage
		for _, r := range page {
			k.records[r.Key], k.through = r, r.Version
		}
	}
}

// Updates are not atomic: within one process, updates of a document are serialized, and each is read back. Two processes can still lose an
// update; only inserts are atomic.

const (
	// maxUpdates bounds the attempts of one update.
	maxUpdates = 5
	stripes    = 64
)

// documentLocks are the locks for the documents of a collection.
type documentLocks [stripes]sync.Mutex

var stripeSeed = maphash.MakeSeed()

// update calls step, under the lock of the document, until it reports that the document is as intended.
func (t *documentLocks) update(id string, step func() (done bool, err error)) error {
	lock := &t[maphash.String(stripeSeed, id)%stripes]
	lock.Lock()
	defer lock.Unlock()
	for range maxUpdates {
		if done, err := step(); done || err != nil {
			return err
		}
	}
	return fault.New(fault.Unavailable, "document %s is repeatedly overwritten by another process", id)
}

// replaceSerialized is Replace for FerretDB 1.
func (l *List) replaceSerialized(ctx context.Context, e entry, most int64) (wrote bool, err error) {
	err = l.locks.update(e.ID, func() (bool, error) {
		stored, found, err := l.Get(ctx, orderIDOf(e.ID))
		switch {
		case err != nil:
			return false, err
		case !found:
			wrote, err = l.entries.insert(ctx, e, "write list entry %s", e.ID)
			return false, err
		case stored.Version > most || wrote && stored.Version == e.Version:
			return true, nil
		}
		ctx, cancel := l.entries.withTimeout(ctx)
		defer cancel()
		_, err = l.entries.ReplaceOne(ctx, byID(e.ID), e)
		wrote = true
		return false, unavailable(ctx, err, "write list entry %s", e.ID)
	})
	return wrote, err
}

// markSerialized is Mark for FerretDB 1.
func (l *Letters) markSerialized(ctx context.Context, in collection, id string, status deadletter.Status, version int64) error {
	return l.locks.update(id, func() (bool, error) {
		var d letter
		err := in.get(ctx, byID(id), &d, options.FindOne().SetProjection(bson.D{{Key: "version", Value: 1}}))
		if errors.Is(err, fault.NotFound) || err == nil && d.Version >= version {
			return true, nil
		}
		if err == nil {
			err = mark(ctx, in, byID(id), status, version)
		}
		return false, err
	})
}

// A list scans its whole collection, so dead letters are listed from copies without bodies and headers, in a separate collection.

// copied is the _id of a marker in that collection: the letters of older versions have been copied.
const copied = "copied"

// copyListed copies letters of older versions, once.
func (l *Letters) copyListed(ctx context.Context) error {
	err := l.listed.get(ctx, byID(copied), &bson.Raw{})
	if !errors.Is(err, fault.NotFound) {
		return err
	}
	ctx = context.WithoutCancel(ctx) // otherwise the next caller would start again
	for raw, err := range l.letters.scanByID(listProjection).all(ctx) {
		if err != nil {
			return err
		}
		if kind, _ := raw.Lookup("kind").StringValueOK(); kind != kindLetter {
			continue
		}
		if _, err := l.listed.insert(ctx, raw, "copy dead letter"); err != nil {
			return err
		}
	}
	_, err = l.listed.insert(ctx, byID(copied), "copy dead letters")
	return err
}
