package order

import (
	"time"

	"github.com/ordersaga/ordersaga/event"
)

// MaxEarly is how many cancellations are kept for an order that is not known.
const MaxEarly = 16

// EarlyCancellation is the data of order.cancellation_kept.
type EarlyCancellation struct {
	OrderID string `json:"orderId"`
	// RequestID and EventID are the ID and the Cause of the cancellation.
	RequestID string `json:"requestId"`
	EventID   string `json:"eventId"`
	// Reason is what the requester gave.
	Reason string `json:"reason,omitempty"`
}

// Early makes the event that keeps a cancellation which came before its order. It stands in a stream of its own, in the slot
// of its event's identity: the order reads it after it has appended order.accepted.
func (c Cancellation) Early(orderID, correlationID string, at time.Time) event.Entry {
	return event.New(event.EarlyStream(orderID), c.Identity(orderID), event.OrderCancellationKept, orderID, at,
		EarlyCancellation{OrderID: orderID, RequestID: c.ID, EventID: c.Cause, Reason: c.Reason}).CausedBy(correlationID, c.Cause)
}

// EarlyCancellations reads what a stream of early cancellations keeps, oldest first. Types that it does not know are passed
// over. Errors: Malformed, Unavailable for an event whose version is newer than this code.
func EarlyCancellations(records []event.Record) ([]Cancellation, error) {
	var kept []Cancellation
	for _, r := range records {
		if r.Type != event.OrderCancellationKept {
			continue
		}
		err := event.DecodeInto(r.Event, func(d EarlyCancellation) {
			kept = append(kept, Cancellation{ID: d.RequestID, Cause: d.EventID, Reason: d.Reason})
		})
		if err != nil {
			return nil, err
		}
	}
	return kept, nil
}
