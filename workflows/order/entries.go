package order

import (
	"cmp"
	"encoding/json"
	"time"

	"github.com/ordersaga/ordersaga/event"
)

// Accept makes the first event of an order's stream.
func Accept(o Order, correlationID, causationID string, at time.Time) event.Entry {
	return event.New(event.OrderStream(o.ID), SlotAccept, event.OrderAccepted, o.ID, at, o).
		CausedBy(correlationID, causationID)
}

// entry makes an event after the state. Times never go back in a stream, whichever clock is behind.
func (s State) entry(slot, eventType string, at time.Time, data any) event.Entry {
	s.ID = s.Order.ID
	return s.Entry(event.OrderStream(s.Order.ID), slot, eventType, at, data)
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

// TimeLayout is the form of times in the data of events: RFC 3339, UTC, with milliseconds.
const TimeLayout = "2006-01-02T15:04:05.000Z"

// timeText writes a time in the data of an event; the zero time is "".
func timeText(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(TimeLayout)
}

// WhyNotCancellable says for people why a cancellation cannot be honoured any more, or "" when it can.
func (s State) WhyNotCancellable() string { return Flow.RefusalText(&s) }
