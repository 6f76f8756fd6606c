package event

import (
	"context"
	"iter"
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
