package reconcile

import (
	"fmt"
	"reflect"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/readmodel"
)

// same compares two entries, without the fields of the list of sagas that need attention.
func same(a, b readmodel.Order) bool {
	times := a.CreatedAt.Equal(b.CreatedAt) && a.UpdatedAt.Equal(b.UpdatedAt)
	b.CreatedAt, b.UpdatedAt, b.Attention = a.CreatedAt, a.UpdatedAt, a.Attention
	return times && reflect.DeepEqual(a, b)
}

// list holds a list entry against a saga, as lists show it at the version of the entry and now. The list skips what lasts milliseconds: it must
// show the newest status in which sagas may stay, at any version from listedAt on.
func (c *chain) list(entry readmodel.Order, shown bool, atEntry, now readmodel.Order, listedAt int64) {
	switch {
	case !shown:
		if listedAt > 0 {
			c.found(ListMissing, now.Version, "it is %s at version %d", now.Status, now.Version)
		}
	case entry.Version > now.Version:
		c.found(ListAhead, now.Version, "the list shows version %d as %s, the log ends at %d", entry.Version, entry.Status, now.Version)
	case entry.Version < 1:
		c.found(ListDifferent, now.Version, "the list entry cannot be read")
	case !same(entry, atEntry):
		c.found(ListDifferent, now.Version, "the list shows version %d as %s, the log says %s, or they differ in another field",
			entry.Version, entry.Status, atEntry.Status)
	case entry.Version < listedAt:
		c.found(ListBehind, now.Version, "the list shows version %d as %s, it is %s at version %d", entry.Version, entry.Status, now.Status, now.Version)
	}
}

// orphan is a list entry without an order.
func (l *look) orphan(orderID string, e readmodel.Order) {
	what := "an entry that cannot be read"
	if e.Version > 0 {
		what = fmt.Sprintf("it as %s at version %d", e.Status, e.Version)
	}
	l.found(ListOrphan, orderID, event.OrderStream(orderID), e.Version, "the log has no such order, but the list shows %s", what)
}
