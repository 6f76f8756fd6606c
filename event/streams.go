package event

import (
	"context"
	"errors"
	"iter"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// PageSize is the number of records per read where a whole stream is needed.
const PageSize = 500

// StreamReader reads a stream; see eventlog.Reader.
type StreamReader interface {
	Read(ctx context.Context, stream string, after int64, limit int) ([]Record, error)
}

// Pages yields the records of stream with versions greater than after, oldest first, in non-empty pages of at most PageSize. An error of the
// reader ends the iteration.
func Pages(ctx context.Context, r StreamReader, stream string, after int64) iter.Seq2[[]Record, error] {
	return func(yield func([]Record, error) bool) {
		for {
			page, err := r.Read(ctx, stream, after, PageSize)
			if err != nil {
				yield(nil, err)
				return
			}
			if len(page) == 0 || !yield(page, nil) || len(page) < PageSize {
				return
			}
			after = page[len(page)-1].Version
		}
	}
}

// FoldPages folds the records of stream with versions greater than after into s, page by page, with bounded memory. Errors: the reader's and
// fold's.
func FoldPages[S any](ctx context.Context, r StreamReader, stream string, after int64, s S, fold func(S, []Record) (S, error)) (S, error) {
	for page, err := range Pages(ctx, r, stream, after) {
		if err != nil {
			return s, err
		}
		if s, err = fold(s, page); err != nil {
			return s, err
		}
	}
	return s, nil
}

// StreamAppender reads streams and appends to them; see eventlog.Log.
type StreamAppender interface {
	StreamReader
	Append(ctx context.Context, stream string, head Head, entries []Entry) (Head, []Record, error)
}

// appendAttempts bounds the attempts of an append that loses races.
const appendAttempts = 20

// AppendUntil appends the entries that decide returns, until they are stored or decide returns none: after a lost race it folds the other writer's
// records and calls decide again. It returns the state after the append. Errors: those of fold, decide and the log; Unavailable after too many
// lost races.
func AppendUntil[S any](
	ctx context.Context, log StreamAppender, stream string, s S, fold func(S, []Record) (S, error), decide func(S) (entries []Entry, err error),
) (S, error) {
	return AppendAfter(ctx, log, stream, Head{}, s, fold, decide)
}

// AppendAfter is AppendUntil for a writer that does not need the records up to head. Only if a slot is taken, it folds the stream from the
// beginning.
func AppendAfter[S any](
	ctx context.Context, log StreamAppender, stream string, head Head, s S, fold func(S, []Record) (S, error), decide func(S) (entries []Entry, err error),
) (S, error) {
	after := head
	take := func(s S, page []Record) (S, error) {
		if len(page) > 0 {
			head = page[len(page)-1].HeadOf()
		}
		return fold(s, page)
	}
	for attempt := range appendAttempts {
		var err error
		if attempt > 0 || after.Version == 0 {
			if s, err = FoldPages(ctx, log, stream, head.Version, s, take); err != nil {
				return s, err
			}
		}
		entries, err := decide(s)
		if err != nil || len(entries) == 0 {
			return s, err
		}
		_, tail, err := log.Append(ctx, stream, head, entries)
		switch {
		case err == nil:
			return take(s, tail)
		case errors.Is(err, fault.KeyTaken) && after.Version > 0:
			head, after = Head{}, Head{}
		case !errors.Is(err, fault.Concurrency) && !errors.Is(err, fault.KeyTaken):
			return s, err
		}
	}
	return s, fault.New(fault.Unavailable, "stream %s has too many concurrent writers", stream)
}
