package order

import (
	"time"

	"github.com/ordersaga/ordersaga/event"
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

// Stuck tells that a step which must succeed does not.
type Stuck struct {
	Step     Step      `json:"step"`
	Undo     bool      `json:"undo"`
	Error    string    `json:"error"`
	Attempts int       `json:"attempts"`
	NextTry  time.Time `json:"nextTry"`
}

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

// ActionKind says what kind of thing is to be done.
type ActionKind string

// The kinds of actions.
const (
	// Record appends Entry to the order's stream.
	Record ActionKind = "record"
	// Do attempts Step.
	Do ActionKind = "do"
	// Undo makes it so that Step has not happened, and keeps it so.
	Undo ActionKind = "undo"
	// Lookup asks the participant what became of the step; of a capture, whether it happened.
	Lookup ActionKind = "lookup"
	// Wait waits for a signal, until Until.
	Wait ActionKind = "wait"
	// Close ends the run: the stream has its terminal event.
	Close ActionKind = "close"
)

// Action is what to do next.
type Action struct {
	Kind ActionKind
	Step Step
	// Entry is what to append; for Record.
	Entry event.Entry
	// Until ends a Wait; for people, For says what it waits for.
	Until time.Time
	For   string
}

// Next decides what to do about an order. It is pure: the same state, facts and time give the same action, in
// the workflow, in a second run of it, and in a test.
//
// The order of the checks is the order of precedence. What the log has recorded comes before what a signal
// says, and what is decided is never decided again.
func Next(s State, f Facts, now time.Time, t Timing) Action {
	switch {
	case s.Ended:
		return Action{Kind: Close}
	case s.Attention.Open && !s.stuck(f):
		return record(s.attentionResolved(now))
	case f.Stuck != nil && !s.attends(*f.Stuck) && !s.settled(f.Stuck.Step, f.Stuck.Undo):
		return record(s.attention(*f.Stuck, now))
	}
	if r, open := s.Decided(f); open {
		return s.resolve(r, f, now)
	}
	if c, late := s.tooLate(f); late {
		return record(s.refused(c, now))
	}
	switch {
	case s.Decision == "":
		return s.beforePivot(f, now, t)
	case s.Decision == Forward && s.Capture == CaptureRefused && s.ShippedAt.IsZero():
		return record(s.compensating(SlotTurn, Ending{Outcome: StatusRejected, Reason: ReasonCaptureRefused}, now))
	case s.Decision == Forward:
		return s.forward(f, now, t)
	default:
		return s.back(f, now, t)
	}
}

// maxDecisions bounds what is appended together, far below what one append takes.
const maxDecisions = 50

// Decisions returns the events that Next wants recorded one after the other, from s on, as many as one append takes.
func Decisions(s State, f Facts, now time.Time, t Timing) []event.Entry {
	var entries []event.Entry
	for len(entries) < maxDecisions {
		a := Next(s, f, now, t)
		if a.Kind != Record {
			return entries
		}
		entries = append(entries, a.Entry)
		next, err := s.Fold([]event.Record{{
			Stream: event.OrderStream(s.Order.ID), Version: s.Head.Version + 1, Entry: a.Entry,
		}})
		if err != nil {
			return entries
		}
		s = next
	}
	return entries
}

func record(e event.Entry) Action { return Action{Kind: Record, Entry: e} }

// beforePivot: everything can still be undone.
func (s State) beforePivot(f Facts, now time.Time, t Timing) Action {
	turn := func(outcome Status, reason, detail string) Action {
		return record(s.compensating(SlotDecide, Ending{Outcome: outcome, Reason: reason, Detail: detail}, now))
	}
	switch {
	case s.Inventory == InventoryRejected && !s.Held:
		return record(s.ended(Ending{Outcome: StatusRejected, Reason: s.Reason}, now))
	case s.Inventory == InventoryRejected:
		return turn(StatusRejected, s.Reason, "")
	case s.Payment == PaymentDeclined:
		return turn(StatusRejected, s.PaymentReason, "")
	case len(f.Cancellations) > 0 && !s.dispatched(f):
		c := f.Cancellations[0]
		return record(s.causedBy(c.Cause, s.compensating(SlotDecide,
			Ending{Outcome: StatusCancelled, Reason: ReasonRequested, Detail: c.Reason,
				EventIdentity: eventIdentity(c.Cause, c.Identity(s.Order.ID))}, now)))
	case f.StockLost != "" && !s.dispatched(f):
		return turn(StatusRejected, ReasonStockLost, "fewer of sku "+f.StockLost+" are there than orders have reserved")
	case s.Inventory == "" && f.GivenUp == StepReserve && !f.LookedUp:
		return Action{Kind: Lookup, Step: StepReserve}
	case s.Inventory == "" && f.GivenUp == StepReserve:
		return turn(StatusFailed, Unavailable(StepReserve), "")
	case s.Inventory == "" && f.Shortage.waits(now):
		return Action{Kind: Wait, Step: StepReserve, Until: f.Shortage.RetryAt, For: "stock that other orders hold for now"}
	case s.Inventory == "":
		return Action{Kind: Do, Step: StepReserve}
	case s.Payment == "" && f.GivenUp == StepAuthorize && !f.LookedUp:
		return Action{Kind: Lookup, Step: StepAuthorize}
	case s.Payment == "" && f.GivenUp == StepAuthorize:
		return turn(StatusFailed, Unavailable(StepAuthorize), "")
	case s.Payment == "":
		return Action{Kind: Do, Step: StepAuthorize}
	case s.Payment == PaymentPending && (f.asks(now) || due(s.PaymentDeadline(t), now) && !f.LookedUp):
		return Action{Kind: Lookup, Step: StepAuthorize}
	case s.Payment == PaymentPending && due(s.PaymentDeadline(t), now):
		return turn(StatusFailed, ReasonPaymentTimeout, "")
	case s.Payment == PaymentPending:
		return Action{Kind: Wait, Step: StepAuthorize, Until: f.waitUntil(s.PaymentDeadline(t)), For: "the payer"}
	case s.Order.Fulfillment == Immediate, !s.ShippedAt.IsZero():
		return record(s.entry(SlotDecide, event.OrderSettling, now, Ref{OrderID: s.Order.ID}))
	case s.ConfirmedAt.IsZero():
		return record(s.confirmed(now, now.Add(t.Shipment)))
	case f.Dispatched != nil:
		return record(s.shipped(event.ShipmentDispatched, *f.Dispatched, now, t))
	case f.Delivered != nil:
		return record(s.shipped(event.ShipmentDelivered, *f.Delivered, now, t))
	case f.Lost != nil:
		return record(s.shipped(event.ShipmentLost, *f.Lost, now, t))
	case due(s.dispatchDeadline(t), now):
		return turn(StatusFailed, ReasonShipmentTimeout, "")
	default:
		return Action{Kind: Wait, Step: StepConfirm, Until: s.dispatchDeadline(t), For: "the dispatch of the goods"}
	}
}

// forward: the pivot decided that the order goes through. Nothing is undone any more.
func (s State) forward(f Facts, now time.Time, t Timing) Action {
	switch {
	case s.Capture == "" && !s.settled(StepCapture, false):
		return Action{Kind: Do, Step: StepCapture}
	case s.Capture == CaptureRefused && !s.settled(StepCapture, false):
		return s.look(Stuck{Step: StepCapture, Error: "the capture was refused after the goods had been dispatched"}, now, t)
	case !s.settled(StepCommit, false):
		return Action{Kind: Do, Step: StepCommit}
	case s.Order.Fulfillment == Shipment && !s.settled(StepDeliver, false) && f.Delivered != nil:
		return record(s.causedBy(f.Delivered.Cause, s.entry(SlotDeliver, event.OrderDelivered, now, s.dispatch(event.ShipmentDelivered, *f.Delivered))))
	case s.Order.Fulfillment == Shipment && !s.settled(StepDeliver, false):
		return s.awaitDelivery(f, now, t)
	default:
		return record(s.ended(s.completed(), now))
	}
}

// completed is how an order ends that went through. What was skipped was not taken.
func (s State) completed() Ending {
	e := Ending{Outcome: StatusCompleted, TotalAmount: s.Order.TotalAmount, Currency: s.Order.Currency}
	if hand, ok := s.byHand(StepCapture, false); ok && hand.Action == Skip {
		e.TotalAmount, e.Currency = 0, ""
	}
	return e
}

// awaitDelivery waits for the parcel. A parcel that is lost or late is for people to look at; that it may
// still arrive is waited for.
func (s State) awaitDelivery(f Facts, now time.Time, t Timing) Action {
	deadline := s.deliveryDeadline(t)
	switch {
	case f.Lost != nil:
		return s.look(Stuck{Step: StepDeliver, Error: "the carrier lost the goods"}, now, t)
	case due(deadline, now):
		return s.look(Stuck{Step: StepDeliver, Error: "the goods were not delivered in time"}, now, t)
	}
	return Action{Kind: Wait, Step: StepDeliver, Until: deadline, For: "the delivery of the goods"}
}

// look asks an operator to look, once, and waits.
func (s State) look(what Stuck, now time.Time, t Timing) Action {
	if !s.attends(what) {
		return record(s.attention(what, now))
	}
	return Action{Kind: Wait, Step: what.Step, Until: now.Add(t.Delivery), For: "somebody to look at it"}
}

// back: the pivot decided that everything is undone, newest first. A step that may have been attempted is
// undone whether or not the log knows its outcome; only a recorded refusal, or the certainty that an earlier
// step never finished, leaves an undo out.
func (s State) back(f Facts, now time.Time, t Timing) Action {
	switch {
	case !s.AtLarge && s.dispatched(f):
		return record(s.attention(atLarge, now))
	case !s.ConfirmedAt.IsZero() && !s.settled(StepConfirm, true):
		return Action{Kind: Undo, Step: StepConfirm}
	case s.Inventory == InventoryReserved && s.Payment != PaymentDeclined && !s.settled(StepAuthorize, true):
		return Action{Kind: Undo, Step: StepAuthorize}
	case (s.Inventory != InventoryRejected || s.Held) && !s.settled(StepReserve, true):
		return Action{Kind: Undo, Step: StepReserve}
	case s.AtLarge && !s.settled(StepDispatch, false):
		return s.look(atLarge, now, t)
	}
	return record(s.ended(Ending{Outcome: s.Ending.Outcome, Reason: s.Ending.Reason, Detail: s.Ending.Detail}, now))
}

// tooLate returns the first cancellation that can no longer be honoured, unless one was refused before: that is the answer
// to this one too.
func (s State) tooLate(f Facts) (Cancellation, bool) {
	if s.Decision == "" || s.Cancelling() {
		return Cancellation{}, false
	}
	if s.CancelRefused || len(f.Cancellations) == 0 {
		return Cancellation{}, false
	}
	return f.Cancellations[0], true
}

// atLarge is what an operator is asked to look at when goods are dispatched although their order is being undone.
var atLarge = Stuck{Step: StepDispatch, Error: "the goods were dispatched although the order is being undone"}

// dispatched reports whether the log or a fact says that the goods of a confirmed order are on their way, or were.
func (s State) dispatched(f Facts) bool {
	return !s.ShippedAt.IsZero() || !s.ConfirmedAt.IsZero() && (f.Dispatched != nil || f.Delivered != nil || f.Lost != nil)
}

// attends reports whether an operator is being asked to look at exactly this.
func (s State) attends(what Stuck) bool {
	return s.Attention.Open && s.Attention.Step == what.Step && s.Attention.Undo == what.Undo
}

// stuck reports whether what an operator was asked to look at has not gone through yet.
func (s State) stuck(f Facts) bool {
	if !s.Attention.Undo && s.Attention.Step == StepDeliver && f.Delivered != nil {
		return false
	}
	return !s.settled(s.Attention.Step, s.Attention.Undo)
}

// IsUndone reports whether a step that is to be undone was, or an operator has decided about it instead.
func (s State) IsUndone(step Step) bool { return s.settled(step, true) }

// settled reports whether something that must come about has: by itself, by hand, or because it is not wanted any more.
func (s State) settled(step Step, undo bool) bool {
	if _, byHand := s.byHand(step, undo); byHand {
		return true
	}
	switch {
	case undo && step == StepReserve:
		return s.Released
	case undo && step == StepAuthorize:
		return s.Voided
	case undo:
		return s.Withdrawn
	case step == StepCapture:
		return s.Capture == CaptureDone || s.Decision == Back
	case step == StepCommit:
		return s.Committed
	case step == StepDeliver:
		return !s.DeliveredAt.IsZero()
	}
	return false
}

// shipped says that the goods are on their way, and waits for their delivery.
func (s State) shipped(eventType string, f ShipmentFact, now time.Time, t Timing) event.Entry {
	d := s.dispatch(eventType, f)
	d.ExpiresAt = timeText(now.Add(t.Delivery))
	return s.causedBy(f.Cause, s.entry(SlotShip, event.OrderShipped, now, d))
}

func (s State) dispatch(eventType string, f ShipmentFact) Dispatch {
	return Dispatch{OrderID: s.Order.ID, Carrier: clean(f.Carrier), TrackingNumber: clean(f.TrackingNumber),
		EventIdentity: eventIdentity(f.Cause, f.Identity(s.Order.ID, eventType))}
}

// due reports whether a deadline is over. Both are workflow time.
func due(deadline, now time.Time) bool { return !now.Before(deadline) }

// PaymentDeadline is until when a pending payment waits for its payer.
func (s State) PaymentDeadline(t Timing) time.Time {
	return deadline(s.PaymentExpiresAt, s.PendingSince, t.PaymentPending)
}

func (s State) dispatchDeadline(t Timing) time.Time {
	return deadline(s.DispatchExpiresAt, s.ConfirmedAt, t.Shipment)
}

func (s State) deliveryDeadline(t Timing) time.Time {
	return deadline(s.DeliveryExpiresAt, s.ShippedAt, t.Delivery)
}

// deadline is what the event says that began the wait; one of an older version does not, and the wait begins at its time.
func deadline(expiresAt, began time.Time, wait time.Duration) time.Time {
	if !expiresAt.IsZero() {
		return expiresAt
	}
	return began.Add(wait)
}
