package order

import "github.com/ordersaga/ordersaga/workflows/saga"

// Status is the status of an order.
type Status = saga.Status

// The statuses. Completed, Rejected, Cancelled and Failed are terminal.
const (
	StatusAccepted                = saga.Accepted
	StatusReserved         Status = "reserved"
	StatusAwaitingPayment  Status = "awaiting_payment"
	StatusAuthorized       Status = "authorized"
	StatusAwaitingShipment Status = "awaiting_shipment"
	StatusSettling         Status = "settling"
	StatusShipped          Status = "shipped"
	StatusCompensating            = saga.Compensating
	StatusNeedsAttention          = saga.NeedsAttention
	StatusCompleted               = saga.Completed
	StatusRejected                = saga.Rejected
	StatusCancelled               = saga.Cancelled
	StatusFailed                  = saga.Failed
)

// Statuses lists every status, in the order of a saga's life.
var Statuses = []Status{
	StatusAccepted, StatusReserved, StatusAwaitingPayment, StatusAuthorized, StatusAwaitingShipment,
	StatusSettling, StatusShipped, StatusCompensating, StatusNeedsAttention,
	StatusCompleted, StatusRejected, StatusCancelled, StatusFailed,
}

// Listed reports whether the read model follows the status: an order that reaches it is written there. The
// statuses between are passed in milliseconds.
func Listed(s Status) bool { return Flow.Lasts(s) }
