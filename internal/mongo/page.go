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
	"github.com/ordersaga/ordersaga/internal/cursor"
)

// span is a stretch of times, both ends included.
type span struct{ from, to bson.DateTime }

// always has no ends.
var always = span{math.MinInt64, math.MaxInt64}

// listing is a list of which a page is read, newest first.
type listing struct {
	collection
	name cursor.List
	// by is the field of the times.
	by string
	// filter is the filter but for times.
	filter bson.D
	span   span
	// after is where the page begins, when it is not the first one.
	after  cursor.Position
	paging bool
	// projection is what is read; nil is everything.
	projection bson.D
}

// listed is a document of a list.
type listed interface{ position() cursor.Position }

// within selects the documents of a time, from is inclusive, to exclusive, behind a cursor; zero values select all.
func (l *listing) within(from, to time.Time, text string) {
	// Rounded up to the resolution of dates: both bounds mean "not before".
	ceil := func(t time.Time) bson.DateTime { return bson.NewDateTimeFromTime(t.Add(event.TimeResolution - 1)) }
	l.span = always
	if !from.IsZero() {
		l.span.from = ceil(from)
	}
	if !to.IsZero() {
		l.span.to = ceil(to) - 1
	}
	if l.after, l.paging = l.name.Parse(text); l.paging {
		l.span.to = min(l.span.to, bson.DateTime(l.after.Millis))
	}
}

// query selects a part of the list's span.
func (l *listing) query(within span) bson.D {
	q := slices.Clone(l.filter)
	if at := bson.DateTime(l.after.Millis); l.paging && within.to >= at {
		// The span says almost the same, and bounds the scan of the index.
		q = append(q, bson.E{Key: "$or", Value: bson.A{
			bson.D{{Key: l.by, Value: bson.D{{Key: "$lt", Value: at}}}},
			bson.D{{Key: l.by, Value: at}, {Key: "_id", Value: bson.D{{Key: "$lt", Value: l.after.ID}}}},
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

// readPage reads a page of at most limit documents; 0 is the default. It returns the cursor of the next page, empty after the last
// one. Errors: Unavailable.
func readPage[T listed](ctx context.Context, l *listing, limit int) (docs []T, next string, err error) {
	limit = cmp.Or(limit, cursor.DefaultLimit)
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
	// One more, to see that others follow.
	if l.db.Server == FerretDB2 {
		docs, err = readWindows(l.span, time.Now(), limit+1, read(false), read(true))
	} else {
		docs, err = read(true)(l.span, limit+1)
	}
	docs, next = cursor.Cut(l.name, docs, limit, T.position)
	return docs, next, err
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
func readWindows[T listed](within span, now time.Time, want int, some, newest reader[T]) ([]T, error) {
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
		slices.SortFunc(found, func(a, b T) int { return cursor.Compare(a.position(), b.position()) })
		docs = append(docs, found...)
		if w.from == within.from {
			break
		}
		to, top, length = w.from-1, w.from-1, time.Duration(int64(length)*growth)
	}
	return docs[:min(len(docs), want)], nil
}
