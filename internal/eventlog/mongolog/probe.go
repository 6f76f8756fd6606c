package mongolog

import (
	"context"
	"sort"

	"golang.org/x/sync/errgroup"

	"github.com/ordersaga/ordersaga/event"
)

// Streams have no gaps, so a server that can only look up by _id answers everything about them: what is at
// version n, and is there anything at n+1?
const (
	// windowFirst and windowLast are how many versions are asked for at once, at first and at most.
	windowFirst = 2
	windowLast  = 16
)

// readProbe reads successive versions, some at once.
func (l *Log) readProbe(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error) {
	var records []event.Record
	known := l.heads.get(stream).Version
	for {
		next := after + int64(len(records)) + 1
		// As many as were found so far, or one more than is known to be there, to see that nothing follows.
		n := min(max(int64(len(records)), known-next+2, windowFirst), windowLast)
		if limit > 0 {
			n = min(n, int64(limit-len(records)))
		}
		found, err := l.window(ctx, stream, next, int(n))
		if err != nil {
			return nil, err
		}
		records = append(records, found...)
		if len(found) < int(n) || len(records) == limit {
			return records, nil
		}
	}
}

// window returns the records of versions from first on, at most n, up to the first that is not there.
func (l *Log) window(ctx context.Context, stream string, first int64, n int) ([]event.Record, error) {
	if n == 1 {
		r, ok, err := l.get(ctx, stream, first)
		if err != nil || !ok {
			return nil, err
		}
		return []event.Record{r}, nil
	}
	records := make([]event.Record, n)
	group, ctx := errgroup.WithContext(ctx)
	for i := range records {
		group.Go(func() error {
			r, ok, err := l.get(ctx, stream, first+int64(i))
			if ok {
				records[i] = r
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for i, r := range records {
		if r.Version == 0 {
			// What was found behind it was written while we looked.
			return records[:i], nil
		}
	}
	return records, nil
}

// headProbe finds the newest version: it gallops from the newest that is known until nothing is there, then
// searches between.
func (l *Log) headProbe(ctx context.Context, stream string) (event.Record, bool, error) {
	known := l.heads.get(stream).Version
	head, err := l.gallop(ctx, stream, known)
	if err != nil || head.Version > 0 || known == 0 {
		return head, head.Version > 0, err
	}
	// What is known is not there: the collection was emptied under this process.
	l.heads.Remove(stream)
	l.firsts.Remove(stream)
	head, err = l.gallop(ctx, stream, 0)
	return head, head.Version > 0, err
}

// gallop returns the newest record at or behind start; the zero Record when there is none.
func (l *Log) gallop(ctx context.Context, stream string, start int64) (event.Record, error) {
	var newest event.Record
	var failed error
	there := func(version int64) bool {
		if version == 0 || failed != nil {
			return version == 0
		}
		r, ok, err := l.get(ctx, stream, version)
		if err != nil {
			failed = err
		}
		if ok && r.Version > newest.Version {
			newest = r
		}
		return ok
	}
	if !there(start) || failed != nil {
		return event.Record{}, failed
	}
	low, step := start, int64(1)
	for there(low + step) {
		low += step
		step *= 2
	}
	// low is there, low+step is not.
	sort.Search(int(step-1), func(i int) bool { return !there(low + int64(i) + 1) })
	return newest, failed
}
