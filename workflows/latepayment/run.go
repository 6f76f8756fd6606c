package latepayment

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// Registered names. They are part of histories: never rename one.
const (
	// Workflow is the workflow type; Signal tells a run that there is more.
	Workflow = "LateSaga"
	Signal   = "late"
)

// WorkflowID is the workflow ID of the saga that settles what came after an order had ended.
func WorkflowID(orderID string) string { return "late-" + orderID }

// Input starts a saga, or goes on with it: what came late is in the log.
type Input struct {
	OrderID string `json:"id"`
}

// Result is what a saga came to.
type Result struct {
	OrderID string `json:"orderId"`
	Version int64  `json:"version"`
}

type lateCall = saga.ActivityCall[StepInput, StepResult]

// Calls are the steps for late events: find the money, refund it, ask a person to act on the goods. Next says which one is next.
func Calls() (*saga.Definition[StepInput, StepResult], error) {
	type step = saga.Calls[StepInput, StepResult]
	return saga.Define("late events",
		step{
			Name: StepJudge, Kind: saga.Pivot, Slot: StepJudge,
			Lookup: saga.Activity(NameJudge, (*Activities).Judge, lateCall{
				Queue: saga.QueuePayments, Summary: "ask the gateway whether money has arrived", Remote: true,
			}),
		},
		step{
			Name: StepRefund, Kind: saga.Forward, Slot: StepRefund,
			Do: saga.Activity(NameRefund, (*Activities).Refund, lateCall{
				Queue: saga.QueuePayments, Summary: "give back the money that came late", Remote: true,
			}),
		},
		step{Name: StepDispatch, Kind: saga.Forward, Slot: SlotGoods},
	)
}

var (
	callLateOpen = saga.Activity(NameOpen, (*Activities).Open, lateCall{
		Queue: saga.QueueOrders, Summary: "read what came late", Timeout: saga.OpenTimeout,
	})
	callLateRecord = saga.Activity(NameRecord, (*Activities).Record, lateCall{
		Queue: saga.QueueOrders, Summary: "record",
	})
)

// Run is the saga that settles what came after an order had ended. What came is in the log: a signal only says that
// there is more, and any run can finish it.
func Run(ctx workflow.Context, in Input) (Result, error) {
	disconnected, _ := workflow.NewDisconnectedContext(ctx)
	r := &lateRun{ctx: disconnected, in: in, state: State{OrderID: in.OrderID}}
	r.persons = r.interventions()
	if err := r.persons.Handle(ctx); err != nil {
		return Result{}, err
	}
	sequence, err := Calls()
	if err != nil {
		return Result{}, err
	}
	// A continued run inherits what the one before it has shown.
	r.shown, _ = workflow.GetTypedSearchAttributes(ctx).GetBool(saga.NeedsAttentionAttribute)
	if err := r.read(); err != nil {
		return Result{}, err
	}
	for {
		if err := saga.NewDriver(ctx, sequence, r).Run(); err != nil {
			return Result{}, err
		}
		if err := workflow.Await(r.ctx, func() bool { return workflow.AllHandlersFinished(r.ctx) }); err != nil {
			return Result{}, err
		}
		// What came while the last answers were given is not left behind.
		if r.TakeIn(); !r.unread {
			return Result{OrderID: in.OrderID, Version: r.state.Head.Version}, nil
		}
	}
}

// lateRun is one run of a late saga.
type lateRun struct {
	saga.Loop[StepInput]
	ctx     workflow.Context
	in      Input
	order   order.Order
	state   State
	facts   Facts
	persons saga.Interventions
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

var _ saga.Run[StepInput, StepResult] = (*lateRun)(nil)

// read folds what the log has behind what the run knows.
func (r *lateRun) read() error {
	r.unread = false
	in := r.input()
	if r.state.Exhausted() {
		in.State = State{OrderID: r.in.OrderID}
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

func (r *lateRun) fold(result StepResult) {
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
	for workflow.GetSignalChannel(r.ctx, Signal).ReceiveAsync(nil) {
		r.changes++
		r.unread = true
	}
}

// Facts counts the signals.
func (r *lateRun) Facts() int { return r.changes }

// Next asks Next, once everything is read.
func (r *lateRun) Next(now time.Time) saga.Action {
	if r.unread || r.state.Exhausted() {
		return saga.Action{Kind: saga.Record}
	}
	return Next(r.state, r.facts, now)
}

// Record reads what somebody else has appended, and appends what Next decides then.
func (r *lateRun) Record() error {
	if r.unread || r.state.Exhausted() {
		if err := r.read(); err != nil {
			return err
		}
	}
	next := Next(r.state, r.facts, workflow.Now(r.ctx))
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

func (r *lateRun) input() StepInput {
	return StepInput{State: r.state, Order: r.order, Now: workflow.Now(r.ctx)}
}

// Input is the payment that the step is about.
func (r *lateRun) Input(saga.Action, bool) StepInput {
	in := r.input()
	in.Payment = r.state.Payment(Next(r.state, r.facts, workflow.Now(r.ctx)).Item)
	in.Again = r.facts.MayAskAgain()
	return in
}

// Fast reports whether the gateway may be called inside a workflow task.
func (r *lateRun) Fast() bool { return r.fast }

// Interrupts reports whether an operator has decided.
func (r *lateRun) Interrupts(saga.Action) bool {
	_, decided := r.state.Decided(r.facts)
	return decided
}

// interventions take in the decisions of people.
func (r *lateRun) interventions() saga.Interventions {
	return saga.Interventions{
		Ready:   func() (known, over bool) { return r.known, false },
		State:   func() (saga.Resolvable, int) { return r.state, r.state.Attention.Count },
		Facts:   &r.facts.Resolutions,
		Changed: func() { r.changes++ },
		Verdict: func(d order.Resolution) saga.ResolveVerdict { return VerdictOf(r.state, d) },
		Drain:   r.Loop.Drain(),
	}
}

// VerdictOf is the answer to a decision about what came late, as far as the log knows it.
func VerdictOf(s State, d order.Resolution) saga.ResolveVerdict {
	v := saga.ResolveVerdict{Accepted: s.Recorded(d.ID), Status: s.OrderStatus}
	if !v.Accepted {
		v.Detail = s.WhyNotResolvable(d)
	}
	return v
}

// Fold takes in what a step has answered.
func (r *lateRun) Fold(_ saga.Action, _ StepInput, out StepResult) error {
	r.facts.Stuck = nil
	if out.Unknown {
		r.facts.Unconfirmed(workflow.Now(r.ctx))
		return nil
	}
	r.facts.Asked, r.facts.AskAfter = 0, time.Time{}
	r.fold(out)
	return nil
}

// Raise has Next ask an operator to look.
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
	if err := workflow.UpsertTypedSearchAttributes(r.ctx, saga.NeedsAttentionAttribute.ValueSet(r.state.Attention.Open)); err != nil {
		workflow.GetLogger(r.ctx).Warn("search attributes are not written", "order_id", r.in.OrderID, "error", err)
		return
	}
	r.shown = r.state.Attention.Open
}

// ContinueAsNew bounds the history of a run that waits for long.
func (r *lateRun) ContinueAsNew() error { return workflow.NewContinueAsNewError(r.ctx, Workflow, r.in) }

// Close ends the run.
func (r *lateRun) Close() error {
	r.Idle("settled")
	return nil
}

// maxShown is how many open payments are shown.
const maxShown = 20

// lateDetails is what came late as markdown.
func lateDetails(s State, note string) string {
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

// Summary is the late saga in one line, for the Temporal Web UI.
func Summary(orderID string) string { return "what came after order " + orderID + " had ended" }
