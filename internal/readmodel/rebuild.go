package readmodel

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/order"
)

const (
	// rebuildWorkers is how many streams are read at once.
	rebuildWorkers = 4
	// maxFailures bounds how many damaged streams a rebuild names.
	maxFailures = 100
)

// Source is the log that a rebuild reads.
type Source interface {
	eventlog.Reader
	eventlog.Lister
}

// exists reports whether a stream exists. A document is removed when there is none, so a read that may miss what was
// acknowledged is not enough.
func exists(ctx context.Context, source Source, stream string) (bool, error) {
	if _, found, err := source.Head(ctx, stream); err != nil || found {
		return found, err
	}
	records, err := eventlog.ReadCertain(ctx, source, stream, 0, 1)
	if errors.Is(err, fault.ErrMissing) {
		// It has no beginning, but it is there.
		return true, nil
	}
	return len(records) > 0, err
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
	// Written is the number of documents written; the others were newer, written meanwhile by a saga.
	Written int
	// Removed is the number of documents that had no stream.
	Removed int
	// Failed is the number of streams that do not verify or cannot be folded; their documents are left alone.
	Failed int
	// Failures names the first of them.
	Failures []Failure
}

// Rebuild makes the read model anew from the log, while sagas run: it verifies and folds every order's stream,
// writes its document, and removes the documents that have no stream. Progress, if not nil, is called after each
// stream with their number so far, by one goroutine at a time. The result is valid with an error too: it says how
// far it got. Errors: Unavailable; damaged streams are in the result and do not end it.
func (s *Store) Rebuild(ctx context.Context, source Source, progress func(done int)) (Rebuilt, error) {
	r := rebuild{store: s, source: source, progress: progress}
	if err := r.writeAll(ctx); err != nil {
		return r.result, err
	}
	err := r.removeStrays(ctx)
	return r.result, err
}

type rebuild struct {
	store    *Store
	source   Source
	progress func(done int)

	mu     sync.Mutex
	result Rebuilt
}

// writeAll writes the document of every stream.
func (r *rebuild) writeAll(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(rebuildWorkers)
	for stream, err := range r.source.Streams(ctx, r.store.stream(""), "") {
		if err != nil {
			// A worker that failed has ended the context; its error is the cause.
			if failed := group.Wait(); failed != nil {
				return failed
			}
			return err
		}
		group.Go(func() error { return r.stream(ctx, stream) })
	}
	return group.Wait()
}

// stream rebuilds the document of one order.
func (r *rebuild) stream(ctx context.Context, stream string) error {
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

// write reports whether it wrote. A stored version that the log has never had is replaced, too.
func (r *rebuild) write(ctx context.Context, stream string) (bool, error) {
	o, listed, err := r.fold(ctx, stream)
	if err != nil || !listed {
		return false, err
	}
	wrote, err := r.store.put(ctx, o, olderOrSame)
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
	if found && stored.Version > o.Version {
		return r.store.put(ctx, o, anyVersion)
	}
	return r.store.put(ctx, o, olderOrSame)
}

// fold reads a stream, verifies it and folds it. It reports whether the stream has a document.
func (r *rebuild) fold(ctx context.Context, stream string) (o Order, listed bool, err error) {
	records, err := r.source.Read(ctx, stream, 0, 0)
	if err == nil && len(records) == 0 {
		// It was listed, or found by its head.
		if records, err = eventlog.ReadCertain(ctx, r.source, stream, 0, 0); err == nil && len(records) == 0 {
			err = fault.Missing("stream %s was not found", stream)
		}
	}
	if err != nil {
		return Order{}, false, err
	}
	if err := eventlog.Verify(stream, event.Head{}, records); err != nil {
		return Order{}, false, err
	}
	o, listed, err = r.store.fold(records)
	if err == nil && (o.Version == 0 || r.store.stream(o.ID) != stream) {
		err = fault.New(fault.Corrupt, "stream %s tells of order %q", stream, o.ID)
	}
	return o, listed && err == nil, err
}

// foldOrder makes the document of an order out of its stream.
func foldOrder(records []event.Record) (Order, bool, error) {
	state, err := order.Fold(records)
	return FromState(state), true, err
}
