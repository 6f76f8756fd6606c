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

// span is a range of times, both ends inclusive.
type span struct{ from, to bson.DateTime }

// allTimes is unbounded.
var allTimes = span{math.MinInt64, math.MaxInt64}

// listing is a query of one page, newest first.
type listing struct {
	collection
	name cursor.List
	// by is the time field.
	by string
	// filter is the filter without times.
	filter bson.D
	span   span
	// after is the position before the page; paging is false for the first page.
	after  cursor.Position
	paging bool
	// projection is optional.
	projection bson.D
}

// listed is a document of a listing.
type listed interface{ position() cursor.Position }

// within selects documents from (inclusive) to (exclusive), after a cursor; zero values select all.
func (l *listing) within(from, to time.Time, text string) {
	// Rounded up to the resolution of dates: both bounds mean "not before".
	ceil := func(t time.Time) bson.DateTime { return bson.NewDateTimeFromTime(t.Add(event.TimeResolution - 1)) }
	l.span = allTimes
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

// query returns the filter for a part of the span.
func (l *listing) query(within span) bson.D {
	q := slices.Clone(l.filter)
	if at := bson.DateTime(l.after.Millis); l.paging && within.to >= at {
		// The span is almost equivalent, and bounds the index scan.
		q = append(q, bson.E{Key: "$or", Value: bson.A{
			bson.D{{Key: l.by, Value: bson.D{{Key: "$lt", Value: at}}}},
			bson.D{{Key: l.by, Value: at}, {Key: "_id", Value: bson.D{{Key: "$lt", Value: l.after.ID}}}},
		}})
	}
	bounds := bson.D{}
	if within.from != allTimes.from {
		bounds = append(bounds, bson.E{Key: "$gte", Value: within.from})
	}
	if within.to != allTimes.to {
		bounds = append(bounds, bson.E{Key: "$lte", Value: within.to})
	}
	if len(bounds) > 0 {
		q = append(q, bson.E{Key: l.by, Value: bounds})
	}
	return q
}

// anyOf adds the condition that a field has one of the values; without values it adds nothing.
func anyOf[T any](q bson.D, field string, values []T) bson.D {
	switch len(values) {
	case 0:
		return q
	case 1:
		return append(q, bson.E{Key: field, Value: values[0]})
	}
	return append(q, bson.E{Key: field, Value: bson.D{{Key: "$in", Value: values}}})
}

// newestFirst returns the keys of a list's index, which are the order of its pages.
func newestFirst(by string) bson.D { return bson.D{{Key: by, Value: -1}, {Key: "_id", Value: -1}} }

// readPage reads a page of at most limit documents; 0 is the default limit. It returns the cursor of the next page, empty after the last one.
// Errors: Unavailable.
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
	// One more document shows whether there is a next page.
	if l.db.Server == FerretDB2 {
		docs, err = readWindows(l.span, time.Now(), limit+1, read(false), read(true))
	} else {
		docs, err = read(true)(l.span, limit+1)
	}
	docs, next = cursor.Cut(l.name, docs, limit, T.position)
	return docs, next, err
}

// reader reads at most limit documents of a span.
type reader[T any] func(within span, limit int) ([]T, error)

// FerretDB 2 sorts all matching documents before it returns the newest, so that the cost of a page would grow with the collection. There a
// page is read in windows of time: each contains few documents, which are sorted here.
const (
	// firstWindow is the length of the newest window. Each further one is windowGrowth times as long, so that few are needed if
	// documents are rare.
	firstWindow  = time.Second
	windowGrowth = 8
	// longestWindow is the longest window with a start; the next one has none.
	longestWindow = 10 * 365 * 24 * time.Hour
	// A window with more than maxWindowPages pages and maxWindowBase documents is shortened, and windows then grow slowly: many
	// documents may follow a time without any.
	maxWindowPages, maxWindowBase = 2, 50
	slowGrowth                    = 2
)

// readWindows returns the newest want documents of a span. some reads documents in any order, newest the newest ones.
func readWindows[T listed](within span, now time.Time, want int, some, newest reader[T]) ([]T, error) {
	var docs []T
	maxFound, growth, length := maxWindowPages*want+maxWindowBase, int64(windowGrowth), firstWindow
	to, top := within.to, min(within.to, bson.NewDateTimeFromTime(now))
	for within.from <= to && len(docs) < want {
		w := span{within.from, to}
		// The difference of two times may exceed an int64.
		if top > w.from && uint64(top-w.from) > uint64(length.Milliseconds()) && length <= longestWindow {
			w.from = top - bson.DateTime(length.Milliseconds())
		}
		found, err := some(w, maxFound+1)
		if err == nil && len(found) > maxFound {
			if length > time.Millisecond {
				length, growth = max(min(length, longestWindow)/windowGrowth, time.Millisecond), slowGrowth
				continue
			}
			// This many documents at one time fill the page.
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
