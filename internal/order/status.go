package order

import "github.com/ordersaga/ordersaga/event"

// Status is where an order stands.
type Status string

// The statuses. Completed, Rejected, Cancelled and Failed are terminal.
const (
	StatusAccepted         Status = "accepted"
	StatusReserved         Status = "reserved"
	StatusAwaitingPayment  Status = "awaiting_payment"
	StatusAuthorized       Status = "authorized"
	StatusAwaitingShipment Status = "awaiting_shipment"
	StatusSettling         Status = "settling"
	StatusShipped          Status = "shipped"
	StatusCompensating     Status = "compensating"
	StatusNeedsAttention   Status = "needs_attention"
	StatusCompleted        Status = "completed"
	StatusRejected         Status = "rejected"
	StatusCancelled        Status = "cancelled"
	StatusFailed           Status = "failed"
)

// Statuses lists every status, in the order of a saga's life.
var Statuses = []Status{
	StatusAccepted, StatusReserved, StatusAwaitingPayment, StatusAuthorized, StatusAwaitingShipment,
	StatusSettling, StatusShipped, StatusCompensating, StatusNeedsAttention,
	StatusCompleted, StatusRejected, StatusCancelled, StatusFailed,
}

// statusAfter is the fold of the status: what an event makes of it. Events that are not in the table leave it.
var statusAfter = map[string]Status{
	event.OrderAccepted:       StatusAccepted,
	event.InventoryReserved:   StatusReserved,
	event.PaymentPending:      StatusAwaitingPayment,
	event.PaymentAuthorized:   StatusAuthorized,
	event.OrderConfirmed:      StatusAwaitingShipment,
	event.OrderSettling:       StatusSettling,
	event.OrderShipped:        StatusShipped,
	event.OrderCompensating:   StatusCompensating,
	event.OrderNeedsAttention: StatusNeedsAttention,
	event.OrderCompleted:      StatusCompleted,
	event.OrderRejected:       StatusRejected,
	event.OrderCancelled:      StatusCancelled,
	event.OrderFailed:         StatusFailed,
}

// Terminal reports whether nothing comes after the status.
func (s Status) Terminal() bool {
	switch s {
	case StatusCompleted, StatusRejected, StatusCancelled, StatusFailed:
		return true
	}
	return false
}

// Listed reports whether the read model follows the status: an order that reaches it is written there. The
// statuses between are passed in milliseconds.
func (s Status) Listed() bool {
	switch s {
	case StatusAccepted, StatusAwaitingPayment, StatusAwaitingShipment, StatusShipped, StatusNeedsAttention:
		return true
	}
	return s.Terminal()
}
