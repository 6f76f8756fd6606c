package readmodel

import (
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/cursor"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Filter selects orders. The zero Filter selects all of them.
type Filter struct {
	// Statuses selects orders in one of them; empty means any.
	Statuses []saga.Status
	// Flow selects the sagas of one flow, in a list of sagas that are no orders. AnyStatus has Statuses be those of any flow.
	Flow      string
	AnyStatus bool
	// WithoutAttention selects those that do not need attention.
	WithoutAttention bool
	// Reason selects those that have one reason.
	Reason string
	// CustomerID selects the orders of one customer.
	CustomerID string
	// MinAmount and MaxAmount, both inclusive, select orders by their total; nil is no bound.
	MinAmount, MaxAmount *int64
	// CreatedFrom (inclusive) and CreatedTo (exclusive) select by creation time; the zero time is no bound.
	CreatedFrom, CreatedTo time.Time
	// Limit is the size of a page, 1 to cursor.MaxLimit; 0 means cursor.DefaultLimit.
	Limit int
	// Cursor is where the page begins: the nextCursor of the one before it, with the same filter. Empty for
	// the first page.
	Cursor string
}

// Selects reports whether the filter selects an order. Limit and Cursor take no part.
func (f Filter) Selects(o Order) bool {
	return (len(f.Statuses) == 0 || slices.Contains(f.Statuses, o.Status)) && (f.CustomerID == "" || f.CustomerID == o.CustomerID) &&
		(f.Reason == "" || f.Reason == o.Reason) &&
		(f.MinAmount == nil || o.TotalAmount >= *f.MinAmount) && (f.MaxAmount == nil || o.TotalAmount <= *f.MaxAmount) &&
		(f.CreatedFrom.IsZero() || !o.CreatedAt.Before(f.CreatedFrom)) && (f.CreatedTo.IsZero() || o.CreatedAt.Before(f.CreatedTo))
}

// Validate names every field that is wrong; the pointers are those of the query parameters. The error is Invalid.
func (f Filter) Validate() error {
	var fields []fault.Field
	for _, status := range f.Statuses {
		if !f.AnyStatus && !isOrderStatus(status) {
			fields = append(fields, fault.Fieldf("/status", "%q is not a status", status))
		}
	}
	if f.CustomerID != "" && !event.ValidID(f.CustomerID) {
		fields = append(fields, fault.Fieldf("/customerId", "%s", event.IDRule))
	}
	return fault.NewInvalid("list of orders", append(fields, f.Cursors().Check(f.Cursor, f.Limit)...))
}

// Cursors are those of the list that the filter is for.
func (f Filter) Cursors() cursor.List {
	if f.AnyStatus {
		return cursor.Sagas
	}
	return cursor.Orders
}
