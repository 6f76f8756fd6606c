package saga

import (
	"cmp"
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/event"
)

// MaxEarly is how many cancellations are kept for a saga that is not known.
const MaxEarly = 16

// earlyCancellation is the data of the event that keeps a cancellation, but for the saga's ID.
type earlyCancellation struct {
	// RequestID and EventID are the ID and the cause of the cancellation.
	RequestID string `json:"requestId"`
	EventID   string `json:"eventId"`
	// Reason is what the requester gave.
	Reason string `json:"reason,omitempty"`
}

// Early makes the event that keeps a cancellation which came before its saga. It has a stream of its own, and the slot of its event's
// identity: the saga reads it after it has appended its first event.
func (f *Flow[S, P]) Early(id string, c Cancellation, correlationID string, at time.Time) event.Entry {
	data := Object(f.subject(), id, earlyCancellation{RequestID: c.ID, EventID: c.Cause, Reason: c.Reason})
	slot := Identity(f.cancelRequested(), id, c.ID, c.Reason)
	return event.New(f.EarlyStreamOf(id), slot, f.earlyType(), id, at, data).CausedBy(correlationID, c.Cause)
}

// EarlyCancellations reads what a stream of early cancellations keeps, oldest first. Types that it does not know are passed
// over. Errors: Malformed, Unavailable for an event whose version is newer than this code.
func (f *Flow[S, P]) EarlyCancellations(records []event.Record) ([]Cancellation, error) {
	var kept []Cancellation
	for _, r := range records {
		if r.Type != f.earlyType() {
			continue
		}
		err := event.DecodeInto(r.Event, func(d earlyCancellation) {
			kept = append(kept, Cancellation{ID: d.RequestID, Cause: d.EventID, Reason: d.Reason})
		})
		if err != nil {
			return nil, err
		}
	}
	return kept, nil
}

// EarlyStreamOf is the name of the stream of cancellations that came before the saga; "" for a flow that is not cancelled by events.
func (f *Flow[S, P]) EarlyStreamOf(id string) string {
	switch {
	case f.EarlyStream != nil:
		return f.EarlyStream(id)
	case slices.ContainsFunc(f.Inbound, func(i Inbound) bool { return i.Role == RoleCancel }):
		return f.Stream + ".early-" + event.Escape(id)
	}
	return ""
}

// earlyType is the type of its events.
func (f *Flow[S, P]) earlyType() string { return cmp.Or(f.EarlyType, f.prefix()+"."+kindKept) }
