package order

import (
	"strings"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// InventoryState is what the log knows of the reservation.
type InventoryState string

// The states of the reservation; empty while nothing is recorded.
const (
	InventoryReserved InventoryState = "reserved"
	InventoryRejected InventoryState = "rejected"
)

// PaymentState is what the log knows of the authorization.
type PaymentState string

// The states of the authorization; empty while nothing is recorded.
const (
	PaymentPending    PaymentState = "pending"
	PaymentAuthorized PaymentState = "authorized"
	PaymentDeclined   PaymentState = "declined"
)

// CaptureState is what the log knows of the capture.
type CaptureState string

// The states of the capture; empty while nothing is recorded.
const (
	CaptureDone    CaptureState = "captured"
	CaptureRefused CaptureState = "refused"
)

// Decision is what the pivot decided.
type Decision = saga.Decision

// The decisions; empty before the pivot.
const (
	Forward = saga.GoForward
	Back    = saga.GoBack
)

// State is an order computed from its events. It is a value: only Fold makes it.
type State struct {
	saga.Saga
	Order Order `json:"order"`

	Inventory InventoryState `json:"inventory,omitempty"`
	// Held reports that a rejected reservation left lines that hold stock.
	Held bool `json:"held,omitempty"`

	Payment       PaymentState `json:"payment,omitempty"`
	PaymentID     string       `json:"paymentId,omitempty"`
	PaymentReason string       `json:"paymentReason,omitempty"`
	PendingSince  time.Time    `json:"pendingSince,omitzero"`

	ConfirmedAt time.Time `json:"confirmedAt,omitzero"`
	ShippedAt   time.Time `json:"shippedAt,omitzero"`
	DeliveredAt time.Time `json:"deliveredAt,omitzero"`

	Capture   CaptureState `json:"capture,omitempty"`
	Committed bool         `json:"committed,omitempty"`

	// Parcels are those of which the order knows, WrittenOff is what will be in none, and Refunds are the refunds of what did not arrive.
	Parcels    []Parcel       `json:"parcels,omitempty"`
	WrittenOff []LineQuantity `json:"writtenOff,omitempty"`
	Refunds    []ParcelRefund `json:"refunds,omitempty"`

	Withdrawn bool `json:"withdrawn,omitempty"`
	Voided    bool `json:"voided,omitempty"`
	// Refunded reports that the compensation of the authorization found the payment captured and refunded it.
	Refunded bool `json:"refunded,omitempty"`
	Released bool `json:"released,omitempty"`
}

// AttentionState is what the log knows of what needed attention.
type AttentionState = saga.AttentionState

// DispatchedAfterCancel reports that goods were dispatched although the order is being compensated: it does not end before a
// person has acted.
func (s State) DispatchedAfterCancel() bool { return s.HappenedAfterCancel }

// Fold computes the state from records. They must be a stream from its first version, or the part of one
// from there. Errors: Unavailable for a gap and for an event whose version is newer than this code, Malformed for data that
// cannot be read.
func Fold(records []event.Record) (State, error) { return Flow.Fold(State{}, records) }

// FoldAt makes the state as it stood at a time: the events after it have not happened yet.
func FoldAt(records []event.Record, at time.Time) (State, error) { return Flow.FoldAt(records, at) }

// Fold returns the state that records make of s. Records that s knows already are passed over. Errors: those of Fold.
func (s State) Fold(records []event.Record) (State, error) { return Flow.Fold(s, records) }

// own folds what only an order's events say.
func own(s *State, r event.Record) error {
	switch r.Type {
	case event.OrderAccepted:
		return event.DecodeInto(r.Event, func(o Order) { s.Order = o })
	case event.InventoryReserved:
		s.Inventory = InventoryReserved
	case event.InventoryRejected:
		return event.DecodeInto(r.Event, func(d Rejection) { s.Inventory, s.Held, s.Reason = InventoryRejected, d.Held, d.Reason })
	case event.InventoryReleased:
		s.Released = true
	case event.InventoryCommitted:
		s.Committed = true
	case event.OrderConfirmed:
		s.ConfirmedAt = r.Time
	case event.OrderShipped, event.OrderDelivered, event.OrderParcelDispatched, event.OrderParcelDelivered, event.OrderParcelLost:
		return s.foldParcel(r)
	case event.OrderRefundRequested, event.OrderResendRequested, event.OrderStepSkipped, event.OrderStepSubstituted:
		return s.foldDecision(r)
	case event.OrderFulfillmentWithdrawn:
		s.Withdrawn = true
	default:
		return s.applyPayment(r)
	}
	return nil
}

// applyPayment folds the payment's events.
func (s *State) applyPayment(r event.Record) error {
	switch r.Type {
	case event.PaymentPending:
		s.PendingSince = r.Time
		return event.DecodeInto(r.Event, func(d PaymentData) { s.Payment, s.PaymentID = PaymentPending, d.PaymentID })
	case event.PaymentAuthorized:
		return event.DecodeInto(r.Event, func(d PaymentData) { s.Payment, s.PaymentID = PaymentAuthorized, d.PaymentID })
	case event.PaymentDeclined:
		return event.DecodeInto(r.Event, func(d PaymentRefusal) { s.Payment, s.PaymentReason = PaymentDeclined, d.Reason })
	case event.PaymentVoided:
		s.Voided = true
	case event.PaymentRefunded:
		if item, ofParcel := strings.CutPrefix(r.Key, SlotRefund+"/"); ofParcel {
			s.settleRefund(item, true)
			return nil
		}
		s.Voided, s.Refunded = true, true
	case event.PaymentCaptured:
		s.Capture = CaptureDone
	case event.PaymentCaptureRefused:
		s.Capture = CaptureRefused
	}
	return nil
}
