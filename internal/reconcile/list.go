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
	b.CreatedAt, b.UpdatedAt, b.Attention, b.EndedAs = a.CreatedAt, a.UpdatedAt, a.Attention, a.EndedAs
	return times && reflect.DeepEqual(a, b)
}

// list holds the list entry against the order. The list skips what lasts milliseconds: it must show the newest status
// at which orders wait or end, at any version from there on.
func (u *unit) list() {
	switch head := u.state.Head.Version; {
	case !u.shown:
		if u.listedAt > 0 {
			u.says(ListMissing, "the order is %s at version %d", u.state.Status, head)
		}
	case u.entry.Version > head:
		u.says(ListAhead, "the list shows version %d as %s, the log ends at %d", u.entry.Version, u.entry.Status, head)
	case u.entry.Version == 0:
		u.says(ListDifferent, "the list entry cannot be read")
	case !same(u.entry, readmodel.FromState(u.atEntry)):
		u.says(ListDifferent, "the list shows version %d as %s, the log says %s, or they differ in another field",
			u.entry.Version, u.entry.Status, u.atEntry.Status)
	case u.entry.Version < u.listedAt:
		u.says(ListBehind, "the list shows version %d as %s, the order is %s at version %d", u.entry.Version, u.entry.Status, u.state.Status, head)
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
