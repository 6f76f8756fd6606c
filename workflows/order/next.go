package order

import (
	"cmp"
	"encoding/json"
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
	// Delivery is how long a dispatched order may wait for its delivery before somebody has to look.
	Delivery time.Duration `json:"delivery"`
	// Reserve and Authorize are the deadlines of the steps before the pivot: a step that has been unavailable
	// for that long is given up and undone. Reserve is also how long an order waits for stock that others hold for now.
	Reserve   time.Duration `json:"reserve"`
	Authorize time.Duration `json:"authorize"`
	// Attention is how long a step that must succeed may be stuck before somebody has to look.
	Attention time.Duration `json:"attention"`
}

// DefaultTiming is what a service without configuration uses.
func DefaultTiming() Timing {
	return Timing{
		PaymentPending: 30 * time.Minute,
		Shipment:       6 * 24 * time.Hour,
		Delivery:       30 * 24 * time.Hour,
		Reserve:        2 * time.Minute,
		Authorize:      2 * time.Minute,
		Attention:      5 * time.Minute,
	}
}

// Cancellation is a request to cancel.
type Cancellation struct {
	// ID makes the request the same when it comes again.
	ID string `json:"id"`
	// Cause is the id of the event that brought it, if one did.
	Cause string `json:"cause,omitempty"`
	// Reason is what the requester gave; for people.
	Reason string `json:"reason,omitempty"`
}

// MaxCancellations bounds how many cancellations a run keeps. The first one decides; the others get the same answer.
const MaxCancellations = 16

// PaymentHint is a word of the bus about a pending payment. It is not believed: the gateway is asked.
type PaymentHint struct {
	ID        string `json:"id"`
	Cause     string `json:"cause,omitempty"`
	Succeeded bool   `json:"succeeded"`
	Code      string `json:"code,omitempty"`
}

// ShipmentFact is a word of the bus about the parcel.
type ShipmentFact struct {
	ID             string `json:"id"`
	Cause          string `json:"cause,omitempty"`
	Carrier        string `json:"carrier,omitempty"`
	TrackingNumber string `json:"trackingNumber,omitempty"`
	Reason         string `json:"reason,omitempty"`
}

// Stuck reports that a step which must succeed does not.
type Stuck = saga.StuckCall

// Facts are what a run has seen besides the log: signals, and the fate of its own attempts. They are kept by
// the id of the event that brought them, so that a duplicate changes nothing.
type Facts struct {
	Cancellations []Cancellation `json:"cancellations,omitempty"`
	// Hint is the newest word about a pending payment that the gateway has not been asked about yet, or did not know of.
	Hint *PaymentHint `json:"hint,omitempty"`
	// HintAsked counts how often the gateway was asked about Hint and did not know of it; HintAfter is when it is asked again.
	HintAsked  int           `json:"hintAsked,omitempty"`
	HintAfter  time.Time     `json:"hintAfter,omitzero"`
	Dispatched *ShipmentFact `json:"dispatched,omitempty"`
	Delivered  *ShipmentFact `json:"delivered,omitempty"`
	Lost       *ShipmentFact `json:"lost,omitempty"`
	// GivenUp is the step before the pivot that was unavailable past its deadline.
	GivenUp Step `json:"givenUp,omitempty"`
	// LookedUp tells that the participant was asked after a step was given up, or after a pending payment's time was
	// over, and knew of nothing that stands.
	LookedUp bool `json:"lookedUp,omitempty"`
	// StockLost is the SKU of which the order holds stock that is not there, when it was asked to give way.
	StockLost string `json:"stockLost,omitempty"`
	// Shortage is set while the reservation waits for stock that other orders hold for now.
	Shortage *Shortage `json:"shortage,omitempty"`
	// Stuck is the step that must succeed and does not.
	Stuck *Stuck `json:"stuck,omitempty"`
	// Resolutions are operators' decisions, until they are recorded or refused.
	Resolutions []Resolution `json:"resolutions,omitempty"`
	// NotCaptured is the id of the decision for which the gateway said that nothing was captured.
	NotCaptured string `json:"notCaptured,omitempty"`
}

// Action is what to do next.
type Action = saga.Action

// ActionKind says what kind of thing is to be done.
type ActionKind = saga.ActionKind

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
	s.ID = s.Order.ID
	return Flow.Decide(s, f.kit(s.Order.ID), now, t.Of)
}

// Decisions returns the events that Next wants recorded one after the other, from s on, as many as one append takes.
func Decisions(s State, f Facts, now time.Time, t Timing) []event.Entry {
	s.ID = s.Order.ID
	return Flow.Decisions(s, f.kit(s.Order.ID), now, t.Of)
}

// Of is how long a wait lasts.
func (t Timing) Of(d saga.Deadline) time.Duration {
	switch d {
	case ReserveDeadline:
		return t.Reserve
	case AuthorizeDeadline:
		return t.Authorize
	case PaymentPendingDeadline:
		return t.PaymentPending
	case ShipmentDeadline:
		return t.Shipment
	case DeliveryDeadline:
		return t.Delivery
	}
	return 0
}

// kit is the facts as the saga kit knows them.
func (f Facts) kit(orderID string) saga.Facts {
	k := saga.Facts{
		Resolutions: f.Resolutions, GivenUp: f.GivenUp, Stuck: f.Stuck, NotDone: f.NotCaptured,
	}
	if f.LookedUp {
		// Without a step that was given up it is the payment that was pending.
		k.LookedUp = cmp.Or(f.GivenUp, StepAuthorize)
	}
	if len(f.Cancellations) > 0 {
		// The first one decides, and is the one that is answered.
		c := f.Cancellations[0]
		k.Cancellations = []saga.Cancellation{{ID: c.ID, Cause: c.Cause, Identity: c.Identity(orderID), Reason: c.Reason}}
	}
	if h := f.Hint; h != nil {
		k.Heard = append(k.Heard, saga.Fact{Type: h.EventType(), ID: h.ID, Cause: h.Cause, Identity: h.Identity(orderID), NotBefore: f.HintAfter})
	}
	for _, p := range []struct {
		eventType string
		fact      *ShipmentFact
	}{{event.ShipmentDispatched, f.Dispatched}, {event.ShipmentDelivered, f.Delivered}, {event.ShipmentLost, f.Lost}} {
		if p.fact != nil {
			data, _ := json.Marshal(p.fact) // a struct of strings
			k.Heard = append(k.Heard, saga.Fact{Type: p.eventType, ID: p.fact.ID, Cause: p.fact.Cause,
				Identity: p.fact.Identity(orderID, p.eventType), Data: data})
		}
	}
	if f.StockLost != "" {
		k.TurnBack = &saga.Ending{Outcome: StatusRejected, Reason: ReasonStockLost,
			Detail: "fewer of sku " + f.StockLost + " are there than orders have reserved"}
	}
	if w := f.Shortage; w != nil {
		k.Later = &saga.Later{Step: StepReserve, At: w.RetryAt, For: "stock that other orders hold for now"}
	}
	return k
}

// IsUndone reports whether a step that is to be compensated was, or a person has decided about it instead.
func (s State) IsUndone(step Step) bool { return Flow.IsUndone(s, step) }

// due reports whether a deadline is over. Both are workflow time.
func due(deadline, now time.Time) bool { return !now.Before(deadline) }

// PaymentDeadline is until when a pending payment waits for its payer.
func (s State) PaymentDeadline(t Timing) time.Time { return Flow.PendingUntil(s, StepAuthorize, t.Of) }
