package readmodel

import (
	"cmp"
	"context"
	"time"

	"github.com/ordersaga/ordersaga/internal/eventlog/mongolog"
)

// span is a stretch of creation times, both ends included.
type span = mongolog.Span

// always has no ends.
var always = mongolog.Always

// gather returns the newest documents of a span, as many as are wanted; see mongolog.Newest.
func gather(within span, now time.Time, want int, some, newest func(w span, limit int) ([]document, error)) ([]document, error) {
	return mongolog.Newest(within, now, want, newerFirst, some, newest)
}

// newerFirst is the order of the list.
func newerFirst(a, b document) int {
	return cmp.Or(cmp.Compare(b.CreatedAt, a.CreatedAt), cmp.Compare(b.ID, a.ID))
}

// what a Store knows about its server.
const (
	orderUnknown = iota
	orderedByIndex
	orderedBySorting
)

// sorts reports whether the server sorts what it could read in the order of an index.
func (s *Store) sorts(ctx context.Context) (bool, error) {
	if known := s.ordered.Load(); known != orderUnknown {
		return known == orderedBySorting, nil
	}
	sorts, err := mongolog.SortsWhatIsIndexed(ctx, s.orders.Database())
	if err != nil {
		return false, err
	}
	known := int32(orderedByIndex)
	if sorts {
		known = orderedBySorting
	}
	s.ordered.Store(known)
	return sorts, nil
}
