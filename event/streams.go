package event

import (
	"context"
	"errors"
	"iter"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// PageSize is how many records of a stream are read at once where all of them are needed.
const PageSize = 500

// StreamReader reads a stream; see eventlog.Reader.
type StreamReader interface {
	Read(ctx context.Context, stream string, after int64, limit int) ([]Record, error)
}

// Pages yields the records of stream with versions above after, oldest first, in pages of PageSize at most. No page is empty.
// An error ends it; it is the reader's.
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

// FoldPages folds the records of stream with versions above after into s, page by page: what it takes does not grow with
// the stream. Errors: the reader's and fold's.
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

// appendAttempts bounds how often an append goes after a stream that others write to.
const appendAttempts = 20

// AppendUntil appends what decide makes of a stream, until it is stored or decide has nothing to append: when another writer was faster, it
// folds what that has written and asks again. It returns the state that the stream tells then, with what was appended. Errors: those of
// fold, decide and the log; Unavailable when the stream keeps growing.
func AppendUntil[S any](
	ctx context.Context, log StreamAppender, stream string, s S, fold func(S, []Record) (S, error), decide func(S) (entries []Entry, err error),
) (S, error) {
	return AppendAfter(ctx, log, stream, Head{}, s, fold, decide)
}

// AppendAfter is AppendUntil for a writer who need not know what the stream has up to head. Only when a slot turns out to be taken, it folds
// the stream from its first version.
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
	return s, fault.New(fault.Unavailable, "stream %s grows faster than it can be written", stream)
}
