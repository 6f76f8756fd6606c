package order

import (
	"cmp"
	"encoding/json"
	"strconv"
	"time"

	"github.com/ordersaga/ordersaga/event"
)

// Accept makes the first event of an order's stream.
func Accept(o Order, correlationID, causationID string, at time.Time) event.Entry {
	return event.New(event.OrderStream(o.ID), SlotAccept, event.OrderAccepted, o.ID, at, o).
		CausedBy(correlationID, causationID)
}

// entry makes an event behind the state. Times never go back in a stream, whichever clock is behind.
func (s State) entry(slot, eventType string, at time.Time, data any) event.Entry {
	if at.Before(s.UpdatedAt) {
		at = s.UpdatedAt
	}
	return event.New(event.OrderStream(s.Order.ID), slot, eventType, s.Order.ID, at, data).
		CausedBy(s.CorrelationID, s.LastEventID)
}

// causedBy says which event from outside caused an entry; without one it is the event before it.
func (s State) causedBy(cause string, e event.Entry) event.Entry {
	if cause == "" {
		return e
	}
	return e.CausedBy(s.CorrelationID, cause)
}

// Notified says which notification caused the outcome of an authorization.
func (s State) Notified(h PaymentHint, e event.Entry) event.Entry {
	if h.Cause == "" {
		return e
	}
	switch e.Type {
	case event.PaymentAuthorized:
		e.Data = withIdentity(e, h.Identity(s.Order.ID), func(d *PaymentData, identity string) { d.EventIdentity = identity })
	case event.PaymentDeclined:
		e.Data = withIdentity(e, h.Identity(s.Order.ID), func(d *PaymentRefusal, identity string) { d.EventIdentity = identity })
	}
	return e.CausedBy(s.CorrelationID, h.Cause)
}

// withIdentity returns the data of an entry that was made here with the identity in it.
func withIdentity[T any](e event.Entry, identity string, set func(*T, string)) json.RawMessage {
	data, err := event.Decode[T](e.Event)
	if err != nil {
		return e.Data
	}
	set(&data, identity)
	raw, err := json.Marshal(data)
	if err != nil {
		return e.Data
	}
	return raw
}

// Items are the order's lines without prices.
func (o Order) Items() []Item {
	lines := make([]Item, len(o.Lines))
	for i, l := range o.Lines {
		lines[i] = Item{SKU: l.SKU, Quantity: l.Quantity}
	}
	return lines
}

// items are the order's lines without prices, as events have them.
func (s State) items() Items { return Items{OrderID: s.Order.ID, Lines: s.Order.Items()} }

func (s State) paymentData(paymentID string) PaymentData {
	return PaymentData{OrderID: s.Order.ID, PaymentID: paymentID, Amount: s.Order.TotalAmount, Currency: s.Order.Currency}
}

// Reserved makes the outcome of a reservation out of the outcomes of its lines: inventory.reserved when all of
// them hold stock, else inventory.rejected with the reason of the first line that was refused. A line without a reason was
// not asked for, or has no answer yet: it may hold stock in the end, and is released with the others.
func (s State) Reserved(lines []LineOutcome, at time.Time) event.Entry {
	d := Rejection{OrderID: s.Order.ID, Lines: lines}
	all := true
	for _, l := range lines {
		all = all && l.Reserved
		d.Held = d.Held || l.Reserved || l.Reason == ""
		d.Reason = cmp.Or(d.Reason, l.Reason)
	}
	if all {
		return s.entry(SlotReserve, event.InventoryReserved, at, s.items())
	}
	return s.entry(SlotReserve, event.InventoryRejected, at, d)
}

// PaymentPending makes the interim outcome of an authorization that waits for its payer, until expiresAt.
func (s State) PaymentPending(paymentID string, at, expiresAt time.Time) event.Entry {
	d := s.paymentData(paymentID)
	d.ExpiresAt = timeText(expiresAt)
	return s.entry(SlotPending, event.PaymentPending, at, d)
}

// confirmed asks the warehouse for the goods, and waits for their dispatch until expiresAt.
func (s State) confirmed(at, expiresAt time.Time) event.Entry {
	d := s.items()
	d.ExpiresAt = timeText(expiresAt)
	return s.entry(SlotConfirm, event.OrderConfirmed, at, d)
}

// Authorized makes the outcome of an authorization that stands.
func (s State) Authorized(paymentID string, at time.Time) event.Entry {
	return s.entry(SlotAuthorize, event.PaymentAuthorized, at, s.paymentData(paymentID))
}

// Declined makes the outcome of an authorization that was definitely refused. Asynchronous tells that it was
// pending before.
func (s State) Declined(paymentID, code string, asynchronous bool, at time.Time) event.Entry {
	reason := ReasonPaymentDeclined
	if asynchronous || s.Payment == PaymentPending {
		reason = ReasonPaymentFailed
	}
	return s.entry(SlotAuthorize, event.PaymentDeclined, at,
		PaymentRefusal{OrderID: s.Order.ID, PaymentID: paymentID, Reason: reason, Code: code})
}

// Captured makes the outcome of a capture.
func (s State) Captured(paymentID string, at time.Time) event.Entry {
	return s.entry(SlotCapture, event.PaymentCaptured, at, s.paymentData(paymentID))
}

// CaptureRefused makes the outcome of a capture that was definitely refused.
func (s State) CaptureRefused(code string, at time.Time) event.Entry {
	return s.entry(SlotCapture, event.PaymentCaptureRefused, at,
		PaymentRefusal{OrderID: s.Order.ID, PaymentID: s.PaymentID, Reason: ReasonCaptureRefused, Code: code})
}

// Undone makes the outcome of a compensation.
func (s State) Undone(step Step, at time.Time) event.Entry {
	slot := UndoSlot(step)
	switch step {
	case StepReserve:
		return s.entry(slot, event.InventoryReleased, at, s.items())
	case StepAuthorize:
		return s.entry(slot, event.PaymentVoided, at, s.paymentData(s.PaymentID))
	default:
		return s.entry(slot, event.OrderFulfillmentWithdrawn, at, Ref{OrderID: s.Order.ID})
	}
}

// RefundedCapture makes the outcome of undoing an authorization whose payment turns out to be captured: that it was captured,
// unless the log says so already, and that amount was given back.
func (s State) RefundedCapture(paymentID string, amount int64, at time.Time) []event.Entry {
	var entries []event.Entry
	switch s.Capture {
	case "":
		entries = append(entries, s.Captured(paymentID, at))
	case CaptureRefused:
		entries = append(entries, s.entry(SlotCapturedLate, event.PaymentCaptured, at, s.paymentData(paymentID)))
	}
	d := s.paymentData(paymentID)
	d.Amount = amount
	refunded := s.entry(UndoSlot(StepAuthorize), event.PaymentRefunded, at, d)
	if len(entries) > 0 {
		refunded.CausationID = entries[0].ID
	}
	return append(entries, refunded)
}

// CommittedStock makes the outcome of committing the reservation.
func (s State) CommittedStock(at time.Time) event.Entry {
	return s.entry(SlotCommit, event.InventoryCommitted, at, s.items())
}

// compensating decides that everything is undone, and how the order ends then.
func (s State) compensating(slot string, e Ending, at time.Time) event.Entry {
	e.OrderID, e.Detail = s.Order.ID, clean(e.Detail)
	return s.entry(slot, event.OrderCompensating, at, e)
}

// terminalType is the terminal event of each terminal status.
var terminalType = map[Status]string{
	StatusCompleted: event.OrderCompleted,
	StatusRejected:  event.OrderRejected,
	StatusCancelled: event.OrderCancelled,
	StatusFailed:    event.OrderFailed,
}

// ended makes the terminal event.
func (s State) ended(e Ending, at time.Time) event.Entry {
	e.OrderID = s.Order.ID
	return s.entry(SlotEnd, terminalType[e.Outcome], at, e)
}

// refused answers a cancellation that came too late, and every later one.
func (s State) refused(c Cancellation, at time.Time) event.Entry {
	return s.causedBy(c.Cause, s.entry(SlotCancelRefused, event.OrderCancellationRefused, at, CancellationRefusal{
		OrderID: s.Order.ID, RequestID: c.ID, Reason: clean(c.Reason), Detail: s.WhyNotCancellable(),
	}))
}

// NewAttention makes the data of order.needs_attention.
func NewAttention(orderID string, f Stuck) Attention {
	d := Attention{OrderID: orderID, Step: f.Step, Undo: f.Undo, Error: clean(f.Error), Attempts: f.Attempts}
	d.NextTry = timeText(f.NextTry)
	return d
}

// attention asks an operator to look.
func (s State) attention(f Stuck, at time.Time) event.Entry {
	return s.entry(slotAttention+strconv.Itoa(s.Attention.Count+1), event.OrderNeedsAttention, at, NewAttention(s.Order.ID, f))
}

// TimeLayout is the form of times in the data of events: RFC 3339, UTC, with milliseconds.
const TimeLayout = "2006-01-02T15:04:05.000Z"

// timeText writes a time in the data of an event; the zero time is "".
func timeText(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(TimeLayout)
}

// timeOf reads a time in the data of an event; zero when there is none.
func timeOf(text string) time.Time {
	at, err := time.Parse(TimeLayout, text)
	if err != nil {
		return time.Time{}
	}
	return at
}

// attentionResolved says that what an operator was asked to look at is resolved, and how.
func (s State) attentionResolved(at time.Time) event.Entry {
	return s.entry(slotResolved+strconv.Itoa(s.Attention.Count), event.OrderAttentionResolved, at,
		AttentionResolution{OrderID: s.Order.ID, Step: s.Attention.Step, Note: s.howResolved()})
}

// WhyNotCancellable says for people why a cancellation cannot be honoured any more, or "" when it can.
func (s State) WhyNotCancellable() string {
	switch {
	case s.Ended:
		return "the order has ended: it is " + string(s.Status)
	case s.Decision == Forward && !s.ShippedAt.IsZero():
		return "the goods have been dispatched"
	case s.Decision == Forward:
		return "the order is being settled"
	case s.Decision == Back && !s.Cancelling():
		return "the order is already being undone: " + s.Ending.Reason
	}
	return ""
}
