package readmodel

import (
	"context"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/order"
)

// Limits of a page.
const (
	DefaultLimit = 50
	MaxLimit     = 500
)

// Filter selects orders. The zero Filter selects all of them.
type Filter struct {
	// Statuses selects orders in one of them; empty means any.
	Statuses []order.Status
	// CustomerID selects the orders of one customer.
	CustomerID string
	// CreatedFrom (inclusive) and CreatedTo (exclusive) select by creation time; the zero time is no bound.
	CreatedFrom, CreatedTo time.Time
	// Limit is the size of a page, 1 to MaxLimit; 0 means DefaultLimit.
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
	if f.Limit < 0 || f.Limit > MaxLimit {
		fields = append(fields, fault.Fieldf("/limit", "must be from 1 to %d", MaxLimit))
	}
	if _, ok := parseCursor(f.Cursor); !ok && f.Cursor != "" {
		fields = append(fields, fault.Fieldf("/cursor", "is not a nextCursor of this list"))
	}
	return fault.NewInvalid("list of orders", fields)
}

// List returns one page of orders, newest first, and the cursor of the next page, empty after the last one.
// Pages are stable: an order that is there during all of them is on exactly one, whatever is written meanwhile,
// as long as it matches the filter. Errors: Invalid, Unavailable.
func (s *Store) List(ctx context.Context, f Filter) (items []Order, nextCursor string, err error) {
	if err := f.Validate(); err != nil {
		return nil, "", err
	}
	if f.Limit == 0 {
		f.Limit = DefaultLimit
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	docs, err := s.page(ctx, f)
	if err != nil {
		return nil, "", err
	}
	if len(docs) > f.Limit {
		docs = docs[:f.Limit]
		last := docs[f.Limit-1]
		nextCursor = position{createdAt: last.CreatedAt, id: last.ID}.String()
	}
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
	cursor, err := s.orders.Find(ctx, query, opts.SetLimit(int64(limit)).SetBatchSize(int32(limit)))
	if err != nil {
		return nil, unavailable(ctx, err, "list orders")
	}
	var docs []document
	if err := cursor.All(ctx, &docs); err != nil {
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
	if after, paging := parseCursor(f.Cursor); paging {
		s.To = min(s.To, after.createdAt)
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
	if after, paging := parseCursor(f.Cursor); paging && within.To >= after.createdAt {
		// The span says almost the same, and bounds the scan of the index.
		query = append(query, bson.E{Key: "$or", Value: bson.A{
			bson.D{{Key: "createdAt", Value: bson.D{{Key: "$lt", Value: after.createdAt}}}},
			bson.D{{Key: "createdAt", Value: after.createdAt}, {Key: "_id", Value: bson.D{{Key: "$lt", Value: after.id}}}},
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

// position is a place in the list: behind this order.
type position struct {
	createdAt bson.DateTime
	id        string
}

// cursorVersion is the form of cursors; another form needs another letter.
const cursorVersion = "a"

// String returns the cursor of the position.
func (p position) String() string {
	text := cursorVersion + "." + strconv.FormatInt(int64(p.createdAt), 36) + "." + p.id
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

// parseCursor reverses String; ok is false for everything that String does not make.
func parseCursor(cursor string) (p position, ok bool) {
	text, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil {
		return position{}, false
	}
	parts := strings.SplitN(string(text), ".", 3)
	if len(parts) != 3 || parts[0] != cursorVersion || !event.ValidID(parts[2]) {
		return position{}, false
	}
	millis, err := strconv.ParseInt(parts[1], 36, 64)
	p = position{createdAt: bson.DateTime(millis), id: parts[2]}
	return p, err == nil && p.String() == cursor
}
