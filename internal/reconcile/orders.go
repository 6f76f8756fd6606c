package reconcile

import (
	"context"
	"fmt"
	"strings"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// orderFlow is the flow of orders.
var orderFlow = order.Flow.Name

// Decisions that explain an order whose money or stock is not where its end says.
var (
	moneyExceptions = []exception{{order.StepCapture, false}, {order.StepAuthorize, true}, {order.StepRefund, false}}
	stockExceptions = []exception{{order.StepCommit, false}, {order.StepReserve, true}}
)

// exception is a step, or its undo, that an operator decided about.
type exception struct {
	Step string `json:"step"`
	Undo bool   `json:"undo"`
}

// exceptionOf returns what an operator decided about with an event that ends the tries of a step that is stuck. It takes the slot of the
// step's own outcome.
func exceptionOf(r event.Record) (e exception, ok bool) {
	if r.Type != event.OrderStepSkipped && r.Type != event.OrderStepSubstituted {
		return e, false
	}
	e, err := event.Decode[exception](r.Event)
	return e, err == nil
}

func (e exception) String() string {
	if e.Undo {
		return "undoing " + e.Step
	}
	return e.Step
}

// exceptions are what operators decided about an order.
func exceptions(records []event.Record) map[exception]bool {
	decided := make(map[exception]bool)
	for _, r := range records {
		if e, ok := exceptionOf(r); ok {
			decided[e] = true
		}
	}
	return decided
}

// unit is an order with everything that belongs to it.
type unit struct {
	*chain
	records []event.Record
	books   books
	entry   readmodel.Order
	shown   bool

	state order.State
	// atEntry is the state at the list entry's version; listedAt is the version at which the order reached the status
	// that the list should show at least.
	atEntry  order.State
	listedAt int64
	// exceptions are what operators decided about.
	exceptions map[exception]bool
}

// order collects the stream of an order, takes what belongs to the order, and has it examined.
func (c *chain) order() {
	u := &unit{chain: c}
	c.take = func(r event.Record) { u.records = append(u.records, r) }
	c.done = func(ctx context.Context) (err error) {
		if u.books, _, err = c.payments.of(c.id); err != nil {
			return err
		}
		if u.entry, u.shown, err = c.listed.of(c.id); err != nil {
			return err
		}
		if c.broken || len(u.records) == 0 {
			// What the stream says cannot be believed before it is mended.
			return nil
		}
		c.work.Go(func() error { return u.examine(ctx) })
		return ctx.Err()
	}
}

// report is a finding about the order at its newest version.
func (u *unit) report(k Kind, format string, args ...any) {
	u.found(k, u.head.Version, format, args...)
}

// unlessExcepted is says, unless an operator decided about one of the steps: then it is a note.
func (u *unit) unlessExcepted(k Kind, steps []exception, format string, args ...any) {
	for _, s := range steps {
		if u.exceptions[s] {
			u.report(ExceptionOnRecord, "%s", fmt.Sprintf(format, args...)+", as an operator decided about "+s.String())
			return
		}
	}
	u.report(k, format, args...)
}

func (u *unit) examine(ctx context.Context) error {
	if !u.begins() || !u.fold() {
		return nil
	}
	u.pivot()
	u.list(u.entry, u.shown, readmodel.FromState(u.atEntry), readmodel.FromState(u.state), u.listedAt)
	if err := u.money(ctx); err != nil {
		return err
	}
	if err := u.outcome(ctx); err != nil {
		return err
	}
	return u.run(ctx, u.orders, order.Flow.ViewOf(&u.state), u.records)
}

// begins checks that the stream is that of its order.
func (u *unit) begins() bool {
	first := u.records[0]
	if first.Type != event.OrderAccepted {
		u.damage(StreamBeginning, first.Version, "it begins with %s", first.Type)
		return false
	}
	if d, err := event.Decode[struct {
		OrderID string `json:"orderId"`
	}](first.Event); err != nil || d.OrderID != u.id {
		u.damage(StreamBeginning, first.Version, "it contains order %q", d.OrderID)
		return false
	}
	return true
}

// fold folds the stream, record by record, and remembers what the list is held against.
func (u *unit) fold() bool {
	u.exceptions = exceptions(u.records)
	var shown saga.Status
	for _, r := range u.records {
		if u.state.Ended {
			u.damage(StreamAfterEnd, r.Version, "%s is recorded after its end as %s", r.Type, u.state.Status)
		}
		next, err := u.state.Fold([]event.Record{r})
		if err != nil {
			u.damage(StreamFold, r.Version, "%v", err)
			return false
		}
		u.state = next
		if r.Version == u.entry.Version {
			u.atEntry = next
		}
		if order.Listed(next.Status) && next.Status != shown {
			shown, u.listedAt = next.Status, r.Version
		}
	}
	return true
}

// pivot checks that nothing was done that the order had not decided.
func (u *unit) pivot() {
	var decision saga.Decision
	refused, held, rejected, reserved := false, false, false, false
	// late is the version of a capture that was found during compensation and is not refunded.
	late := int64(0)
	for _, r := range u.records {
		wants := decisionBefore(r)
		switch r.Type {
		case event.OrderSettling:
			if decision != "" {
				u.checkDecision(r, decision)
			}
			decision = saga.GoForward
		case event.OrderCompensating:
			// A refused capture turns the order back, once, and so does an operator.
			d, err := event.Decode[order.Ending](r.Event)
			byHand := err == nil && d.RequestID != ""
			if decision == saga.GoBack || decision == saga.GoForward && !refused && !byHand {
				u.checkDecision(r, decision)
			}
			decision = saga.GoBack
		case event.InventoryRejected:
			d, err := event.Decode[order.Rejection](r.Event)
			rejected, held = err == nil, d.Held
		case event.InventoryReserved:
			reserved = true
		case event.PaymentDeclined:
			// An order without stocked lines has reserved nothing.
			rejected = rejected || !reserved
		case event.PaymentCaptureRefused:
			refused = true
		case event.PaymentCaptured:
			// A capture that is found during compensation is refunded.
			if decision == saga.GoBack {
				wants, late = "", r.Version
			}
		case event.PaymentRefunded:
			late = 0
		}
		if r.Type == event.OrderRejected && rejected && !held {
			// Nothing was held, so nothing had to be decided.
			continue
		}
		if wants != "" && wants != decision {
			u.damage(StreamPivot, r.Version, "%s requires the decision %q, but it is %q", r.Type, wants, decision)
		}
	}
	if late > 0 && u.state.Ended && !u.exceptions[exception{order.StepAuthorize, true}] {
		u.damage(StreamPivot, late, "%s is recorded although the decision is %q, and is not followed by %s",
			event.PaymentCaptured, decision, event.PaymentRefunded)
	}
}

func (u *unit) checkDecision(r event.Record, decision saga.Decision) {
	u.damage(StreamPivot, r.Version, "%s is recorded although the decision is %q", r.Type, decision)
}

// decidedBefore are the decisions that events need before them.
var decidedBefore = map[string]saga.Decision{
	event.PaymentCaptureRefused: saga.GoForward, event.PaymentCaptured: saga.GoForward, event.InventoryCommitted: saga.GoForward,
	event.OrderDelivered: saga.GoForward, event.OrderCompleted: saga.GoForward,
	event.OrderParcelDispatched: saga.GoForward, event.OrderParcelDelivered: saga.GoForward, event.OrderParcelLost: saga.GoForward,
	event.OrderRefundRequested: saga.GoForward, event.OrderResendRequested: saga.GoForward,
	event.PaymentVoided: saga.GoBack, event.PaymentRefunded: saga.GoBack, event.InventoryReleased: saga.GoBack,
	event.OrderFulfillmentWithdrawn: saga.GoBack, event.OrderRejected: saga.GoBack, event.OrderCancelled: saga.GoBack, event.OrderFailed: saga.GoBack,
}

// decisionBefore is the decision that an event needs before it.
func decisionBefore(r event.Record) saga.Decision {
	e, ok := exceptionOf(r)
	switch {
	case !ok && strings.HasPrefix(r.Key, order.SlotRefund+"/"):
		return saga.GoForward
	case !ok:
		return decidedBefore[r.Type]
	case e.Undo:
		return saga.GoBack
	case e.Step == order.StepCapture || e.Step == order.StepCommit || e.Step == order.StepRefund:
		return saga.GoForward
	}
	return ""
}

// orderOf reads and folds an order that something else is about. ok is false when it is damaged or does not fold.
func (l *look) orderOf(ctx context.Context, id string) (s order.State, records []event.Record, ok bool, err error) {
	if records, ok, err = l.read(ctx, event.OrderStream(id)); !ok {
		return s, nil, false, err
	}
	s, err = order.Fold(records)
	return s, records, err == nil, nil
}
