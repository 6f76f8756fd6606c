package readmodel

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"math"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
)

const (
	// rebuildWorkers is how many streams are read at once.
	rebuildWorkers = 4
	// maxFailures bounds how many damaged streams a rebuild names.
	maxFailures = 100
	// AnyVersion lets Replace replace what exists, whatever its version, also when it cannot be read.
	AnyVersion = math.MaxInt64
)

// Projection says what the entries of a list are made from.
type Projection struct {
	// Stream names the stream of an order that its entry is made from.
	Stream func(orderID string) string
	// Prefix begins the names of the streams; by default it is Stream of "". Entries of other streams are left alone.
	Prefix string
	// Fold makes the entry out of that stream; listed is false when the stream has none.
	Fold func(records []event.Record) (o Order, listed bool, err error)
}

// Store keeps the entries of a list. It may be used by any number of goroutines and processes at once. Errors: Unavailable.
type Store interface {
	// Get returns the entry of an order. One that cannot be read comes as its id alone, with version 0.
	Get(ctx context.Context, id string) (o Order, found bool, err error)
	// Replace writes an entry, unless one of a version above most exists, and reports whether it wrote.
	Replace(ctx context.Context, o Order, most int64) (wrote bool, err error)
	// All yields every entry, in the order of the bytes of the ids; one that cannot be read as Get returns it. Entries that are
	// written meanwhile may be missing. An error ends it.
	All(ctx context.Context) iter.Seq2[Order, error]
	// Remove removes the entry of an order, and reports whether there was one.
	Remove(ctx context.Context, id string) (bool, error)
}

// Source is the log that a list is made from.
type Source interface {
	eventlog.Reader
	eventlog.Lister
}

// Failure is a stream that could not be folded.
type Failure struct {
	Stream string
	Err    error
}

// Rebuilt says what a rebuild did.
type Rebuilt struct {
	// Streams is the number of order streams in the log.
	Streams int
	// Written is the number of entries written; the others were newer, written meanwhile by a saga.
	Written int
	// Removed is the number of entries that had no stream.
	Removed int
	// Failed is the number of streams that do not verify or cannot be folded; their entries are left alone.
	Failed int
	// Failures names the first of them.
	Failures []Failure
}

func (p Projection) prefix() string { return cmp.Or(p.Prefix, p.Stream("")) }

// Rebuild rebuilds a list from the log, while sagas run: it verifies and folds every order's stream,
// writes its entry, and removes the entries that have no stream. Progress, if not nil, is called after each
// stream with their number so far, by one goroutine at a time. The result is valid with an error too: it says how
// far it got. Errors: Unavailable; damaged streams are in the result and do not end it.
func (p Projection) Rebuild(ctx context.Context, store Store, source Source, progress func(done int)) (Rebuilt, error) {
	r := rebuild{Projection: p, store: store, source: source, progress: progress}
	if err := r.writeAll(ctx); err != nil {
		return r.result, err
	}
	err := r.removeOrphans(ctx)
	return r.result, err
}

// RebuildEntry rebuilds the entry of one order from the log, as Rebuild does, whatever exists: it writes it, or
// removes it when the order has no stream. Errors: Unavailable; Corrupt and Malformed when the stream does not verify or
// cannot be folded, and then nothing is changed.
func (p Projection) RebuildEntry(ctx context.Context, store Store, source Source, id string) error {
	r := rebuild{Projection: p, store: store, source: source}
	exists, err := r.exists(ctx, p.Stream(id))
	switch {
	case err != nil:
	case exists:
		_, err = r.write(ctx, p.Stream(id))
	default:
		_, err = store.Remove(ctx, id)
	}
	return fault.Wrap(err, fault.CodeOf(err), "repair list entry of order %s", id)
}

type rebuild struct {
	Projection
	store    Store
	source   Source
	progress func(done int)

	mu     sync.Mutex
	result Rebuilt
}

// writeAll writes the entry of every stream.
func (r *rebuild) writeAll(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(rebuildWorkers)
	for stream, err := range r.source.Streams(ctx, r.prefix(), "") {
		if err != nil {
			// A worker that failed has ended the context; its error is the cause.
			if failed := group.Wait(); failed != nil {
				return failed
			}
			return err
		}
		group.Go(func() error { return r.rebuild(ctx, stream) })
	}
	return group.Wait()
}

// rebuild rebuilds the entry of one order.
func (r *rebuild) rebuild(ctx context.Context, stream string) error {
	wrote, err := r.write(ctx, stream)
	// A record that stays missing is damage of this stream alone.
	if errors.Is(err, fault.Unavailable) && !errors.Is(err, fault.ErrMissing) {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result.Streams++
	if wrote {
		r.result.Written++
	}
	if err != nil {
		r.result.Failed++
		if len(r.result.Failures) < maxFailures {
			r.result.Failures = append(r.result.Failures, Failure{Stream: stream, Err: err})
		}
	}
	if r.progress != nil {
		r.progress(r.result.Streams)
	}
	return nil
}

// write reports whether it wrote. An entry of the same version is replaced, too: the fold may have learnt something; so is one that
// cannot be read, and one of a version that the log has never had.
func (r *rebuild) write(ctx context.Context, stream string) (bool, error) {
	o, listed, err := r.fold(ctx, stream)
	if err != nil || !listed {
		return false, err
	}
	wrote, err := r.store.Replace(ctx, o, o.Version)
	if err != nil || wrote {
		return wrote, err
	}
	stored, found, err := r.store.Get(ctx, o.ID)
	if err != nil {
		return false, err
	}
	// The saga may have gone on since, or the log was restored to an earlier time.
	if o, listed, err = r.fold(ctx, stream); err != nil || !listed {
		return false, err
	}
	most := o.Version
	if found && (stored.Version == 0 || stored.Version > o.Version) {
		most = AnyVersion
	}
	return r.store.Replace(ctx, o, most)
}

// fold reads a stream, verifies it and folds it. It reports whether the stream has an entry.
func (r *rebuild) fold(ctx context.Context, stream string) (o Order, listed bool, err error) {
	records, err := r.source.Read(ctx, stream, 0, 0)
	if err == nil && len(records) == 0 {
		// It was listed, or found by its head.
		if records, err = eventlog.ReadCertain(ctx, r.source, stream, 0, 0); err == nil && len(records) == 0 {
			err = fault.Missing("stream %s was not found", stream)
		}
	}
	if err == nil {
		err = eventlog.Verify(stream, event.Head{}, records)
	}
	if err != nil {
		return Order{}, false, err
	}
	o, listed, err = r.Fold(records)
	if err == nil && (o.Version == 0 || r.Stream(o.ID) != stream) {
		err = fault.New(fault.Corrupt, "stream %s contains order %q", stream, o.ID)
	}
	return o, listed && err == nil, err
}

// removeOrphans removes the entries that have no stream. It walks both lists side by side, in the order of
// their bytes; what is on one list only is looked up once more before it goes, because it may be younger than
// the other list. A store that sorts otherwise costs look-ups, not entries.
func (r *rebuild) removeOrphans(ctx context.Context) error {
	nextStream, stop := iter.Pull2(r.source.Streams(ctx, r.prefix(), ""))
	defer stop()
	name, err, more := nextStream()
	for o, failed := range r.store.All(ctx) {
		if failed != nil {
			return failed
		}
		stream := r.Stream(o.ID)
		if !strings.HasPrefix(stream, r.prefix()) {
			continue
		}
		for more && err == nil && name < stream {
			name, err, more = nextStream()
		}
		if err != nil {
			return err
		}
		if more && name == stream {
			continue
		}
		exists, err := r.exists(ctx, stream)
		if err != nil {
			return err
		}
		if exists {
			continue
		}
		removed, err := r.store.Remove(ctx, o.ID)
		if err != nil {
			return err
		}
		if removed {
			r.result.Removed++
		}
	}
	return nil
}

// exists reports whether a stream exists. An entry is removed when there is none, so a read that may miss what was
// acknowledged is not enough.
func (r *rebuild) exists(ctx context.Context, stream string) (bool, error) {
	if _, found, err := r.source.Head(ctx, stream); err != nil || found {
		return found, err
	}
	records, err := eventlog.ReadCertain(ctx, r.source, stream, 0, 1)
	if errors.Is(err, fault.ErrMissing) {
		// It has no beginning, but it is there.
		return true, nil
	}
	return len(records) > 0, err
}
