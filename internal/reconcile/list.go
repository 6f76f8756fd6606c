package reconcile

import (
	"fmt"
	"reflect"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/order"
)

// listed is an order as the list should show it.
func listed(s order.State) Listed {
	return Listed{
		Order: s.Order, Status: s.Status, Reason: s.Reason, Version: s.Head.Version,
		CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt, CorrelationID: s.CorrelationID,
	}
}

// same compares what two entries say.
func (e Listed) same(other Listed) bool {
	times := e.CreatedAt.Equal(other.CreatedAt) && e.UpdatedAt.Equal(other.UpdatedAt)
	other.CreatedAt, other.UpdatedAt = e.CreatedAt, e.UpdatedAt
	return times && reflect.DeepEqual(e, other)
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
	case !u.entry.same(listed(u.atEntry)):
		u.says(ListDifferent, "the list shows version %d as %s, the log says %s, or they differ in another field",
			u.entry.Version, u.entry.Status, u.atEntry.Status)
	case u.entry.Version < u.listedAt:
		u.says(ListBehind, "the list shows version %d as %s, the order is %s at version %d", u.entry.Version, u.entry.Status, u.state.Status, head)
	}
}

// orphan is a list entry without an order.
func (l *look) orphan(orderID string, e Listed) {
	what := "an entry that cannot be read"
	if e.Version > 0 {
		what = fmt.Sprintf("it as %s at version %d", e.Status, e.Version)
	}
	l.found(ListOrphan, orderID, event.OrderStream(orderID), e.Version, "the log has no such order, and the list shows %s", what)
}
