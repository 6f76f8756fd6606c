package mongolog

import (
	"math"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// A server that does not read in the order of an index sorts everything that a filter selects before it returns the
// newest of them, so that a page costs more with each document. There a page is put together from windows of time:
// what is in one of them is little, however many documents there are, and is sorted here.
const (
	// firstWindow is how much time the newest window of a page covers. Each further one covers windowGrowth times as
	// much, so that few are needed where documents are rare.
	firstWindow  = time.Second
	windowGrowth = 8
	// longestWindow ends that: the next window has no beginning.
	longestWindow = 10 * 365 * 24 * time.Hour
	// A window with more than crowdPages pages and crowdBase documents is cut down to a part, and from there on windows grow
	// slowly: behind a quiet night stands a busy day.
	crowdPages, crowdBase = 2, 50
	slowGrowth            = 2
)

// Span is a stretch of times, both ends included.
type Span struct{ From, To bson.DateTime }

// Always has no ends.
var Always = Span{math.MinInt64, math.MaxInt64}

// window is the part of the span that ends with to, and covers length before newest.
func (s Span) window(to, newest bson.DateTime, length time.Duration) Span {
	// The difference of two moments may be more than an int64 holds.
	if newest > s.From && uint64(newest-s.From) > uint64(length.Milliseconds()) && length <= longestWindow {
		return Span{newest - bson.DateTime(length.Milliseconds()), to}
	}
	return Span{s.From, to}
}

// Bounds says the span in the server's language; it is empty for Always.
func (s Span) Bounds() bson.D {
	bounds := bson.D{}
	if s.From != Always.From {
		bounds = append(bounds, bson.E{Key: "$gte", Value: s.From})
	}
	if s.To != Always.To {
		bounds = append(bounds, bson.E{Key: "$lte", Value: s.To})
	}
	return bounds
}

// Newest returns the newest documents of a span, as many as are wanted, on a server that SortsWhatIsIndexed. Some reads documents
// of a window in no order, newest the newest of one; order sorts the newest to the front.
func Newest[T any](within Span, now time.Time, want int, order func(a, b T) int, some, newest func(w Span, limit int) ([]T, error)) ([]T, error) {
	var docs []T
	crowd, growth, length := crowdPages*want+crowdBase, int64(windowGrowth), firstWindow
	to, top := within.To, min(within.To, bson.NewDateTimeFromTime(now))
	for within.From <= to && len(docs) < want {
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
		slices.SortFunc(found, order)
		docs = append(docs, found...)
		if w.From == within.From {
			break
		}
		to, top, length = w.From-1, w.From-1, time.Duration(int64(length)*growth)
	}
	return docs[:min(len(docs), want)], nil
}
