package workflows

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/workflows/latepayment"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

type lateCall = saga.Call[activities.LateStepInput, activities.LateStepResult]

// LateSaga is the sequence for what comes after an order has ended: find the money, give it back, have somebody look
// after the goods. latepayment.Next decides where in it a late stream stands.
func LateSaga() (*saga.Definition[activities.LateStepInput, activities.LateStepResult], error) {
	type step = saga.Calls[activities.LateStepInput, activities.LateStepResult]
	return saga.Define("late events",
		step{
			Name: latepayment.StepJudge, Kind: saga.Pivot, Slot: latepayment.StepJudge,
			Lookup: saga.Activity(activities.NameLateJudge, (*activities.LateMoney).Judge, lateCall{
				Queue: QueuePayments, Summary: "ask the gateway whether money has arrived", Remote: true,
			}),
		},
		step{
			Name: latepayment.StepRefund, Kind: saga.Forward, Slot: latepayment.StepRefund,
			Do: saga.Activity(activities.NameLateRefund, (*activities.LateMoney).Refund, lateCall{
				Queue: QueuePayments, Summary: "give back the money that came late", Remote: true,
			}),
		},
		step{Name: latepayment.StepDispatch, Kind: saga.Forward, Slot: latepayment.SlotGoods},
	)
}

var (
	callLateOpen = saga.Activity(activities.NameLateOpen, (*activities.LateMoney).Open, lateCall{
		Queue: QueueOrders, Summary: "read what came late", Timeout: openTimeout,
	})
	callLateRecord = saga.Activity(activities.NameLateRecord, (*activities.LateMoney).Record, lateCall{
		Queue: QueueOrders, Summary: "record",
	})
)

// Late is the saga that settles what came after an order had ended. What came is in the log: a signal only says that
// there is more, and any run can finish it.
func Late(ctx workflow.Context, in LateInput) (LateResult, error) {
	disconnected, _ := workflow.NewDisconnectedContext(ctx)
	r := &lateRun{ctx: disconnected, in: in, state: latepayment.State{OrderID: in.OrderID}}
	r.desk = r.newDesk()
	if err := r.desk.handle(ctx); err != nil {
		return LateResult{}, err
	}
	sequence, err := LateSaga()
	if err != nil {
		return LateResult{}, err
	}
	// A continued run inherits what the one before it has shown.
	r.shown, _ = workflow.GetTypedSearchAttributes(ctx).GetBool(NeedsAttention)
	if err := r.read(); err != nil {
		return LateResult{}, err
	}
	for {
		if err := saga.NewDriver(ctx, sequence, r).Run(); err != nil {
			return LateResult{}, err
		}
		if err := workflow.Await(r.ctx, func() bool { return workflow.AllHandlersFinished(r.ctx) }); err != nil {
			return LateResult{}, err
		}
		// What came while the last answers were given is not left behind.
		if r.TakeIn(); !r.unread {
			return LateResult{OrderID: in.OrderID, Version: r.state.Head.Version}, nil
		}
	}
}

// lateRun is one run of a late saga.
type lateRun struct {
	ctx   workflow.Context
	in    LateInput
	order order.Order
	state latepayment.State
	facts latepayment.Facts
	desk  desk
	// drain is what callers see of a run that is about to continue as new.
	drain saga.Drain
	// changes counts signals; unread tells that the log has more.
	changes int
	unread  bool
	// known tells that the stream was read. Fast and patience are of the worker that did so first.
	known    bool
	fast     bool
	patience time.Duration
	// shown is what the search attribute says.
	shown bool
}

var _ saga.Run[activities.LateStepInput, activities.LateStepResult] = (*lateRun)(nil)

// read folds what the log has behind what the run knows.
func (r *lateRun) read() error {
	r.unread = false
	in := r.input()
	if r.state.Exhausted() {
		in.State = latepayment.State{OrderID: r.in.OrderID}
	}
	result, err := saga.UntilDone(r.ctx, callLateOpen, in, r.Idle)
	if err != nil {
		return err
	}
	if !r.known {
		r.order, r.fast, r.patience = result.Order, result.Fast, cmp.Or(result.Patience, order.DefaultTiming().Attention)
	}
	r.known = true
	r.fold(result)
	return nil
}

func (r *lateRun) fold(result activities.LateStepResult) {
	asked := r.state.Asked()
	defer func() {
		if r.state.Asked() != asked {
			// The gateway is asked about another payment from here on.
			r.facts.Asked, r.facts.AskAfter = 0, time.Time{}
		}
	}()
	if result.State != nil && result.State.Head.Version >= r.state.Head.Version {
		r.state = *result.State
		return
	}
	r.state = saga.Must(r.state.Fold(result.Tail)).Bounded()
}

// TakeIn takes in the signals.
func (r *lateRun) TakeIn() {
	for workflow.GetSignalChannel(r.ctx, SignalLate).ReceiveAsync(nil) {
		r.changes++
		r.unread = true
	}
}

// Facts counts the signals.
func (r *lateRun) Facts() int { return r.changes }

// Next asks latepayment.Next, once everything is read.
func (r *lateRun) Next(now time.Time) saga.Action {
	if r.unread || r.state.Exhausted() {
		return saga.Action{Kind: saga.Record}
	}
	return latepayment.Next(r.state, r.facts, now)
}

// Record reads what somebody else has appended, and appends what latepayment.Next decides then.
func (r *lateRun) Record() error {
	if r.unread || r.state.Exhausted() {
		if err := r.read(); err != nil {
			return err
		}
	}
	next := latepayment.Next(r.state, r.facts, workflow.Now(r.ctx))
	if next.Kind != order.Record {
		return nil
	}
	in := r.input()
	in.Entry = next.Entry
	result, err := saga.UntilDone(r.ctx, callLateRecord, in, r.Idle)
	if err != nil {
		return err
	}
	r.facts.Stuck = nil
	r.fold(result)
	return nil
}

func (r *lateRun) input() activities.LateStepInput {
	return activities.LateStepInput{State: r.state, Order: r.order, Now: workflow.Now(r.ctx)}
}

// Input is the payment that the step is about.
func (r *lateRun) Input(saga.Action, bool) activities.LateStepInput {
	in := r.input()
	in.Payment = r.state.Payment(latepayment.Next(r.state, r.facts, workflow.Now(r.ctx)).Item)
	in.Again = r.facts.MayAskAgain()
	return in
}

// Durable returns the same input: nothing of it is for an inline step only.
func (r *lateRun) Durable(in activities.LateStepInput) activities.LateStepInput { return in }

// Fast reports whether the gateway may be called inside a workflow task.
func (r *lateRun) Fast() bool { return r.fast }

// Interrupts reports whether an operator has decided.
func (r *lateRun) Interrupts(saga.Action) bool {
	_, decided := r.state.Decided(r.facts)
	return decided
}

// newDesk is the desk of a late saga's run.
func (r *lateRun) newDesk() desk {
	return desk{
		ready:   func() (known, over bool) { return r.known, false },
		state:   func() (deskState, int) { return r.state, r.state.Attention.Count },
		facts:   &r.facts.Resolutions,
		changed: func() { r.changes++ },
		verdict: func(d order.Resolution) ResolveVerdict { return LateVerdictOf(r.state, d) },
		drain:   &r.drain,
	}
}

// LateVerdictOf is the answer to a decision about what came late, as far as the log knows it.
func LateVerdictOf(s latepayment.State, d order.Resolution) ResolveVerdict {
	v := ResolveVerdict{Accepted: s.Recorded(d.ID), Status: s.OrderStatus}
	if !v.Accepted {
		v.Detail = s.WhyNotResolvable(d)
	}
	return v
}

// Fold takes in what a step has answered.
func (r *lateRun) Fold(_ saga.Action, _ activities.LateStepInput, out activities.LateStepResult) error {
	r.facts.Stuck = nil
	if out.Unknown {
		r.facts.Unconfirmed(workflow.Now(r.ctx))
		return nil
	}
	r.facts.Asked, r.facts.AskAfter = 0, time.Time{}
	r.fold(out)
	return nil
}

// GiveUp is never called: no step has a deadline.
func (r *lateRun) GiveUp(saga.Action, activities.LateStepInput, error) {}

// Raise has latepayment.Next ask an operator to look.
func (r *lateRun) Raise(s saga.Stuck) {
	r.facts.Stuck = &order.Stuck{
		Step: s.Step, Error: saga.Describe(s.Cause), Attempts: s.Attempts, NextTry: s.NextTry,
	}
}

// Patience is short once an operator is being asked to look.
func (r *lateRun) Patience() time.Duration {
	if r.state.Attention.Open {
		return min(saga.SlowBatch, r.patience)
	}
	return r.patience
}

// Idle shows why the run stays where it is.
func (r *lateRun) Idle(note string) {
	workflow.SetCurrentDetails(r.ctx, lateDetails(r.state, note))
	if r.state.Attention.Open == r.shown {
		return
	}
	if err := workflow.UpsertTypedSearchAttributes(r.ctx, NeedsAttention.ValueSet(r.state.Attention.Open)); err != nil {
		workflow.GetLogger(r.ctx).Warn("search attributes are not written", "order_id", r.in.OrderID, "error", err)
		return
	}
	r.shown = r.state.Attention.Open
}

// Drain is what callers see of a run that is about to continue as new.
func (r *lateRun) Drain() *saga.Drain { return &r.drain }

// MayContinueAsNew reports that a new run knows as much: everything is in the log.
func (r *lateRun) MayContinueAsNew() bool { return true }

// ContinueAsNew bounds the history of a run that waits for long.
func (r *lateRun) ContinueAsNew() error { return workflow.NewContinueAsNewError(r.ctx, NameLate, r.in) }

// Close ends the run.
func (r *lateRun) Close() error {
	r.Idle("settled")
	return nil
}

// maxShown is how many open payments are shown.
const maxShown = 20

// lateDetails is what came late as markdown.
func lateDetails(s latepayment.State, note string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Events that came after order %s had ended: **%s**\n\n", s.OrderID, note)
	if s.Settled.Count > 0 {
		fmt.Fprintf(&b, "- ✓ %d payments settled\n", s.Settled.Count)
	}
	for _, p := range s.Payments[:min(len(s.Payments), maxShown)] {
		mark, text := "▶", "the gateway is asked"
		switch {
		case p.Judged && p.Amount == 0:
			mark, text = "✓", "no money has arrived"
		case p.Refunded:
			mark, text = "✓", fmt.Sprintf("%d given back", p.Amount)
		case p.Judged:
			text = fmt.Sprintf("%d to be given back", p.Amount)
		}
		fmt.Fprintf(&b, "- %s payment %s: %s\n", mark, p.Cause, text)
	}
	if s.Goods {
		mark, text := "▶", "somebody has to look after them"
		if s.GoodsSettled {
			mark, text = "✓", "looked after"
		}
		fmt.Fprintf(&b, "- %s goods that left: %s\n", mark, text)
	}
	return b.String()
}

// LateSummary is the late saga in one line, for the Temporal Web UI.
func LateSummary(orderID string) string { return "what came after order " + orderID + " had ended" }
