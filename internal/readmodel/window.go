package readmodel

import (
	"context"
	"iter"
	"math"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/internal/eventlog/mongolog"
)

// A server that does not read in the order of an index sorts everything that a filter selects before it returns the
// newest of them, so that a page costs more with each order. There a page is put together from windows of creation time:
// what one of them selects is little, however many orders there are.
const (
	// firstWindow is how much time the newest window of a page covers. Each further one covers windowGrowth times as
	// much: few are needed where orders are rare, and what is sorted in vain stays a small multiple of a page.
	firstWindow  = time.Second
	windowGrowth = 8
	// longestWindow ends that: the next window has no beginning.
	longestWindow = 10 * 365 * 24 * time.Hour
)

// span is a stretch of creation times, both ends included.
type span struct{ from, to bson.DateTime }

// always has no ends.
var always = span{math.MinInt64, math.MaxInt64}

// windows cuts the span into windows, newest first.
func (s span) windows(now time.Time) iter.Seq[span] {
	return func(yield func(span) bool) {
		to, newest := s.to, min(s.to, bson.NewDateTimeFromTime(now))
		for length := firstWindow; s.from <= to; length *= windowGrowth {
			from := s.from
			// The difference of two moments may be more than an int64 holds.
			if newest > s.from && uint64(newest-s.from) > uint64(length.Milliseconds()) && length <= longestWindow {
				from = newest - bson.DateTime(length.Milliseconds())
			}
			if !yield(span{from, to}) || from == s.from {
				return
			}
			to, newest = from-1, from-1
		}
	}
}

// bounds says the span in the server's language; it is empty for always.
func (s span) bounds() bson.D {
	bounds := bson.D{}
	if s.from != always.from {
		bounds = append(bounds, bson.E{Key: "$gte", Value: s.from})
	}
	if s.to != always.to {
		bounds = append(bounds, bson.E{Key: "$lte", Value: s.to})
	}
	return bounds
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
