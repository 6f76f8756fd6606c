package readmodel

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ordersaga/ordersaga/internal/eventlog/mongolog"
)

// A server that does not read in the order of an index sorts everything that a filter selects before it returns the
// newest of them, so that a page costs more with each order. There a page is put together from windows of creation time:
// what is in one of them is little, however many orders there are, and is sorted here.
const (
	// firstWindow is how much time the newest window of a page covers. Each further one covers windowGrowth times as
	// much, so that few are needed where orders are rare.
	firstWindow  = time.Second
	windowGrowth = 8
	// longestWindow ends that: the next window has no beginning.
	longestWindow = 10 * 365 * 24 * time.Hour
	// A window with more than crowdPages pages and crowdBase orders is cut down to a part, and from there on windows grow
	// slowly: behind a quiet night stands a busy day.
	crowdPages, crowdBase = 2, 50
	slowGrowth            = 2
)

// span is a stretch of creation times, both ends included.
type span struct{ from, to bson.DateTime }

// always has no ends.
var always = span{math.MinInt64, math.MaxInt64}

// window is the part of the span that ends with to, and covers length before newest.
func (s span) window(to, newest bson.DateTime, length time.Duration) span {
	// The difference of two moments may be more than an int64 holds.
	if newest > s.from && uint64(newest-s.from) > uint64(length.Milliseconds()) && length <= longestWindow {
		return span{newest - bson.DateTime(length.Milliseconds()), to}
	}
	return span{s.from, to}
}

// gather returns the newest documents of a span, as many as are wanted. Some reads documents of a window in no order,
// newest the newest of one.
func gather(within span, now time.Time, want int, some, newest func(w span, limit int) ([]document, error)) ([]document, error) {
	var docs []document
	crowd, growth, length := crowdPages*want+crowdBase, int64(windowGrowth), firstWindow
	to, top := within.to, min(within.to, bson.NewDateTimeFromTime(now))
	for within.from <= to && len(docs) < want {
		w := within.window(to, top, length)
		found, err := some(w, crowd+1)
		if err == nil && len(found) > crowd {
			if length > time.Millisecond {
				length, growth = max(min(length, longestWindow)/windowGrowth, time.Millisecond), slowGrowth
				continue
			}
			// So many in one moment. They fill the page.
			found, err = newest(w, want-len(docs))
		}
		if err != nil {
			return nil, err
		}
		slices.SortFunc(found, newerFirst)
		docs = append(docs, found...)
		if w.from == within.from {
			break
		}
		to, top, length = w.from-1, w.from-1, time.Duration(int64(length)*growth)
	}
	return docs[:min(len(docs), want)], nil
}

// newerFirst is the order of the list.
func newerFirst(a, b document) int {
	return cmp.Or(cmp.Compare(b.CreatedAt, a.CreatedAt), cmp.Compare(b.ID, a.ID))
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
