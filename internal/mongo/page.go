package mongo

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ordersaga/ordersaga/event"
)

// span is a stretch of times, both ends included.
type span struct{ from, to bson.DateTime }

// always has no ends.
var always = span{math.MinInt64, math.MaxInt64}

// position is a place in a list, after the document of that time and _id.
type position struct {
	at bson.DateTime
	id string
}

// before is the order of lists: newest first.
func (p position) before(other position) int {
	return cmp.Or(cmp.Compare(other.at, p.at), cmp.Compare(other.id, p.id))
}

// listing is a page of a list, newest first.
type listing struct {
	collection
	// by is the field of the times.
	by string
	// filter is the filter but for times.
	filter bson.D
	span   span
	// after is where the page begins; nil for the first page.
	after *position
	// projection is what is read; nil is everything.
	projection bson.D
}

// within bounds a list by time: from is inclusive, to exclusive; the zero time is no bound.
func (l *listing) within(from, to time.Time) {
	// Rounded up to the resolution of dates: both bounds mean "not before".
	ceil := func(t time.Time) bson.DateTime { return bson.NewDateTimeFromTime(t.Add(event.TimeResolution - 1)) }
	l.span = always
	if !from.IsZero() {
		l.span.from = ceil(from)
	}
	if !to.IsZero() {
		l.span.to = ceil(to) - 1
	}
	if l.after != nil {
		l.span.to = min(l.span.to, l.after.at)
	}
}

// query selects a part of the list's span.
func (l *listing) query(within span) bson.D {
	q := slices.Clone(l.filter)
	if l.after != nil && within.to >= l.after.at {
		// The span says almost the same, and bounds the scan of the index.
		q = append(q, bson.E{Key: "$or", Value: bson.A{
			bson.D{{Key: l.by, Value: bson.D{{Key: "$lt", Value: l.after.at}}}},
			bson.D{{Key: l.by, Value: l.after.at}, {Key: "_id", Value: bson.D{{Key: "$lt", Value: l.after.id}}}},
		}})
	}
	bounds := bson.D{}
	if within.from != always.from {
		bounds = append(bounds, bson.E{Key: "$gte", Value: within.from})
	}
	if within.to != always.to {
		bounds = append(bounds, bson.E{Key: "$lte", Value: within.to})
	}
	if len(bounds) > 0 {
		q = append(q, bson.E{Key: l.by, Value: bounds})
	}
	return q
}

// anyOf appends that a field has one of the values; none mean any.
func anyOf[T any](q bson.D, field string, values []T) bson.D {
	switch len(values) {
	case 0:
		return q
	case 1:
		return append(q, bson.E{Key: field, Value: values[0]})
	}
	return append(q, bson.E{Key: field, Value: bson.D{{Key: "$in", Value: values}}})
}

// newestFirst is the key of a list's index, and the order of its pages.
func newestFirst(by string) bson.D { return bson.D{{Key: by, Value: -1}, {Key: "_id", Value: -1}} }

// readPage reads a page of at most want documents. Errors: Unavailable.
func readPage[T interface{ position() position }](ctx context.Context, l *listing, want int) ([]T, error) {
	read := func(sorted bool) reader[T] {
		return func(within span, limit int) ([]T, error) {
			o := options.Find().SetLimit(int64(limit)).SetBatchSize(int32(limit))
			if sorted {
				o.SetSort(newestFirst(l.by))
			}
			if l.projection != nil {
				o.SetProjection(l.projection)
			}
			return find[T](ctx, l.collection, l.query(within), o, "list %s", l.Name())
		}
	}
	if l.db.Server != FerretDB2 {
		return read(true)(l.span, want)
	}
	return readWindows(l.span, time.Now(), want, read(false), read(true))
}

// reader reads documents of a span, at most as many as limit says.
type reader[T any] func(within span, limit int) ([]T, error)

// FerretDB 2 sorts everything that a filter selects before it returns the newest of them, so that a page costs more with each
// document. There a page is put together from windows of time: what is in one of them is little, however many documents there
// are, and is sorted here.
const (
	// firstWindow is how much time the newest window of a page covers. Each further one covers windowGrowth times as
	// much, so that few are needed where documents are rare.
	firstWindow  = time.Second
	windowGrowth = 8
	// longestWindow ends that: the next window has no beginning.
	longestWindow = 10 * 365 * 24 * time.Hour
	// A window with more than crowdPages pages and crowdBase documents is cut down to a part, and from there on windows grow
	// slowly: behind a quiet night comes a busy day.
	crowdPages, crowdBase = 2, 50
	slowGrowth            = 2
)

// readWindows returns the newest documents of a span, as many as are wanted. Some reads documents in no order, newest the newest.
func readWindows[T interface{ position() position }](within span, now time.Time, want int, some, newest reader[T]) ([]T, error) {
	var docs []T
	crowd, growth, length := crowdPages*want+crowdBase, int64(windowGrowth), firstWindow
	to, top := within.to, min(within.to, bson.NewDateTimeFromTime(now))
	for within.from <= to && len(docs) < want {
		w := span{within.from, to}
		// The difference of two moments may be more than an int64 holds.
		if top > w.from && uint64(top-w.from) > uint64(length.Milliseconds()) && length <= longestWindow {
			w.from = top - bson.DateTime(length.Milliseconds())
		}
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
		slices.SortFunc(found, func(a, b T) int { return a.position().before(b.position()) })
		docs = append(docs, found...)
		if w.from == within.from {
			break
		}
		to, top, length = w.from-1, w.from-1, time.Duration(int64(length)*growth)
	}
	return docs[:min(len(docs), want)], nil
}
