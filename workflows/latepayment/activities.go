package latepayment

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/refunds"
	"github.com/ordersaga/ordersaga/payment"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// lateAttempts bounds how often an append goes after a tail that keeps growing.
const lateAttempts = 10

// Registered names of the activities. They are part of histories: never rename one.
const (
	NameOpen   = "late.Open"
	NameRecord = "late.Record"
	NameJudge  = "late.Judge"
	NameRefund = "late.Refund"
)

// Recorder records the events that came after an order had ended, for its run.
type Recorder struct {
	Log   activities.Log
	Clock func() time.Time
}

// Record records late events, and reports whether something follows from one of them.
func (r Recorder) Record(ctx context.Context, in saga.LateInput) (saga.LateResult, error) {
	var result saga.LateResult
	given := make([]*verdict, len(in.Events))
	for i, e := range in.Events {
		v := Verdict{ID: e.ID, OrderID: in.ID, EventID: e.EventID, Type: e.Type, Identity: e.Identity,
			Status: in.Status, Handled: in.Handled}
		given[i] = &verdict{Verdict: v, log: r.Log, correlationID: in.CorrelationID, at: activities.Now(ctx, r.Clock)}
		result.Consequential = result.Consequential || v.Consequential()
	}
	if len(given) > 0 {
		// Together and in their order: a run that has heard many of them has one activity for all.
		for i, err := range (place{r.Log, in.ID}).write(ctx, given) {
			if err != nil {
				return saga.LateResult{}, activities.ToTemporal(fault.Wrap(err, fault.CodeOf(err), "write the verdict on event %s", in.Events[i].EventID))
			}
		}
	}
	if !in.Unsettled || result.Consequential {
		return result, nil
	}
	state, err := load(ctx, r.Log, State{OrderID: in.ID})
	return saga.LateResult{Consequential: state.Open()}, activities.ToTemporal(err)
}

// load folds the late stream after a state, page by page.
func load(ctx context.Context, log event.StreamReader, before State) (State, error) {
	return event.FoldPages(ctx, log, event.LateStream(before.OrderID), before.Head.Version, before, State.Fold)
}

// appendTo appends to the late stream of an order, where verdicts may come in between. It returns the records after head
// then, and what holds the entry's slot already, which is as good.
func appendTo(ctx context.Context, log event.StreamAppender, orderID string, head event.Head, entry event.Entry) ([]event.Record, error) {
	stream := event.LateStream(orderID)
	var all []event.Record
	for range lateAttempts {
		next, tail, err := log.Append(ctx, stream, head, []event.Entry{entry})
		all = append(all, tail...)
		switch {
		case err == nil:
			return all, nil
		case errors.Is(err, fault.KeyTaken):
			return withHolder(all, err), nil
		case !errors.Is(err, fault.Concurrency):
			return nil, err
		}
		head = next
	}
	return nil, fault.New(fault.Unavailable, "stream %s grows faster than it can be written", stream)
}

// withHolder returns the records with the one that holds the slot which an append found taken: it may stand before them.
func withHolder(records []event.Record, err error) []event.Record {
	var taken interface{ Holder() event.Record }
	if !errors.As(err, &taken) || slices.ContainsFunc(records, func(r event.Record) bool { return r.Key == taken.Holder().Key }) {
		return records
	}
	return append([]event.Record{taken.Holder()}, records...)
}

// StepInput is what every step of the late saga gets.
type StepInput struct {
	State State `json:"state"`
	// Order is the order that has ended.
	Order order.Order `json:"order"`
	// Payment is the one that the step is about.
	Payment Matter `json:"payment,omitzero"`
	// Entry is what to append; for Record.
	Entry event.Entry `json:"entry,omitzero"`
	// Again reports that the gateway is asked again when it does not know of any money yet; for Judge.
	Again bool `json:"again,omitempty"`
	// Now is the workflow's time, as in StepInput.
	Now time.Time `json:"now,omitzero"`
}

// StepResult is what every step of the late saga answers.
type StepResult struct {
	// Tail are the records behind the input's head, as they stand in the log. When they are too many, State is what they
	// make of the input's state, bounded.
	Tail  []event.Record `json:"tail,omitempty"`
	State *State         `json:"state,omitempty"`
	// Order is the order that has ended, and Fast tells that the gateway may be called inside a workflow task; of Open.
	Order order.Order `json:"order,omitzero"`
	Fast  bool        `json:"fast,omitempty"`
	// Patience is how long a step may be stuck before somebody is asked to look: the setting of the worker that opened the
	// run; of Open.
	Patience time.Duration `json:"patience,omitempty"`
	// Unknown reports that the gateway does not know of any money yet, and nothing is recorded; of Judge.
	Unknown bool `json:"unknown,omitempty"`
}

// List keeps the list of late events on which a person must act. Show never replaces a newer state by an older one.
type List interface {
	Show(ctx context.Context, s State) error
}

// Activities are the activities of the late saga.
type Activities struct {
	Log     activities.Log
	Gateway payment.Gateway
	Desk    List
	// Patience is how long a step may be stuck before somebody is asked to look.
	Patience time.Duration
	// Clock is the worker's clock, as in Recorder.
	Clock func() time.Time
}

// Open reads what came late, and the order that it came for. The run before may have ended between asking somebody to
// look and putting that on the desk.
func (l *Activities) Open(ctx context.Context, in StepInput) (StepResult, error) {
	o := in.Order
	if o.ID == "" {
		ended, err := event.FoldPages(ctx, l.Log, event.OrderStream(in.State.OrderID), 0, order.State{}, order.State.Fold)
		if err == nil && !ended.Opened() {
			// The saga runs for orders that have ended: the stream is there, and was not found.
			err = fault.Missing("the stream of order %s was not found", in.State.OrderID)
		}
		if err != nil {
			return StepResult{}, activities.ToTemporal(err)
		}
		o = ended.Order
	}
	tail, err := l.Log.Read(ctx, event.LateStream(in.State.OrderID), in.State.Head.Version, saga.MaxTailRecords+1)
	if err != nil {
		return StepResult{}, activities.ToTemporal(err)
	}
	result, err := l.answer(ctx, in.State, tail)
	if err != nil {
		return StepResult{}, activities.ToTemporal(err)
	}
	result.Order, result.Fast, result.Patience = o, l.Gateway.Traits().Fast, l.Patience
	return result, nil
}

// answer is what stands in the late stream behind a state: the records when they are few, else what they come to. Tail is
// all of them, or more than fit; then the rest is read.
func (l *Activities) answer(ctx context.Context, before State, tail []event.Record) (StepResult, error) {
	if activities.Fits(tail) {
		return StepResult{Tail: tail}, l.show(ctx, before, tail)
	}
	after, err := before.Fold(tail)
	if err == nil {
		after, err = load(ctx, l.Log, after)
	}
	if err != nil {
		return StepResult{}, err
	}
	after = after.Bounded()
	return StepResult{State: &after}, l.showState(ctx, before, after)
}

// Record appends an event that the run has decided on.
func (l *Activities) Record(ctx context.Context, in StepInput) (StepResult, error) {
	return l.append(ctx, in, in.Entry)
}

// Judge asks the gateway whether money has arrived. A notification may be earlier than what its provider answers: that no
// money has arrived is recorded at once only for a payment that was captured, which the notification repeats, and for a
// gateway that is settled by the notification itself.
func (l *Activities) Judge(ctx context.Context, in StepInput) (StepResult, error) {
	ctx = activities.WithClock(ctx, in.Now, l.Clock)
	pay := latePayment(in)
	settler, settles := l.Gateway.(payment.Settler)
	if settles {
		if err := settler.Settle(ctx, pay, true, ""); err != nil {
			return StepResult{}, activities.ToTemporal(err)
		}
	}
	found, err := l.Gateway.Lookup(ctx, pay)
	if err != nil {
		return StepResult{}, activities.ToTemporal(err)
	}
	if taken := found.State == payment.Captured || found.State == payment.Refunded; in.Again && found.Arrived == 0 && !settles && !taken {
		return StepResult{Unknown: true}, nil
	}
	due := in.State.Due(found.Arrived, pay.Amount)
	return l.append(ctx, in, in.State.Judged(in.Payment, found.PaymentID, pay.Currency, due, activities.Now(ctx, l.Clock)))
}

// Refund gives back the money that has arrived.
func (l *Activities) Refund(ctx context.Context, in StepInput) (StepResult, error) {
	ctx = activities.WithClock(ctx, in.Now, l.Clock)
	pay := latePayment(in)
	key := "late/" + in.Payment.ID
	reserved, err := refunds.Reserve(ctx, l.Log, refunds.Claim{
		Reference: pay.OrderID, Key: key, Source: refunds.Arrived, Amount: in.Payment.Amount, Limit: in.State.Arrived(), Currency: pay.Currency,
	}, activities.Now(ctx, l.Clock))
	switch {
	case err != nil:
	case reserved.Amount != in.Payment.Amount:
		err = fault.New(fault.Conflict, "%d of the %d that came late for order %s are reserved for other refunds",
			in.Payment.Amount-reserved.Amount, in.Payment.Amount, pay.OrderID)
	default:
		_, err = l.Gateway.Refund(ctx, pay.Key(key), pay, reserved.Amount)
	}
	if err != nil {
		return StepResult{}, activities.ToTemporal(err)
	}
	return l.append(ctx, in, in.State.Refunded(in.Payment, pay.Currency, activities.Now(ctx, l.Clock)))
}

func (l *Activities) append(ctx context.Context, in StepInput, entry event.Entry) (StepResult, error) {
	tail, err := appendTo(ctx, l.Log, in.State.OrderID, in.State.Head, entry)
	if err != nil {
		return StepResult{}, activities.ToTemporal(err)
	}
	result, err := l.answer(ctx, in.State, tail)
	if err != nil {
		return StepResult{}, activities.ToTemporal(err)
	}
	return result, nil
}

// show puts what came late on the desk when somebody is asked to look, and takes it away when that is over. What is not
// shown is shown by the next attempt: nothing else would tell people.
func (l *Activities) show(ctx context.Context, before State, tail []event.Record) error {
	after, err := before.Fold(tail)
	if err != nil {
		return err
	}
	return l.showState(ctx, before, after)
}

func (l *Activities) showState(ctx context.Context, before, after State) error {
	if after.Attention.Count == 0 || after.Attention == before.Attention {
		return nil
	}
	return l.Desk.Show(ctx, after)
}

// latePayment is the order's payment as a gateway knows it.
func latePayment(in StepInput) payment.Payment {
	return payment.Payment{
		OrderID: in.Order.ID, ID: in.Payment.PaymentID, Amount: in.Order.TotalAmount,
		Currency: in.Order.Currency, Method: in.Order.Payment.Method,
	}
}

// Workflow is the workflow type, and its function.
func (*Activities) Workflow() (name string, run any) { return Workflow, Run }

// Activities are the activities by their registered names.
func (l *Activities) Activities() map[string]any {
	return map[string]any{NameOpen: l.Open, NameRecord: l.Record, NameJudge: l.Judge, NameRefund: l.Refund}
}

// Check reports what is wrong with the flow.
func (*Activities) Check() error {
	_, err := Calls()
	return err
}
