package readmodel

import (
	"cmp"
	"context"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/cursor"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/order"
)

// Filter selects orders. The zero Filter selects all of them.
type Filter struct {
	// Statuses selects orders in one of them; empty means any.
	Statuses []order.Status
	// CustomerID selects the orders of one customer.
	CustomerID string
	// CreatedFrom (inclusive) and CreatedTo (exclusive) select by creation time; the zero time is no bound.
	CreatedFrom, CreatedTo time.Time
	// Limit is the size of a page, 1 to cursor.MaxLimit; 0 means cursor.DefaultLimit.
	Limit int
	// Cursor is where the page begins: the nextCursor of the one before it, with the same filter. Empty for
	// the first page.
	Cursor string
}

// Validate names every field that is wrong; the pointers are those of the query parameters. The error is Invalid.
func (f Filter) Validate() error {
	var fields []fault.Field
	for _, status := range f.Statuses {
		if !slices.Contains(order.Statuses, status) {
			fields = append(fields, fault.Fieldf("/status", "%q is not a status", status))
		}
	}
	if f.CustomerID != "" && !event.ValidID(f.CustomerID) {
		fields = append(fields, fault.Fieldf("/customerId", "%s", event.IDRule))
	}
	return fault.NewInvalid("list of orders", append(fields, cursor.Orders.Check(f.Cursor, f.Limit)...))
}

// List returns one page of orders, newest first, and the cursor of the next page, empty after the last one.
// Pages are stable: an order that is there during all of them is on exactly one, whatever is written meanwhile,
// as long as it matches the filter. Errors: Invalid, Unavailable.
func (s *Store) List(ctx context.Context, f Filter) (items []Order, nextCursor string, err error) {
	if err := f.Validate(); err != nil {
		return nil, "", err
	}
	f.Limit = cmp.Or(f.Limit, cursor.DefaultLimit)
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	docs, err := s.page(ctx, f)
	if err != nil {
		return nil, "", err
	}
	docs, nextCursor = cursor.Cut(cursor.Orders, docs, f.Limit, func(d document) cursor.Position {
		return cursor.Position{Millis: int64(d.CreatedAt), ID: d.ID}
	})
	items = make([]Order, len(docs))
	for i, d := range docs {
		items[i] = d.order()
	}
	return items, nextCursor, nil
}

// page reads a page and, to see that others follow, one more.
func (s *Store) page(ctx context.Context, f Filter) ([]document, error) {
	sorts, err := s.sorts(ctx)
	if err != nil {
		return nil, err
	}
	newest := func(within span, limit int) ([]document, error) {
		return s.find(ctx, f.query(within), limit, options.Find().
			SetSort(bson.D{{Key: "createdAt", Value: -1}, {Key: "_id", Value: -1}}))
	}
	if !sorts {
		return newest(f.span(), f.Limit+1)
	}
	some := func(within span, limit int) ([]document, error) {
		return s.find(ctx, f.query(within), limit, options.Find())
	}
	return gather(f.span(), time.Now(), f.Limit+1, some, newest)
}

// find reads at most limit documents, in one round trip.
func (s *Store) find(ctx context.Context, query bson.D, limit int, opts *options.FindOptionsBuilder) ([]document, error) {
	found, err := s.orders.Find(ctx, query, opts.SetLimit(int64(limit)).SetBatchSize(int32(limit)))
	if err != nil {
		return nil, unavailable(ctx, err, "list orders")
	}
	var docs []document
	if err := found.All(ctx, &docs); err != nil {
		return nil, unavailable(ctx, err, "list orders")
	}
	return docs, nil
}

// span is the time that the filter selects, behind its cursor.
func (f Filter) span() span {
	s := always
	if !f.CreatedFrom.IsZero() {
		s.From = ceil(f.CreatedFrom)
	}
	if !f.CreatedTo.IsZero() {
		s.To = ceil(f.CreatedTo) - 1
	}
	if after, paging := cursor.Orders.Parse(f.Cursor); paging {
		s.To = min(s.To, bson.DateTime(after.Millis))
	}
	return s
}

// query is the filter in the server's language, for a part of its span.
func (f Filter) query(within span) bson.D {
	query := bson.D{}
	switch len(f.Statuses) {
	case 0:
	case 1:
		query = append(query, bson.E{Key: "status", Value: string(f.Statuses[0])})
	default:
		query = append(query, bson.E{Key: "status", Value: bson.D{{Key: "$in", Value: f.Statuses}}})
	}
	if f.CustomerID != "" {
		query = append(query, bson.E{Key: "customerId", Value: f.CustomerID})
	}
	if after, paging := cursor.Orders.Parse(f.Cursor); paging && within.To >= bson.DateTime(after.Millis) {
		at := bson.DateTime(after.Millis)
		// The span says almost the same, and bounds the scan of the index.
		query = append(query, bson.E{Key: "$or", Value: bson.A{
			bson.D{{Key: "createdAt", Value: bson.D{{Key: "$lt", Value: at}}}},
			bson.D{{Key: "createdAt", Value: at}, {Key: "_id", Value: bson.D{{Key: "$lt", Value: after.ID}}}},
		}})
	}
	if bounds := within.Bounds(); len(bounds) > 0 {
		query = append(query, bson.E{Key: "createdAt", Value: bounds})
	}
	return query
}

// ceil rounds up to the resolution of dates: both bounds mean "not before".
func ceil(t time.Time) bson.DateTime {
	return bson.NewDateTimeFromTime(t.Add(event.TimeResolution - 1))
}
