package order

import (
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Timing is how long an order waits. The zero value is not useful; see DefaultTiming.
type Timing struct {
	// PaymentPending is how long a pending payment may wait for its payer.
	PaymentPending time.Duration `json:"paymentPending"`
	// Shipment is how long a confirmed order may wait for its dispatch. It must stay below the lifetime of the
	// gateway's authorizations, else goods leave and the capture is refused.
	Shipment time.Duration `json:"shipment"`
	// Delivery is how long a dispatched order may wait for its delivery before an operator must act.
	Delivery time.Duration `json:"delivery"`
	// Return is how long announced goods may take to come back.
	Return time.Duration `json:"return"`
	// Reserve and Authorize are the deadlines of the steps before the pivot: a step that has been unavailable
	// for that long is given up and compensated. Reserve is also how long an order waits for stock that others hold for now.
	Reserve   time.Duration `json:"reserve"`
	Authorize time.Duration `json:"authorize"`
	// Attention is how long a step that must succeed may be stuck before an operator must act.
	Attention time.Duration `json:"attention"`
}

// DefaultTiming is what a service without configuration uses.
func DefaultTiming() Timing {
	return Timing{
		PaymentPending: 30 * time.Minute,
		Shipment:       6 * 24 * time.Hour,
		Delivery:       30 * 24 * time.Hour,
		Return:         30 * 24 * time.Hour,
		Reserve:        2 * time.Minute,
		Authorize:      2 * time.Minute,
		Attention:      5 * time.Minute,
	}
}

// Settings are the timing as runs keep it. Fast reports that the gateway may be called inside a workflow task.
func (t Timing) Settings(fast bool) saga.Settings {
	return saga.Settings{
		Waits: map[saga.Deadline]time.Duration{
			ReserveDeadline: t.Reserve, AuthorizeDeadline: t.Authorize, PaymentPendingDeadline: t.PaymentPending,
			ShipmentDeadline: t.Shipment, DeliveryDeadline: t.Delivery, ReturnDeadline: t.Return, AttentionAfter: t.Attention,
		},
		Attention: t.Attention, Fast: fast,
	}
}

// Action is what to do next.
type Action = saga.Action

// The kinds of actions; see saga.
const (
	Record = saga.Record
	Do     = saga.Do
	Undo   = saga.Undo
	Lookup = saga.Lookup
	Wait   = saga.Wait
	Close  = saga.Close
)

// Next decides what to do about an order; see saga.Flow.Decide.
func Next(s State, f Facts, now time.Time, t Timing) Action {
	return Flow.Decide(s, f, now, t.Settings(false).Of)
}

// Decisions returns the events that Next wants recorded one after the other, from s on, as many as one append takes.
func Decisions(s State, f Facts, now time.Time, t Timing) []event.Entry {
	return Flow.Decisions(s, f, now, t.Settings(false).Of)
}
