package order

import (
	"cmp"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Accept makes the first event of an order's stream.
func Accept(o Order, correlationID, causationID string, at time.Time) event.Entry {
	return event.New(event.OrderStream(o.ID), SlotAccept, event.OrderAccepted, o.ID, at, o).
		CausedBy(correlationID, causationID)
}

// Items are the stock that the order takes: how many of each SKU its stocked lines have together, in the order of their first appearance.
func (o Order) Items() []Item {
	items, at := make([]Item, 0, len(o.Lines)), make(map[string]int, len(o.Lines))
	for _, l := range o.Lines {
		if !l.IsStocked() {
			continue
		}
		if i, seen := at[l.SKU]; seen {
			items[i].Quantity += l.Quantity
			continue
		}
		at[l.SKU] = len(items)
		items = append(items, Item{SKU: l.SKU, Quantity: l.Quantity})
	}
	return items
}

// rejected is the refusal of a reservation, unless all lines hold stock, with the reason of the first line that was refused. A line
// without a reason was not asked for, or has no answer yet: it may hold stock in the end, and is released with the others.
func rejected(lines []LineOutcome) (r rejection, refused bool) {
	r.Lines = lines
	for _, l := range lines {
		refused = refused || !l.Reserved
		r.Held = r.Held || l.Reserved || l.Reason == ""
		r.Reason = cmp.Or(r.Reason, l.Reason)
	}
	return r, refused
}

// declined is the refusal of an authorization. Asynchronous reports that it was pending before.
func (s State) declined(paymentID, code string, asynchronous bool) refusal {
	reason := ReasonPaymentDeclined
	if asynchronous || s.Payment == PaymentPending {
		reason = ReasonPaymentFailed
	}
	return refusal{PaymentID: paymentID, Reason: reason, Code: code}
}

// The outcomes as events, for code that writes an order's stream without its workflow.

// outcome makes the events of an outcome.
func (s State) outcome(step Step, o saga.Outcome, at time.Time, waits time.Duration) []event.Entry {
	entries, err := Flow.Entries(saga.StepInput[State]{
		State: s, Settings: saga.Settings{Waits: map[saga.Deadline]time.Duration{PaymentPendingDeadline: waits}},
	}, step, o, at)
	if err != nil {
		panic(err)
	}
	return entries
}

// Reserved makes the outcome of a reservation out of the outcomes of its lines.
func (s State) Reserved(lineOutcomes []LineOutcome, at time.Time) event.Entry {
	if r, refused := rejected(lineOutcomes); refused {
		return s.outcome(StepReserve, saga.Refused(r), at, 0)[0]
	}
	return s.outcome(StepReserve, saga.Done(lines{s.Order.Items()}), at, 0)[0]
}

// PaymentPending makes the interim outcome of an authorization that waits for its payer, until expiresAt.
func (s State) PaymentPending(paymentID string, at, expiresAt time.Time) event.Entry {
	return s.outcome(StepAuthorize, saga.Pending(s.paid(paymentID)), at, expiresAt.Sub(at))[0]
}

// Authorized makes the outcome of a successful authorization.
func (s State) Authorized(paymentID string, at time.Time) event.Entry {
	return s.outcome(StepAuthorize, saga.Done(s.paid(paymentID)), at, 0)[0]
}

// Declined makes the outcome of an authorization that was definitely refused.
func (s State) Declined(paymentID, code string, asynchronous bool, at time.Time) event.Entry {
	return s.outcome(StepAuthorize, saga.Refused(s.declined(paymentID, code, asynchronous)), at, 0)[0]
}

// Captured makes the outcome of a capture.
func (s State) Captured(paymentID string, at time.Time) event.Entry {
	return s.outcome(StepCapture, saga.Done(s.paid(paymentID)), at, 0)[0]
}

// CaptureRefused makes the outcome of a capture that was definitely refused.
func (s State) CaptureRefused(code string, at time.Time) event.Entry {
	return s.outcome(StepCapture, saga.Refused(refusal{s.PaymentID, ReasonCaptureRefused, code}), at, 0)[0]
}

// Undone makes the outcome of a compensation.
func (s State) Undone(step Step, at time.Time) event.Entry {
	var data any
	switch step {
	case StepReserve:
		data = lines{s.Order.Items()}
	case StepAuthorize:
		data = s.paid(s.PaymentID)
	}
	return s.outcome(step, saga.Undone(data), at, 0)[0]
}

// refunded is the outcome of undoing an authorization whose payment turns out to be captured: that it was captured,
// unless the log says so already, and that amount was refunded.
func (s State) refunded(paymentID string, amount int64) saga.Outcome {
	o := saga.Undone(paid{PaymentID: paymentID, Amount: amount, Currency: s.Order.Currency}).As(event.PaymentRefunded)
	switch s.Capture {
	case "":
		return o.After(SlotCapture, event.PaymentCaptured, s.paid(paymentID))
	case CaptureRefused:
		return o.After(SlotCapturedLate, event.PaymentCaptured, s.paid(paymentID))
	}
	return o
}

// CommittedStock makes the outcome of committing the reservation.
func (s State) CommittedStock(at time.Time) event.Entry {
	return s.outcome(StepCommit, saga.Done(lines{s.Order.Items()}), at, 0)[0]
}
