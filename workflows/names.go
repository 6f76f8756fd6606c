// Package workflows holds the flows: decision code only. A flow asks the pure functions of workflows/order what
// to do, runs one activity, folds what it returns, and goes on until the order's stream has its terminal event.
//
// It may import activities, workflows/order, event, internal/fault and the Temporal SDK. It reaches no
// driver, reads no clock but workflow.Now and makes no random ids; workflowcheck holds it to that.
package workflows

import (
	"strings"

	"go.temporal.io/sdk/temporal"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Registered names. They are part of running workflows' histories and of their clients: never rename one.
const (
	// NameOrder is the order saga's workflow type.
	NameOrder = "OrderSaga"
	// NameLate is the late saga's workflow type.
	NameLate = "LateSaga"
	// NameCustomer is the workflow type of customers' onboarding, NameNotice that of messages to customers.
	NameCustomer = "CustomerSaga"
	NameNotice   = "NoticeSaga"
	// NameShortage is the workflow type of the saga that asks the orders that hold stock which is not there.
	NameShortage = "ShortageSaga"

	// SignalCancel, SignalPayment and SignalShipment bring events of the bus.
	SignalCancel   = "cancel"
	SignalPayment  = "payment"
	SignalShipment = "shipment"

	// SignalLate tells a late saga that there is more.
	SignalLate = "late"

	// SignalStockLost tells an order that stock which it holds is not there, SignalShortage a shortage saga to look again.
	SignalStockLost = "stock_lost"
	SignalShortage  = "shortage"

	// SignalCustomer tells a customer's saga that there is more.
	SignalCustomer = "customer"

	// UpdateCancel asks to cancel and waits for the verdict.
	UpdateCancel = "cancel"
	// UpdateResolve brings an operator's decision and waits for the verdict.
	UpdateResolve = "resolve"
)

// TryAgain is the type of the error with which a run rejects an Update that is to be sent again under the same id, once the
// log has been read.
const TryAgain = saga.TryAgain

// Task queues.
const (
	// QueueOrders is for workflows and our own steps.
	QueueOrders = "orders"
	// QueuePayments is for the calls to payment providers.
	QueuePayments = "payments"
	// QueueNotifications is for messages to people.
	QueueNotifications = "notifications"
)

// Search attributes. Correctness never depends on them.
var (
	OrderStatus    = temporal.NewSearchAttributeKeyKeyword("OrderStatus")
	CustomerID     = temporal.NewSearchAttributeKeyKeyword("CustomerId")
	NeedsAttention = temporal.NewSearchAttributeKeyBool("NeedsAttention")
)

// workflowPrefix begins the workflow id of every order saga.
const workflowPrefix = "order-"

// OrderWorkflowID is the workflow id of an order's saga.
func OrderWorkflowID(orderID string) string { return workflowPrefix + orderID }

// latePrefix begins the workflow id of every late saga.
const latePrefix = "late-"

// LateWorkflowID is the workflow id of the saga that settles what came after an order had ended.
func LateWorkflowID(orderID string) string { return latePrefix + orderID }

// LateInput starts a late saga, or goes on with it: what came late is in the log.
type LateInput struct {
	OrderID string `json:"orderId"`
}

// LateResult is what a late saga came to.
type LateResult struct {
	OrderID string `json:"orderId"`
	Version int64  `json:"version"`
}

// OrderIDOf returns the order id that a workflow id is about.
func OrderIDOf(workflowID string) (string, bool) {
	return strings.CutPrefix(workflowID, workflowPrefix)
}

// OrderInput starts an order's saga, or goes on with it: what the log has comes first.
type OrderInput struct {
	Order order.Order `json:"order"`
	// CorrelationID and CausationID are for the order's first event.
	CorrelationID string `json:"correlationId,omitempty"`
	CausationID   string `json:"causationId,omitempty"`
	// CallerID reports that somebody else may have known the order's id before there was an order; see activities.OpenInput.
	CallerID bool `json:"callerId,omitempty"`
	// Resume is set when a run continues as new.
	Resume *Resume `json:"resume,omitempty"`
}

// Resume is what a run that continues as new hands to the next besides the log, and what a run that takes over from one
// that was broken off finds of it.
type Resume struct {
	Facts order.Facts `json:"facts"`
	// Seen are the ids of the signals that the facts were made from.
	Seen []string `json:"seen,omitempty"`
	// Published is the version up to which the broker has confirmed.
	Published int64 `json:"published,omitempty"`
	// Recover is set when an earlier run was broken off: what it was told, and what it was to take over, is read from its
	// history.
	Recover *activities.RecoverCursor `json:"recover,omitempty"`
	// Missed are signals of the run that was broken off, oldest first, as older versions handed them over.
	Missed []activities.Signal `json:"missed,omitempty"`
	// Unasked is what the bus said of a payment, and the gateway did not confirm.
	Unasked *order.PaymentHint `json:"unasked,omitempty"`
	// Late are events that came when the order had ended, and have no verdict yet.
	Late []activities.LateEvent `json:"late,omitempty"`
}

// CancelledInTemporal is the cancellation that the Temporal Web UI's button makes of a run.
func CancelledInTemporal(runID string) order.Cancellation {
	return order.Cancellation{ID: "temporal-" + runID, Reason: "cancelled in Temporal"}
}

// OrderResult is what an order came to.
type OrderResult struct {
	OrderID string       `json:"orderId"`
	Status  order.Status `json:"status"`
	Reason  string       `json:"reason,omitempty"`
	Version int64        `json:"version"`
	// Conflict tells that the stream belongs to an order of other content: the run did nothing.
	Conflict bool `json:"conflict,omitempty"`
}

// ShipmentKind says what a shipment signal tells.
type ShipmentKind string

// The kinds of shipment signals.
const (
	ShipmentDispatched ShipmentKind = "dispatched"
	ShipmentDelivered  ShipmentKind = "delivered"
	ShipmentLost       ShipmentKind = "lost"
)

// ShipmentSignal tells what the warehouse or the carrier said.
type ShipmentSignal struct {
	Kind ShipmentKind `json:"kind"`
	order.ShipmentFact
}

// VerdictOf is the answer to a cancellation of an order that has been decided about.
func VerdictOf(s order.State) CancelVerdict {
	v := CancelVerdict{Accepted: s.Cancelled(), Status: s.Status}
	if !v.Accepted {
		v.Detail = s.WhyNotCancellable()
	}
	return v
}

// CancelVerdict answers a cancellation.
type CancelVerdict struct {
	// Accepted tells that the order is being cancelled, or was.
	Accepted bool         `json:"accepted"`
	Status   order.Status `json:"status"`
	// Detail says why not.
	Detail string `json:"detail,omitempty"`
}
