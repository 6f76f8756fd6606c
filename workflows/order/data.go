package order

import (
	"github.com/ordersaga/ordersaga/internal/stock"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Slots: the keys of an order's stream. A key is written once; the first writer wins.
const (
	SlotAccept    = "accept"
	SlotReserve   = "reserve"
	SlotPending   = "authorize/pending"
	SlotAuthorize = "authorize"
	SlotConfirm   = "confirm"
	SlotShip      = "ship"
	SlotDecide    = "decide"
	// SlotTurn holds the order.compensating of an order whose capture was definitely refused before anything
	// was shipped: the one way back after order.settling.
	SlotTurn    = "decide/refused"
	SlotCapture = "capture"
	SlotCommit  = "commit"
	SlotEnd     = "end"
	// SlotCapturedLate holds the capture that the undo of an authorization finds although the capture's own slot has its
	// refusal.
	SlotCapturedLate = "undo/authorize/captured"
	// SlotCancelRefused holds the first refusal of a cancellation, which answers all later ones. Older logs have a refusal
	// for each request, in cancel/<request id>.
	SlotCancelRefused = "cancel/refused"
)

// UndoSlot is the slot of a step's compensation.
func UndoSlot(s Step) string { return saga.UndoSlot(s) }

// Step names a step of the saga, in keys, events, reasons and the Temporal Web UI.
type Step = string

// The steps.
const (
	StepAccept    Step = "accept"
	StepReserve   Step = "reserve"
	StepAuthorize Step = "authorize"
	StepConfirm   Step = "confirm"
	StepShip      Step = "ship"
	StepDecide    Step = "decide"
	StepCapture   Step = "capture"
	StepCommit    Step = "commit"
	StepDeliver   Step = "deliver"
	// StepRefund refunds goods that did not arrive, when an operator has decided so.
	StepRefund   Step = "refund"
	StepComplete Step = "complete"
	// StepDispatch is no step: it names the goods that were dispatched although the order is being compensated.
	StepDispatch Step = "dispatch"
)

// Reasons why an order did not complete.
const (
	ReasonOutOfStock      = stock.OutOfStock
	ReasonUnknownSKU      = stock.UnknownSKU
	ReasonPaymentDeclined = "payment_declined"
	ReasonPaymentFailed   = "payment_failed"
	ReasonCaptureRefused  = "capture_refused"
	ReasonStockLost       = "stock_lost"
	ReasonRequested       = "requested"
	ReasonPaymentTimeout  = "payment_timeout"
	ReasonShipmentTimeout = "shipment_timeout"
)

// LineOutcome reports the result of the reservation of one line.
type LineOutcome struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
	// Reserved is true when the line holds stock.
	Reserved bool `json:"reserved"`
	// Reason is set when it does not: out_of_stock or unknown_sku.
	Reason string `json:"reason,omitempty"`
	// Available is how many there were when it was refused.
	Available int64 `json:"available"`
}

// Items is the data of inventory.reserved, inventory.released, inventory.committed and order.confirmed.
type Items struct {
	OrderID string `json:"orderId"`
	Lines   []Item `json:"lines"`
	// ExpiresAt is how long the dispatch is waited for, in the form of saga.TimeLayout; of order.confirmed.
	ExpiresAt string `json:"expiresAt,omitempty"`
}

// Rejection is the data of inventory.rejected.
type Rejection struct {
	OrderID string        `json:"orderId"`
	Reason  string        `json:"reason"`
	Lines   []LineOutcome `json:"lines"`
	// Held is true when at least one line holds stock, or may hold some, that must be released.
	Held bool `json:"held"`
}

// PaymentData is the data of payment.pending, payment.authorized, payment.voided, payment.captured and, in an order's stream,
// payment.refunded.
type PaymentData struct {
	OrderID   string `json:"orderId"`
	PaymentID string `json:"paymentId,omitempty"`
	// Amount is in minor units of Currency.
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
	// EventIdentity names the event of the bus that caused this one, if one did: its source, type, subject, id and content.
	EventIdentity string `json:"eventIdentity,omitempty"`
	// ExpiresAt is how long the payer is waited for, in the form of saga.TimeLayout; of payment.pending.
	ExpiresAt string `json:"expiresAt,omitempty"`
}

// PaymentRefusal is the data of payment.declined and payment.capture_refused.
type PaymentRefusal struct {
	OrderID   string `json:"orderId"`
	PaymentID string `json:"paymentId,omitempty"`
	// Reason is payment_declined, payment_failed or capture_refused.
	Reason string `json:"reason"`
	// Code is the provider's word.
	Code string `json:"code,omitempty"`
	// EventIdentity names the event of the bus that caused this one, if one did: its source, type, subject, id and content.
	EventIdentity string `json:"eventIdentity,omitempty"`
}

// Ref is the data of events that say nothing but which order they are about.
type Ref struct {
	OrderID string `json:"orderId"`
}

// Dispatch is the data of order.shipped, order.delivered and the events about further parcels.
type Dispatch struct {
	OrderID string `json:"orderId"`
	ParcelData
	// EventIdentity names the event of the bus that caused this one, if one did: its source, type, subject, id and content.
	EventIdentity string `json:"eventIdentity,omitempty"`
	// ExpiresAt is how long the delivery is waited for, in the form of saga.TimeLayout; of order.shipped.
	ExpiresAt string `json:"expiresAt,omitempty"`
}

// Ending is the data of order.compensating and of the terminal events: how the order ends and why.
type Ending struct {
	OrderID string `json:"orderId"`
	// Outcome is completed, rejected, cancelled or failed; see saga.Ending.
	Outcome       Status `json:"outcome"`
	Reason        string `json:"reason,omitempty"`
	Detail        string `json:"detail,omitempty"`
	By            string `json:"by,omitempty"`
	RequestID     string `json:"requestId,omitempty"`
	EventIdentity string `json:"eventIdentity,omitempty"`
	// TotalAmount and Currency say what a completed order took, in minor units.
	TotalAmount int64  `json:"totalAmount,omitempty"`
	Currency    string `json:"currency,omitempty"`
}

// CancellationRefusal is the data of order.cancellation_refused.
type CancellationRefusal struct {
	OrderID   string `json:"orderId"`
	RequestID string `json:"requestId"`
	// Reason is what the requester gave.
	Reason string `json:"reason,omitempty"`
	// Detail says why it was refused.
	Detail string `json:"detail"`
}
