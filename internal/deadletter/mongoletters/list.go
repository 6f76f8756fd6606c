package mongoletters

import (
	"cmp"
	"context"
	"encoding/json"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/event"
	"github.com/ordersaga/ordersaga/internal/event/wire"
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
func (s *Store) List(ctx context.Context, f deadletter.Filter) ([]deadletter.Summary, string, error) {
	if err := f.Validate(); err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	limit := cmp.Or(f.Limit, deadletter.DefaultLimit)
	cursor, err := s.letters.Find(ctx, query(f), options.Find().SetLimit(int64(limit)+1).
		SetSort(bson.D{{Key: "failedAt", Value: -1}, {Key: "_id", Value: -1}}).
		SetProjection(bson.D{{Key: "body", Value: 0}, {Key: "headers", Value: 0}}))
	if err != nil {
		return nil, "", unavailable(ctx, err, "list dead letters")
	}
	var docs []document
	if err := cursor.All(ctx, &docs); err != nil {
		return nil, "", unavailable(ctx, err, "list dead letters")
	}
	next := ""
	if len(docs) > limit {
		docs = docs[:limit]
		next = deadletter.PositionOf(docs[limit-1].summary().Letter).String()
	}
	items := make([]deadletter.Summary, len(docs))
	for i, d := range docs {
		items[i] = d.summary()
		if items[i].Message, err = d.message(); err != nil {
			// One that cannot be read is shown with what can be.
			items[i].Message = wire.Message{Exchange: d.Exchange, RoutingKey: d.RoutingKey}
		}
	}
	return items, next, nil
}

// query is the filter in the server's language.
func query(f deadletter.Filter) bson.D {
	q := bson.D{{Key: "kind", Value: kindLetter}}
	q = appendAny(q, "status", f.Statuses)
	q = appendAny(q, "reason", f.Reasons)
	q = appendAny(q, "type", f.Types)
	bounds := bson.D{}
	if !f.From.IsZero() {
		bounds = append(bounds, bson.E{Key: "$gte", Value: ceil(f.From)})
	}
	if !f.To.IsZero() {
		bounds = append(bounds, bson.E{Key: "$lt", Value: ceil(f.To)})
	}
	if after, paging := deadletter.ParseCursor(f.Cursor); paging {
		at := bson.DateTime(after.Millis)
		bounds = append(bounds, bson.E{Key: "$lte", Value: at})
		q = append(q, bson.E{Key: "$or", Value: bson.A{
			bson.D{{Key: "failedAt", Value: bson.D{{Key: "$lt", Value: at}}}},
			bson.D{{Key: "failedAt", Value: at}, {Key: "_id", Value: bson.D{{Key: "$lt", Value: after.ID}}}},
		}})
	}
	if len(bounds) > 0 {
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
