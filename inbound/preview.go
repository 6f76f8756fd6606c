package inbound

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/customer"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/notice"
	"github.com/ordersaga/ordersaga/internal/order"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/internal/sealed"
	"github.com/ordersaga/ordersaga/internal/wire"
	"github.com/ordersaga/ordersaga/workflows"
)

// Outcomes of a Foresight, for programs.
const (
	OutcomeNothing = "nothing"
	OutcomeStart   = "start"
	OutcomeMove    = "move"
	OutcomeAsk     = "ask"
	OutcomeBook    = "book"
	OutcomeLate    = "late"
	OutcomeWait    = "wait"
	OutcomeRefuse  = "refuse"
	// OutcomeHandle is for types whose handlers reach for more than can be foreseen.
	OutcomeHandle = "handle"
)

// Foresight is what would come of a message.
type Foresight struct {
	// Outcome is one of the words above.
	Outcome string
	// Sentence is for people: would start order 42.
	Sentence string
	// OrderID is the order that it is about, if it is about one; From and To are where it stands, and would.
	OrderID, From, To string
}

// StreamReader reads the event log.
type StreamReader interface {
	Read(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error)
}

// Receipts tell whether goods that came in are booked; see inventory.Ledger.
type Receipts interface {
	Receipt(ctx context.Context, sku string, quantity int64, id string) (booked bool, err error)
}

// Previewer tells what would come of a message, from the log and without any effect. It goes the way that the message
// would: the Router's own handlers, with doubles behind them that look where the others act. What an order would do is
// decided by order.Fold and order.Next, as in its workflow.
//
// An order that Temporal has and that has not recorded anything yet is not known here.
type Previewer struct {
	Log      StreamReader
	Receipts Receipts
	Timing   order.Timing
	Clock    func() time.Time
}

// Preview tells what would come of a message. Errors: Unavailable, Corrupt.
func (p *Previewer) Preview(ctx context.Context, m wire.Message) (Foresight, error) {
	e, err := wire.Decode(m)
	if err != nil {
		return refused(err), nil
	}
	return p.event(ctx, e)
}

// event tells what would come of an event.
func (p *Previewer) event(ctx context.Context, e event.Event) (f Foresight, err error) {
	s := &seer{Previewer: p, event: e}
	defer func() {
		if recover() != nil {
			f, err = Foresight{Outcome: OutcomeHandle, Sentence: "would be handled as every " + e.Type}, nil
		}
	}()
	router := Router{Sagas: s, Stock: s, Verdicts: s, Log: s, Sealer: s, Clock: p.Clock, Logger: slog.New(slog.DiscardHandler)}
	err = router.Handle(ctx, e)
	if errors.Is(err, errReached) {
		err = nil
	}
	switch disposition := fault.Lookup(fault.CodeOf(err)).Disposition; {
	case err == nil || disposition == fault.Acknowledge:
		return s.foresight(), nil
	case disposition == fault.Park:
		sentence := fmt.Sprintf("would wait for order %s, which is not known", e.Subject)
		switch {
		case s.early && s.standing:
			sentence += "; the cancellation is kept for it"
		case s.early:
			sentence += ", and be kept for it as a cancellation"
		}
		return Foresight{Outcome: OutcomeWait, OrderID: e.Subject, Sentence: sentence}, nil
	case disposition == fault.DeadLetter:
		return refused(err), nil
	}
	return Foresight{}, err
}

// refused says that a message would be a dead letter again.
func refused(err error) Foresight {
	sentence := fmt.Sprintf("would be refused again because of %s: %s", fault.CodeOf(err), fault.SafeMessage(err))
	for _, f := range fault.FieldsOf(err) {
		sentence += "; "
		if f.Pointer != "" {
			sentence += f.Pointer + ": "
		}
		sentence += f.Detail
	}
	return Foresight{Outcome: OutcomeRefuse, Sentence: sentence}
}

// seer stands where the router expects those who act, and notes what they would do.
type seer struct {
	*Previewer
	event event.Event
	seen  Foresight
	// late is the order that has ended; verdict tells that a verdict would be written, standing that it stands, and
	// settles that something follows from it.
	late                       *order.State
	verdict, standing, settles bool
	// early reports that a cancellation would be kept for an order that is not known.
	early bool
}

// order reads where an order stands.
func (s *seer) order(ctx context.Context, orderID string) (order.State, error) {
	records, err := s.Log.Read(ctx, event.OrderStream(orderID), 0, 0)
	if err != nil {
		return order.State{}, err
	}
	return order.Fold(records)
}

// Place implements Sagas.
func (s *seer) Place(ctx context.Context, p sagaclient.Placement) (bool, error) {
	id := p.Order.ID
	state, err := s.order(ctx, id)
	switch {
	case err != nil:
		return false, err
	case !state.Opened() && p.Order.ValidateNew() != nil:
		return false, p.Order.ValidateNew()
	case !state.Opened():
		s.seen = Foresight{Outcome: OutcomeStart, OrderID: id, Sentence: "would start order " + id}
		return false, nil
	case !reflect.DeepEqual(state.Order, p.Order):
		return false, fault.New(fault.Conflict, "order %s exists with other content", id)
	}
	s.nothing(state, "order %s exists with the same content", id)
	return true, nil
}

// nothing notes that nothing would happen, and why.
func (s *seer) nothing(state order.State, format string, args ...any) {
	s.seen = Foresight{Outcome: OutcomeNothing, OrderID: state.Order.ID, From: string(state.Status), To: string(state.Status),
		Sentence: fmt.Sprintf(format, args...) + ": nothing would happen"}
}

// Signal implements Sagas.
func (s *seer) Signal(ctx context.Context, orderID, _ string, payload any) (*sagaclient.Late, error) {
	state, err := s.order(ctx, orderID)
	switch {
	case err != nil:
		return nil, err
	case !state.Opened():
		return nil, fault.New(fault.OrderUnknown, "order %s is not known", orderID)
	case state.Ended:
		s.late = &state
		return &sagaclient.Late{State: state}, nil
	case workflows.Recorded(state, payload):
		s.nothing(state, "order %s has got this event", orderID)
		return nil, nil
	}
	s.tell(state, factsOf(payload))
	return nil, nil
}

// factsOf is what a saga would know from a signal.
func factsOf(payload any) order.Facts {
	var f order.Facts
	switch p := payload.(type) {
	case order.Cancellation:
		f.Cancellations = []order.Cancellation{p}
	case order.PaymentHint:
		f.Hint = &p
	case workflows.ShipmentSignal:
		switch p.Kind {
		case workflows.ShipmentDispatched:
			f.Dispatched = &p.ShipmentFact
		case workflows.ShipmentDelivered:
			f.Delivered = &p.ShipmentFact
		case workflows.ShipmentLost:
			f.Lost = &p.ShipmentFact
		}
	}
	return f
}

// tell notes what an open order would make of facts.
func (s *seer) tell(state order.State, f order.Facts) {
	id, now := state.Order.ID, s.Clock()
	before := order.Decisions(state, order.Facts{}, now, s.Timing)
	after := order.Decisions(state, f, now, s.Timing)
	s.seen = Foresight{OrderID: id, From: string(state.Status), To: string(state.Status)}
	switch kind := order.Next(state, f, now, s.Timing).Kind; {
	case len(f.Cancellations) > 0 && state.CancelRefused:
		s.seen.Outcome = OutcomeRefuse
		s.seen.Sentence = fmt.Sprintf("order %s is %s and has refused a cancellation before: this one would be refused too", id, state.Status)
		return
	case slices.EqualFunc(before, after, event.Same) && kind == order.Lookup && f.Hint != nil:
		s.seen.Outcome, s.seen.Sentence = OutcomeAsk, fmt.Sprintf("would have the gateway asked about the payment of order %s", id)
		return
	case slices.EqualFunc(before, after, event.Same):
		s.nothing(state, "order %s is %s", id, state.Status)
		s.seen.Sentence += " now"
		return
	}
	s.seen.Outcome = OutcomeMove
	s.seen.To = string(folded(state, after).Status)
	types := make([]string, len(after))
	for i, e := range after {
		types[i] = e.Type
	}
	switch {
	case slices.Contains(types, event.OrderCancellationRefused):
		s.seen.Outcome = OutcomeRefuse
		s.seen.Sentence = fmt.Sprintf("order %s is %s: the cancellation would be refused", id, state.Status)
	case s.seen.To != s.seen.From:
		s.seen.Sentence = fmt.Sprintf("would move order %s from %s to %s", id, s.seen.From, s.seen.To)
	default:
		s.seen.Sentence = fmt.Sprintf("would add %s to order %s, which stays %s", strings.Join(types, ", "), id, s.seen.From)
	}
}

// folded is where an order would stand with more events.
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

// SettleLate implements Sagas.
func (s *seer) SettleLate(context.Context, order.Order) error {
	s.settles = true
	return nil
}

// Read implements activities.Log. The only stream that a handler reads is that of early cancellations.
func (s *seer) Read(ctx context.Context, stream string, after int64, limit int) ([]event.Record, error) {
	records, err := s.Log.Read(ctx, stream, after, limit)
	s.early = err == nil
	s.standing = slices.ContainsFunc(records, func(r event.Record) bool { return r.CausationID == s.event.ID })
	return records, err
}

// Head implements activities.VerdictLog: Append looks at the whole stream.
func (s *seer) Head(context.Context, string) (event.Record, bool, error) {
	return event.Record{}, false, nil
}

// Append implements activities.VerdictLog: a verdict would be written, or a cancellation kept.
func (s *seer) Append(ctx context.Context, stream string, head event.Head, entries []event.Entry) (event.Head, []event.Record, error) {
	records, err := s.Log.Read(ctx, stream, 0, 0)
	if err != nil {
		return head, nil, err
	}
	s.verdict, s.standing = !s.early, slices.ContainsFunc(records, func(r event.Record) bool { return r.Key == entries[0].Key })
	if s.standing {
		return head, records, fault.KeyTaken
	}
	written := event.Record{Stream: stream, Version: int64(len(records)) + 1, Entry: entries[0]}
	return written.HeadOf(), append(records, written), nil
}

// Receive implements Receiver.
func (s *seer) Receive(ctx context.Context, sku string, quantity int64, id string) error {
	booked, err := s.Receipts.Receipt(ctx, sku, quantity, id)
	switch {
	case err != nil:
		return err
	case booked:
		s.seen = Foresight{Outcome: OutcomeNothing, Sentence: fmt.Sprintf("%d of %s are booked already: nothing would happen", quantity, sku)}
	default:
		s.seen = Foresight{Outcome: OutcomeBook, Sentence: fmt.Sprintf("would book %d of %s", quantity, sku)}
	}
	return nil
}

// Seal implements Sealer. What a customer says of themselves goes no further than here.
func (s *seer) Seal(ctx context.Context, customerID string, _ []byte) (sealed.Sealed, error) {
	records, err := s.Log.Read(ctx, event.CustomerStream(customerID), 0, 0)
	switch {
	case err != nil:
		return sealed.Sealed{}, err
	case len(records) == 0:
		s.seen = Foresight{Outcome: OutcomeStart, Sentence: "would register customer " + customerID}
	case slices.ContainsFunc(records, func(r event.Record) bool { return r.Key == customer.SlotProfile+unique(s.event) }):
		s.seen = Foresight{Outcome: OutcomeNothing, Sentence: fmt.Sprintf("customer %s has got this event: nothing would happen, unless its content was another one then", customerID)}
	default:
		s.seen = Foresight{Outcome: OutcomeMove, Sentence: fmt.Sprintf("would update the profile of customer %s, unless a newer one is known", customerID)}
	}
	return sealed.Sealed{}, errReached
}

// Open implements Sealer; Seal has answered before.
func (s *seer) Open(context.Context, string, sealed.Sealed) ([]byte, error) { return nil, errReached }

// Onboard implements Sagas; Seal has answered before.
func (s *seer) Onboard(context.Context, string, bool) error { return errReached }

// Announcement tells what would come of a message that customers are told of. Errors: Unavailable, Corrupt.
func (p *Previewer) Announcement(ctx context.Context, m wire.Message) (Foresight, error) {
	e, err := wire.Decode(m)
	if err != nil {
		return refused(err), nil
	}
	f := Foresight{Outcome: OutcomeNothing, OrderID: e.Subject, Sentence: fmt.Sprintf("nobody is to be told of order %s: nothing would happen", e.Subject)}
	announcer := Announcer{Log: p.Log, Logger: slog.New(slog.DiscardHandler), Sagas: telling(func(ctx context.Context, s notice.Subject) error {
		told, err := p.Log.Read(ctx, event.NoticeStream(s.ID()), 0, 1)
		if len(told) > 0 {
			f.Sentence = fmt.Sprintf("the message to customer %s that order %s is %s stands in the log: nothing would happen", s.CustomerID, e.Subject, s.Kind)
			return err
		}
		f.Outcome, f.Sentence = OutcomeStart, fmt.Sprintf("would tell customer %s that order %s is %s", s.CustomerID, e.Subject, s.Kind)
		return err
	})}
	err = announcer.Handle(ctx, e)
	if fault.Lookup(fault.CodeOf(err)).Disposition == fault.DeadLetter && err != nil {
		return refused(err), nil
	}
	return f, err
}

// telling is a Teller.
type telling func(ctx context.Context, s notice.Subject) error

func (t telling) Notify(ctx context.Context, s notice.Subject) error { return t(ctx, s) }

// foresight is what was noted.
func (s *seer) foresight() Foresight {
	if s.late == nil {
		return s.seen
	}
	id, status := s.late.Order.ID, s.late.Status
	switch {
	case !s.verdict:
		s.nothing(*s.late, "order %s got this event before it ended as %s", id, status)
	case s.standing:
		s.nothing(*s.late, "order %s has ended as %s, and a late verdict on this event is written", id, status)
	default:
		s.seen = Foresight{Outcome: OutcomeLate, OrderID: id, From: string(status), To: string(status),
			Sentence: fmt.Sprintf("order %s has ended as %s: a late verdict would be written", id, status)}
		if s.settles {
			s.seen.Sentence += ", and what follows from it would be settled"
		}
	}
	return s.seen
}
