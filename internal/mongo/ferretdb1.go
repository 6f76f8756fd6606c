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
				window[i], _, err = l.get(within, stream, next+int64(i))
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
		r, ok, err := l.get(ctx, stream, version)
		if failed = err; ok && (len(newest) == 0 || r.Version > newest[0].Version) {
			newest = []event.Record{r}
		}
		return ok
	}
	low, step := l.heads.get(stream).Version, int64(1)
	if low > 0 && !there(low) && failed == nil {
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
		// A page at a time, so that what a caller with little time has read is kept for the next one.
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
		ctx, cancel := l.entries.bounded(ctx)
		defer cancel()
		_, err = l.entries.ReplaceOne(ctx, byID(e.ID), e)
		wrote = true
		return false, unavailable(ctx, err, "write list entry %s", e.ID)
	})
	return wrote, err
}

// markInTurn is Mark.
func (l *Letters) markInTurn(ctx context.Context, in collection, id string, status deadletter.Status, version int64) error {
	return l.turns.take(id, func() (bool, error) {
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

// A list reads its whole collection, so dead letters are listed from copies without payloads and headers, in a collection of their own.

// copied is the _id of what is in that collection when it has the letters of versions that knew nothing of it.
const copied = "copied"

// copyListed copies letters that have no copies, once.
func (l *Letters) copyListed(ctx context.Context) error {
	err := l.listed.get(ctx, byID(copied), &bson.Raw{})
	if !errors.Is(err, fault.NotFound) {
		return err
	}
	ctx = context.WithoutCancel(ctx) // the next caller would have to begin anew
	for raw, err := range l.letters.scanByID(unlisted).all(ctx) {
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
