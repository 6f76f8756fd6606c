package mongoletters

import (
	"cmp"
	"context"
	"encoding/json"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/cursor"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/eventlog/mongolog"
	"github.com/ordersaga/ordersaga/internal/wire"
)

// message reads properties and headers.
func (d document) message() (wire.Message, error) {
	var p properties
	if err := json.Unmarshal([]byte(d.Properties), &p); err != nil {
		return wire.Message{}, err
	}
	m := p.message()
	var err error
	m.Headers, err = decodeHeaders(d.Headers)
	return m, err
}

// List implements deadletter.Store.
func (s *Store) List(ctx context.Context, f deadletter.Filter) ([]deadletter.Letter, string, error) {
	if err := f.Validate(); err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	limit := cmp.Or(f.Limit, cursor.DefaultLimit)
	docs, err := s.page(ctx, f, limit+1)
	if err != nil {
		return nil, "", err
	}
	docs, next := cursor.Cut(cursor.DeadLetters, docs, limit, func(d document) cursor.Position {
		return cursor.Position{Millis: int64(d.FailedAt), ID: d.ID}
	})
	items := make([]deadletter.Letter, len(docs))
	for i, d := range docs {
		items[i] = d.letter()
		if items[i].Message, err = d.message(); err != nil {
			// One that cannot be read is shown with what can be.
			items[i].Message = wire.Message{Exchange: d.Exchange, RoutingKey: d.RoutingKey}
		}
		items[i].Derive()
	}
	return items, next, nil
}

// page reads the letters that failed last, at most so many.
func (s *Store) page(ctx context.Context, f deadletter.Filter, want int) ([]document, error) {
	sorts, err := s.sorts(ctx)
	if err != nil {
		return nil, err
	}
	// Counting them would read the whole collection, too.
	ferretDB1, err := s.isFerretDB1(ctx)
	if err != nil {
		return nil, err
	}
	if ferretDB1 {
		if docs, many, err := s.pageOfTable(ctx, f, want); err != nil || many {
			return docs, err
		}
	}
	newest := func(within mongolog.Span, limit int) ([]document, error) {
		return s.read(ctx, query(f, within), limit, options.Find().SetSort(bson.D{{Key: "failedAt", Value: -1}, {Key: "_id", Value: -1}}))
	}
	if !sorts {
		return newest(span(f), want)
	}
	some := func(within mongolog.Span, limit int) ([]document, error) {
		return s.read(ctx, query(f, within), limit, options.Find())
	}
	return mongolog.Newest(span(f), time.Now(), want, failedLast, some, newest)
}

// sorts asks the server once whether it sorts what it could read in the order of an index.
func (s *Store) sorts(ctx context.Context) (bool, error) {
	if known := s.sorting.Load(); known != nil {
		return *known, nil
	}
	sorts, err := mongolog.SortsWhatIsIndexed(ctx, s.letters.Database())
	if err == nil {
		s.sorting.Store(&sorts)
	}
	return sorts, err
}

// failedLast is the order of lists.
func failedLast(a, b document) int {
	return cmp.Or(cmp.Compare(b.FailedAt, a.FailedAt), cmp.Compare(b.ID, a.ID))
}

// read reads letters without their payloads and headers.
func (s *Store) read(ctx context.Context, q bson.D, limit int, o *options.FindOptionsBuilder) ([]document, error) {
	found, err := s.letters.Find(ctx, q, o.SetLimit(int64(limit)).SetBatchSize(int32(limit)).
		SetProjection(bson.D{{Key: "body", Value: 0}, {Key: "headers", Value: 0}}))
	if err != nil {
		return nil, unavailable(ctx, err, "list dead letters")
	}
	var docs []document
	if err := found.All(ctx, &docs); err != nil {
		return nil, unavailable(ctx, err, "list dead letters")
	}
	return docs, nil
}

// span is the time that the filter selects, behind its cursor.
func span(f deadletter.Filter) mongolog.Span {
	within := mongolog.Always
	if !f.From.IsZero() {
		within.From = ceil(f.From)
	}
	if !f.To.IsZero() {
		within.To = ceil(f.To) - 1
	}
	if after, paging := cursor.DeadLetters.Parse(f.Cursor); paging {
		within.To = min(within.To, bson.DateTime(after.Millis))
	}
	return within
}

// query is the filter in the server's language, for a part of its span.
func query(f deadletter.Filter, within mongolog.Span) bson.D {
	q := bson.D{{Key: "kind", Value: kindLetter}}
	q = appendAny(q, "status", f.Statuses)
	q = appendAny(q, "reason", f.Reasons)
	q = appendAny(q, "type", f.Types)
	if after, paging := cursor.DeadLetters.Parse(f.Cursor); paging && within.To >= bson.DateTime(after.Millis) {
		at := bson.DateTime(after.Millis)
		q = append(q, bson.E{Key: "$or", Value: bson.A{
			bson.D{{Key: "failedAt", Value: bson.D{{Key: "$lt", Value: at}}}},
			bson.D{{Key: "failedAt", Value: at}, {Key: "_id", Value: bson.D{{Key: "$lt", Value: after.ID}}}},
		}})
	}
	if bounds := within.Bounds(); len(bounds) > 0 {
		q = append(q, bson.E{Key: "failedAt", Value: bounds})
	}
	return q
}

// appendAny selects documents that have one of the values.
func appendAny[T ~string](q bson.D, field string, values []T) bson.D {
	if len(values) == 0 {
		return q
	}
	texts := make(bson.A, len(values))
	for i, v := range values {
		texts[i] = string(v)
	}
	return append(q, bson.E{Key: field, Value: bson.D{{Key: "$in", Value: texts}}})
}

// ceil rounds up to the resolution of dates: both bounds mean "not before".
func ceil(t time.Time) bson.DateTime {
	return bson.NewDateTimeFromTime(t.Add(event.TimeResolution - 1))
}
