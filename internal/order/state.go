package order

import (
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
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
type Decision string

// The decisions; empty before the pivot.
const (
	Forward Decision = "forward"
	Back    Decision = "back"
)

// State is an order as its events tell it. It is a value: Fold makes it, nothing else changes it.
type State struct {
	Order Order `json:"order"`
	// Head is the newest record that was folded.
	Head event.Head `json:"head"`
	// Status, Reason and Detail are what the API shows.
	Status Status `json:"status"`
	Reason string `json:"reason,omitempty"`
	Detail string `json:"detail,omitempty"`
	// CreatedAt is the time of the first event, UpdatedAt of the newest.
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
	// CorrelationID is the one of the first event; LastEventID is the cause of what comes next.
	CorrelationID string `json:"correlationId,omitempty"`
	LastEventID   string `json:"lastEventId,omitempty"`

	Inventory InventoryState `json:"inventory,omitempty"`
	// Held tells that a rejected reservation left lines that hold stock.
	Held bool `json:"held,omitempty"`

	Payment       PaymentState `json:"payment,omitempty"`
	PaymentID     string       `json:"paymentId,omitempty"`
	PaymentReason string       `json:"paymentReason,omitempty"`
	PendingSince  time.Time    `json:"pendingSince,omitzero"`

	ConfirmedAt time.Time `json:"confirmedAt,omitzero"`
	ShippedAt   time.Time `json:"shippedAt,omitzero"`
	// PaymentExpiresAt, DispatchExpiresAt and DeliveryExpiresAt end the three waits, in workflow time, as the event that
	// began each of them says; zero for an event of an older version, which does not.
	PaymentExpiresAt  time.Time `json:"paymentExpiresAt,omitzero"`
	DispatchExpiresAt time.Time `json:"dispatchExpiresAt,omitzero"`
	DeliveryExpiresAt time.Time `json:"deliveryExpiresAt,omitzero"`
	DeliveredAt       time.Time `json:"deliveredAt,omitzero"`

	Decision Decision `json:"decision,omitempty"`
	// Ending says how a compensated order ends; set when Decision is Back.
	Ending    Ending       `json:"ending,omitzero"`
	Capture   CaptureState `json:"capture,omitempty"`
	Committed bool         `json:"committed,omitempty"`

	Withdrawn bool `json:"withdrawn,omitempty"`
	Voided    bool `json:"voided,omitempty"`
	// Refunded reports that the money had been captured when the authorization was undone, and was given back.
	Refunded bool `json:"refunded,omitempty"`
	Released bool `json:"released,omitempty"`
	Ended    bool `json:"ended,omitempty"`

	// AtLarge tells that goods were dispatched although the order is being undone: it does not end before somebody
	// has looked.
	AtLarge bool `json:"atLarge,omitempty"`

	// Causes are the identities of the events of the bus that caused events of the order; one for each slot at most.
	Causes []string `json:"causes,omitempty"`
	// CancelRefused reports whether a cancellation was refused. That refusal is the answer to every later one.
	CancelRefused bool `json:"cancelRefused,omitempty"`
	// Resolutions are the ids of the operators' decisions that were recorded, the newest MaxResolutions of them; ByHand are
	// the steps that they settled.
	Resolutions []string `json:"resolutions,omitempty"`
	ByHand      []ByHand `json:"byHand,omitempty"`
	// Attention is what an operator was last asked to look at.
	Attention AttentionState `json:"attention,omitzero"`
	// flow is the status without regard to attention.
	Flow Status `json:"flow,omitempty"`
}

// AttentionState is what the log knows of the attention desk.
type AttentionState struct {
	Open bool `json:"open"`
	Step Step `json:"step,omitempty"`
	Undo bool `json:"undo,omitempty"`
	// Count is the number of the newest attention; they count from 1.
	Count int `json:"count"`
	// Error, Attempts and NextTry are what the event said; a retry by hand moves NextTry. It is zero when nothing
	// is tried.
	Error    string    `json:"error,omitempty"`
	Attempts int       `json:"attempts,omitempty"`
	NextTry  time.Time `json:"nextTry,omitzero"`
	// Since is when somebody was asked.
	Since time.Time `json:"since,omitzero"`
	// Retries counts the retries by hand.
	Retries int `json:"retries,omitempty"`
}

// Opened reports whether the order's stream has its first event.
func (s State) Opened() bool { return s.Head.Version > 0 }

// Fold makes the state that records tell. They must be a stream from its first version, or the part of one
// from there. Errors: Unavailable for a gap, Malformed for data that cannot be read.
func Fold(records []event.Record) (State, error) {
	var s State
	return s.Fold(records)
}

// FoldAt makes the state as it stood at a time: the events after it have not happened yet.
func FoldAt(records []event.Record, at time.Time) (State, error) {
	for i, r := range records {
		if r.Time.After(at) {
			return Fold(records[:i])
		}
	}
	return Fold(records)
}

// Fold returns the state that records make of s. Records that s knows already are passed over. Errors: Unavailable for a gap,
// Malformed for data that cannot be read, Unavailable for an event whose version is newer than this code.
func (s State) Fold(records []event.Record) (State, error) {
	next := s
	next.Resolutions, next.ByHand = slices.Clone(s.Resolutions), slices.Clone(s.ByHand)
	next.Causes = slices.Clone(s.Causes)
	for _, r := range records {
		if r.Version <= next.Head.Version {
			continue
		}
		if r.Version != next.Head.Version+1 {
			return s, fault.Missing("stream %s has version %d where %d should be", r.Stream, r.Version, next.Head.Version+1)
		}
		if err := next.apply(r); err != nil {
			return s, fault.Wrap(err, fault.CodeOf(err), "fold version %d of stream %s", r.Version, r.Stream)
		}
	}
	return next, nil
}

// apply folds one record. Types that it does not know change nothing but the head, so that an older binary can
// read a newer stream.
func (s *State) apply(r event.Record) (err error) {
	if r.Event, err = r.Newest(); err != nil {
		return err
	}
	if err := s.applyData(r); err != nil {
		return err
	}
	if s.Head.Version == 0 {
		s.CreatedAt, s.CorrelationID = r.Time, r.CorrelationID
	}
	s.Head, s.UpdatedAt, s.LastEventID = r.HeadOf(), r.Time, r.ID
	if status, ok := statusAfter[r.Type]; ok && status != StatusNeedsAttention {
		// Shipped orders stay shipped while they settle: that is what their customers want to read.
		if status != StatusSettling || s.ShippedAt.IsZero() {
			s.Flow = status
		}
	}
	s.Status = s.Flow
	if s.Attention.Open && !s.Flow.Terminal() {
		s.Status = StatusNeedsAttention
	}
	return nil
}

// applyData folds what the event says besides the status.
func (s *State) applyData(r event.Record) error {
	switch r.Type {
	case event.OrderAccepted:
		return decodeInto(r, func(o Order) { s.Order = o })
	case event.InventoryReserved:
		s.Inventory = InventoryReserved
	case event.InventoryRejected:
		return decodeInto(r, func(d Rejection) { s.Inventory, s.Held, s.Reason = InventoryRejected, d.Held, d.Reason })
	case event.InventoryReleased:
		s.Released = true
	case event.InventoryCommitted:
		s.Committed = true
	case event.OrderConfirmed:
		s.ConfirmedAt = r.Time
		return decodeInto(r, func(d Items) { s.DispatchExpiresAt = timeOf(d.ExpiresAt) })
	case event.OrderShipped:
		s.ShippedAt = r.Time
		return decodeInto(r, func(d Dispatch) {
			s.DeliveryExpiresAt = timeOf(d.ExpiresAt)
			s.causedByEvent(d.EventIdentity)
		})
	case event.OrderFulfillmentWithdrawn:
		s.Withdrawn = true
	case event.OrderDelivered:
		s.DeliveredAt = r.Time
		return decodeInto(r, func(d Dispatch) { s.causedByEvent(d.EventIdentity) })
	case event.OrderSettling:
		s.Decision = Forward
	case event.OrderCompensating:
		return decodeInto(r, func(d Ending) {
			s.Decision, s.Ending, s.Reason, s.Detail = Back, d, d.Reason, d.Detail
			s.causedByEvent(d.EventIdentity)
			if d.RequestID != "" {
				s.Resolutions = AddResolution(s.Resolutions, d.RequestID)
			}
		})
	case event.OrderCompleted, event.OrderRejected, event.OrderCancelled, event.OrderFailed:
		return decodeInto(r, func(d Ending) { s.Ended, s.Reason, s.Detail = true, d.Reason, d.Detail })
	case event.OrderCancellationRefused:
		s.CancelRefused = true
	case event.OrderNeedsAttention:
		return decodeInto(r, func(d Attention) {
			s.AtLarge = s.AtLarge || d.Step == StepDispatch
			s.Attention = d.Opened(s.Attention, r.Time)
		})
	case event.OrderStepRetried, event.OrderStepSkipped, event.OrderStepSubstituted:
		return s.applyResolution(r)
	case event.OrderAttentionResolved:
		s.Attention.Open = false
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
		return decodeInto(r, func(d PaymentData) {
			s.Payment, s.PaymentID, s.PaymentExpiresAt = PaymentPending, d.PaymentID, timeOf(d.ExpiresAt)
		})
	case event.PaymentAuthorized:
		return decodeInto(r, func(d PaymentData) {
			s.Payment, s.PaymentID = PaymentAuthorized, d.PaymentID
			s.causedByEvent(d.EventIdentity)
		})
	case event.PaymentDeclined:
		return decodeInto(r, func(d PaymentRefusal) {
			s.Payment, s.PaymentReason = PaymentDeclined, d.Reason
			s.causedByEvent(d.EventIdentity)
		})
	case event.PaymentVoided:
		s.Voided = true
	case event.PaymentRefunded:
		s.Voided, s.Refunded = true, true
	case event.PaymentCaptured:
		s.Capture = CaptureDone
	case event.PaymentCaptureRefused:
		s.Capture = CaptureRefused
	}
	return nil
}

// decodeInto reads the record's data and hands it on.
func decodeInto[T any](r event.Record, use func(T)) error {
	data, err := event.Decode[T](r.Event)
	if err != nil {
		return err
	}
	use(data)
	return nil
}

// AnswersCancellation reports whether the log has the answer to every further cancellation: the order is being cancelled, a
// cancellation was refused, or the order has ended.
func (s State) AnswersCancellation() bool { return s.Ended || s.Cancelling() || s.CancelRefused }

// Cancelled reports whether the order is, or will be, cancelled on request.
func (s State) Cancelled() bool {
	return s.Cancelling() || s.Status == StatusCancelled
}

// Cancelling reports whether the order was cancelled on request, or is about to be.
func (s State) Cancelling() bool {
	return s.Decision == Back && s.Ending.Reason == ReasonRequested
}
