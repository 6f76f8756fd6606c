package readmodel

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"

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

// After returns where the page begins, after the order that was created then (milliseconds since 1970) and has the id; ok is false
// for the first page.
func (f Filter) After() (millis int64, id string, ok bool) {
	p, ok := parseCursor(f.Cursor)
	return p.createdAt, p.id, ok
}

// CursorAfter returns the cursor of the page that begins after an order.
func CursorAfter(o Order) string {
	return position{createdAt: o.CreatedAt.UnixMilli(), id: o.ID}.String()
}

// position is a place in the list: behind this order.
type position struct {
	createdAt int64
	id        string
}

// cursorVersion is the form of cursors; another form needs another letter.
const cursorVersion = "a"

// String returns the cursor of the position.
func (p position) String() string {
	text := cursorVersion + "." + strconv.FormatInt(p.createdAt, 36) + "." + p.id
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
	p = position{createdAt: millis, id: parts[2]}
	return p, err == nil && p.String() == cursor
}
