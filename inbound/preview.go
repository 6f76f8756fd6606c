package inbound

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/deadletter"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/wire"
	"github.com/ordersaga/ordersaga/workflows/onboarding"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Outcomes of a Preview, for programs.
const (
	OutcomeNothing = "nothing"
	OutcomeStart   = "start"
	OutcomeMove    = "move"
	OutcomeAsk     = "ask"
	OutcomeBook    = "book"
	OutcomeLate    = "late"
	OutcomeWait    = "wait"
	OutcomeRefuse  = "refuse"
)

// Preview is the effect of a message; Outcome is one of the words above.
type Preview = deadletter.Preview

// StreamReader reads the event log.
type StreamReader interface {
	Read(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error)
}

// Receipts report whether goods that came in are booked; see inventory.Ledger.
type Receipts interface {
	Receipt(ctx context.Context, sku string, quantity int64, id string) (booked bool, err error)
}

// Previewer reports the effect of a message, from the log and without any effect. What an order would do is decided by order.Fold and
// order.Next, as in its workflow. All fields are mandatory.
//
// An order that Temporal has and that has not recorded anything yet is not known here.
type Previewer struct {
	// Routes lead to flows that a team has added; it may be zero.
	Routes   Routes
	Log      StreamReader
	Receipts Receipts
	Timing   order.Timing
	Clock    func() time.Time
}

// Preview previews a message in the inbox. Errors: those that a retry may help, such as Unavailable and Corrupt.
func (p *Previewer) Preview(ctx context.Context, m wire.Message) (Preview, error) {
	return preview(m, func(e event.Event) (Preview, error) {
		command, err := p.Routes.Parse(e)
		if err != nil {
			return Preview{}, err
		}
		return p.command(ctx, command)
	})
}

// Notification previews a message that notifies a customer. Errors: as of Preview.
func (p *Previewer) Notification(ctx context.Context, m wire.Message) (Preview, error) {
	return preview(m, func(e event.Event) (Preview, error) {
		s, err := notificationOf(ctx, p.Log, e)
		if err != nil || s == nil {
			return Preview{Outcome: OutcomeNothing, OrderID: e.Subject,
				Sentence: fmt.Sprintf("order %s has no customer to notify: nothing would happen", e.Subject)}, err
		}
		records, err := p.Log.Read(ctx, event.NoticeStream(s.ID()), 0, 1)
		if len(records) > 0 {
			return Preview{Outcome: OutcomeNothing, OrderID: e.Subject, Sentence: fmt.Sprintf(
				"the message to customer %s that order %s is %s is already in the log: nothing would happen", s.CustomerID, e.Subject, s.Kind)}, err
		}
		return Preview{Outcome: OutcomeStart, OrderID: e.Subject,
			Sentence: fmt.Sprintf("would notify customer %s that order %s is %s", s.CustomerID, e.Subject, s.Kind)}, err
	})
}

// preview reads a message. Errors that would make it a dead letter again are part of the preview.
func preview(m wire.Message, of func(e event.Event) (Preview, error)) (result Preview, err error) {
	e, err := wire.Decode(m)
	if err == nil {
		result, err = of(e)
	}
	switch {
	case err == nil:
		return result, nil
	case fault.Lookup(fault.CodeOf(err)).Disposition == fault.DeadLetter:
		return refused(err), nil
	}
	return Preview{}, err
}

// refused says that a message would be a dead letter again.
func refused(err error) Preview {
	sentence := fmt.Sprintf("would be refused again because of %s: %s", fault.CodeOf(err), fault.SafeMessage(err))
	for _, f := range fault.FieldsOf(err) {
		sentence += "; "
		if f.Pointer != "" {
			sentence += f.Pointer + ": "
		}
		sentence += f.Detail
	}
	return Preview{Outcome: OutcomeRefuse, Sentence: sentence}
}

// command returns what Executor.Execute would do.
func (p *Previewer) command(ctx context.Context, command Command) (Preview, error) {
	switch c := command.(type) {
	case StartOrder:
		return p.start(ctx, c)
	case CancelOrder:
		return p.fact(ctx, c.Origin, c.Cancellation)
	case OrderFact:
		return p.fact(ctx, c.Origin, c.Payload)
	case ReceiveStock:
		return p.receive(ctx, c)
	case RegisterCustomer:
		return p.register(ctx, c)
	case StartSaga:
		return p.starts(ctx, c)
	case SignalSaga:
		return p.previewSignal(ctx, c)
	}
	return Preview{}, fault.New(fault.Internal, "unknown command %T", command)
}

func (p *Previewer) start(ctx context.Context, c StartOrder) (Preview, error) {
	state, err := p.order(ctx, c.Subject)
	switch {
	case err != nil:
		return Preview{}, err
	case state.Opened() && !state.Order.Same(c.Order):
		return Preview{}, fault.New(fault.Conflict, "order %s exists with different content", c.Subject)
	case state.Opened():
		return nothing(state, "order %s exists with the same content", c.Subject), nil
	}
	return Preview{Outcome: OutcomeStart, OrderID: c.Subject, Sentence: "would start order " + c.Subject}, inData(c.Order.ValidateNew())
}

// order folds the stream of an order.
func (p *Previewer) order(ctx context.Context, orderID string) (order.State, error) {
	records, err := p.Log.Read(ctx, event.OrderStream(orderID), 0, 0)
	if err != nil {
		return order.State{}, err
	}
	return order.Fold(records)
}

// nothing says that nothing would happen, and why.
func nothing(state order.State, format string, args ...any) Preview {
	return Preview{Outcome: OutcomeNothing, OrderID: state.Order.ID, From: string(state.Status), To: string(state.Status),
		Sentence: fmt.Sprintf(format, args...) + ": nothing would happen"}
}

// fact returns what a signal with this payload would do.
func (p *Previewer) fact(ctx context.Context, o Origin, payload any) (Preview, error) {
	state, err := p.order(ctx, o.Subject)
	switch {
	case err != nil:
		return Preview{}, err
	case !state.Opened():
		return p.early(ctx, o, payload)
	case state.Ended:
		return p.late(ctx, o, payload, state)
	case order.Recorded(state, payload):
		return nothing(state, "order %s has already received this event", o.Subject), nil
	}
	return p.decide(state, order.FactsOf(o.Subject, payload)), nil
}

// early is for a fact about an order that is not known.
func (p *Previewer) early(ctx context.Context, o Origin, payload any) (Preview, error) {
	preview := Preview{Outcome: OutcomeWait, OrderID: o.Subject, Sentence: fmt.Sprintf("would wait for order %s, which does not exist yet", o.Subject)}
	cancellation, ok := payload.(order.Cancellation)
	if !ok {
		return preview, nil
	}
	kept, err := p.Log.Read(ctx, event.EarlyStream(o.Subject), 0, saga.MaxEarly)
	switch slot := order.IdentityOf(o.Subject, cancellation); {
	case hasKey(kept, slot):
		preview.Sentence += "; the cancellation is already kept for it"
	case len(kept) < saga.MaxEarly:
		preview.Sentence += "; the cancellation would be kept for it"
	}
	return preview, err
}

func hasKey(records []event.Record, key string) bool {
	return slices.ContainsFunc(records, func(r event.Record) bool { return r.Key == key })
}

// late is for a fact about an order that has ended.
func (p *Previewer) late(ctx context.Context, o Origin, payload any, state order.State) (Preview, error) {
	if order.Recorded(state, payload) {
		return nothing(state, "order %s received this event before it ended as %s", o.Subject, state.Status), nil
	}
	late := lateRecordOf(o, payload, state)
	records, err := p.Log.Read(ctx, event.LateStream(o.Subject), 0, 0)
	if err != nil {
		return Preview{}, err
	}
	if slices.ContainsFunc(records, func(r event.Record) bool { return slices.Contains(late.Slots(), r.Key) && late.Of(r) }) {
		return nothing(state, "order %s has ended as %s, and this event is already recorded as a late event", o.Subject, state.Status), nil
	}
	preview := Preview{Outcome: OutcomeLate, OrderID: o.Subject, From: string(state.Status), To: string(state.Status),
		Sentence: fmt.Sprintf("order %s has ended as %s: the event would be recorded as a late event", o.Subject, state.Status)}
	if late.Consequential() {
		preview.Sentence += ", and its consequences would be handled"
	}
	return preview, nil
}

// decide returns the effect of facts on an open order: what it would decide with them and not without them.
func (p *Previewer) decide(state order.State, f order.Facts) Preview {
	id, now := state.Order.ID, p.Clock()
	preview := Preview{OrderID: id, From: string(state.Status), To: string(state.Status)}
	if len(f.Cancellations) > 0 && state.CancelRefused {
		preview.Outcome = OutcomeRefuse
		preview.Sentence = fmt.Sprintf("order %s is %s and has refused a cancellation before: this one would be refused too", id, state.Status)
		return preview
	}
	entries := order.Decisions(state, f, now, p.Timing)
	if slices.EqualFunc(order.Decisions(state, order.Facts{}, now, p.Timing), entries, event.Same) {
		if slices.ContainsFunc(f.Received, isPaymentNotification) && order.Next(state, f, now, p.Timing).Kind == order.Lookup {
			preview.Outcome, preview.Sentence = OutcomeAsk, fmt.Sprintf("would ask the payment gateway about order %s", id)
			return preview
		}
		preview = nothing(state, "order %s is %s", id, state.Status)
		preview.Sentence += " now"
		return preview
	}
	preview.Outcome, preview.To = OutcomeMove, string(folded(state, entries).Status)
	types := make([]string, len(entries))
	for i, e := range entries {
		types[i] = e.Type
	}
	switch {
	case slices.Contains(types, event.OrderCancellationRefused):
		preview.Outcome = OutcomeRefuse
		preview.Sentence = fmt.Sprintf("order %s is %s: the cancellation would be refused", id, state.Status)
	case preview.To != preview.From:
		preview.Sentence = fmt.Sprintf("would move order %s from %s to %s", id, preview.From, preview.To)
	default:
		preview.Sentence = fmt.Sprintf("would add %s to order %s, which stays %s", strings.Join(types, ", "), id, preview.From)
	}
	return preview
}

// isPaymentNotification reports whether a fact is a payment notification.
func isPaymentNotification(f saga.Fact) bool {
	return f.Type == event.PaymentSucceeded || f.Type == event.PaymentFailed
}

// folded is the state of an order with more events.
func folded(state order.State, entries []event.Entry) order.State {
	for _, e := range entries {
		next, err := state.Fold([]event.Record{{Stream: event.OrderStream(state.Order.ID), Version: state.Head.Version + 1, Entry: e}})
		if err != nil {
			return state
		}
		state = next
	}
	return state
}

func (p *Previewer) receive(ctx context.Context, c ReceiveStock) (Preview, error) {
	booked, err := p.Receipts.Receipt(ctx, c.Subject, c.Quantity, c.Key)
	if booked {
		return Preview{Outcome: OutcomeNothing, Sentence: fmt.Sprintf("%d of %s are already booked: nothing would happen", c.Quantity, c.Subject)}, err
	}
	return Preview{Outcome: OutcomeBook, Sentence: fmt.Sprintf("would book %d of %s", c.Quantity, c.Subject)}, err
}

// register does not decrypt the stored profile: personal data is only opened where it is needed.
func (p *Previewer) register(ctx context.Context, c RegisterCustomer) (Preview, error) {
	records, err := p.Log.Read(ctx, event.CustomerStream(c.Subject), 0, 0)
	switch {
	case len(records) == 0:
		return Preview{Outcome: OutcomeStart, Sentence: "would register customer " + c.Subject}, err
	case hasKey(records, onboarding.SlotProfile+c.Key):
		return Preview{Outcome: OutcomeNothing, Sentence: fmt.Sprintf(
			"customer %s has already received this event: nothing would happen, unless the content differs", c.Subject)}, err
	}
	return Preview{Outcome: OutcomeMove, Sentence: fmt.Sprintf("would update the profile of customer %s, unless a newer one is stored", c.Subject)}, err
}
