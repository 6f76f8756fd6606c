package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// orderRun is the order's part of a run, as the kit asks for it.
var _ saga.Run[activities.StepInput, activities.StepResult] = (*orderRun)(nil)

// Facts counts what signals have brought.
func (r *orderRun) Facts() int { return r.changes }

// Next asks order.Next.
func (r *orderRun) Next(now time.Time) saga.Action {
	a := order.Next(r.state, r.facts, now, r.timing)
	return saga.Action{Kind: a.Kind, Step: a.Step, Until: a.Until, For: a.For}
}

// Record appends what order.Next decided, and everything that it decides right after it, in one append.
func (r *orderRun) Record() error {
	entries := order.Decisions(r.state, r.facts, workflow.Now(r.ctx), r.timing)
	in := r.stepInput()
	in.Entries = entries
	result, err := saga.UntilDone(r.ctx, callRecord("record "+types(entries)), in, r.show)
	if err != nil {
		return err
	}
	r.facts.Stuck = nil
	r.fold(result)
	return nil
}

// Input is the order as far as it is folded, with what the step needs besides.
func (r *orderRun) Input(a saga.Action, inline bool) activities.StepInput {
	in := r.stepInput()
	in.Inline = inline
	switch {
	case proves(a):
	case a.Kind == saga.Lookup && a.Step == order.StepAuthorize:
		in.Hint, r.facts.Hint = r.facts.Hint, nil
	case reserves(a):
		if w := r.facts.Shortage; w != nil {
			in.ShortOf, in.LastTry = w.SKU, w.Over(workflow.Now(r.ctx), r.timing)
		}
	case a.Kind == saga.Undo && a.Step == order.StepConfirm:
		in.Entries = []event.Entry{r.state.Undone(order.StepConfirm, workflow.Now(r.ctx))}
	}
	return in
}

// reserves reports whether an action attempts to reserve stock.
func reserves(a saga.Action) bool { return a.Kind == saga.Do && a.Step == order.StepReserve }

// Durable leaves out what only an inline step does. The background publishes from here on: every attempt would publish
// the same again.
func (r *orderRun) Durable(in activities.StepInput) activities.StepInput {
	in.Inline, in.Unpublished = false, nil
	return in
}

// Fast reports whether the gateway may be called inside a workflow task.
func (r *orderRun) Fast() bool { return r.inlinePayment }

// Interrupts reports whether a cancellation, lost stock or an operator's decision has made an attempt pointless.
func (r *orderRun) Interrupts(a saga.Action) bool {
	return r.state.Decision == "" && a.Kind == saga.Do && (len(r.facts.Cancellations) > 0 || r.facts.StockLost != "") || a.Kind != saga.Lookup && r.decided()
}

// Fold takes in what a step has answered.
func (r *orderRun) Fold(a saga.Action, in activities.StepInput, out activities.StepResult) error {
	r.facts.Stuck = nil
	switch {
	case reserves(a):
		r.facts.Shortage = r.facts.Shortage.After(r.state.Order.ID, out.ShortOf, workflow.Now(r.ctx), r.timing)
	case a.Kind != saga.Lookup || len(out.Tail) > 0:
	case proves(a):
		r.notCaptured()
	case in.Hint == nil:
		r.facts.LookedUp = true
	case r.facts.Unconfirmed(*in.Hint, r.state, r.timing, workflow.Now(r.ctx)):
	default:
		// The gateway does not know of it. If the order is undone, what was said is late.
		r.keep(in.Hint)
	}
	r.fold(out)
	return nil
}

// GiveUp keeps in mind that nobody knows whether a step happened: order.Next has it looked up, or undone.
func (r *orderRun) GiveUp(a saga.Action, in activities.StepInput, cause error) {
	r.log.Warn("a step is given up", "order_id", r.state.Order.ID, "step", a.Step, "error", cause)
	switch {
	case proves(a):
		r.notProven(cause)
	case a.Kind != saga.Lookup:
		r.facts.GivenUp = a.Step
	case in.Hint == nil:
		r.facts.LookedUp = true
	case !workflow.Now(r.ctx).Before(r.state.PaymentDeadline(r.timing)):
		// Nobody waits for the payer any more. If the order is undone, what was said is late.
		r.keep(in.Hint)
	case saga.Retryable(cause) && (r.facts.Hint == nil || in.Hint.Succeeded):
		// It will not come again: its message was acknowledged.
		r.facts.Hint = in.Hint
	case !saga.Retryable(cause):
		r.keep(in.Hint)
	}
}

// keep remembers a word about the payment that nobody could confirm. A word that the payer has paid is not replaced.
func (r *orderRun) keep(h *order.PaymentHint) {
	if r.unasked == nil || !r.unasked.Succeeded {
		r.unasked = h
	}
}

// Raise has order.Next ask an operator to look.
func (r *orderRun) Raise(s saga.Stuck) {
	r.facts.Stuck = &order.Stuck{
		Step: s.Step, Undo: s.Kind == saga.Undo, Error: saga.Describe(s.Cause), Attempts: s.Attempts, NextTry: s.NextTry,
	}
}

// Patience is ATTENTION_AFTER, and short once an operator is being asked to look.
func (r *orderRun) Patience() time.Duration {
	if r.state.Attention.Open {
		return min(saga.SlowBatch, r.timing.Attention)
	}
	return r.timing.Attention
}

// Idle shows why the run stays where it is, and publishes what is left meanwhile.
func (r *orderRun) Idle(note string) {
	r.show(note)
	r.publishLater()
}

// Drain is what callers see of a run that is about to continue as new.
func (r *orderRun) Drain() *saga.Drain { return &r.drain }

// MayContinueAsNew reports whether nothing would be lost by a new run. One that has ended closes instead.
func (r *orderRun) MayContinueAsNew() bool { return !r.state.Ended }

// ContinueAsNew bounds the history of a run that waits for long.
func (r *orderRun) ContinueAsNew() error {
	if r.outbox.pending {
		// The next run goes on publishing.
		r.outbox.cancel()
	}
	next := r.in
	facts := r.facts
	if r.state.AnswersCancellation() {
		facts.Cancellations = nil
	}
	next.Resume = &Resume{Facts: facts, Seen: r.seen.list(), Published: r.outbox.confirmed, Unasked: r.unasked, Late: r.late, Recover: r.recovering}
	return workflow.NewContinueAsNewError(r.ctx, NameOrder, next)
}

// Close ends the run once everything is published and every caller has its answer. What comes late meanwhile gets its verdict.
func (r *orderRun) Close() error {
	r.show("")
	if r.unlisted {
		if _, err := saga.UntilDone(r.ctx, callList, activities.ListInput{State: r.state}, r.show); err != nil {
			return err
		}
	}
	r.publishLater()
	for judged := false; ; judged = true {
		err := workflow.Await(r.ctx, func() bool {
			r.TakeIn()
			return r.closable() || len(r.late) > 0 || r.drain.Due(r.ctx)
		})
		if err == nil {
			err = r.judgeLate(!judged)
		}
		switch {
		case err != nil:
			return err
		case r.closable() && len(r.late) == 0 && !r.unsettled:
			return nil
		case r.drain.Due(r.ctx):
			// Neither the broker nor who sends late events keeps this run: another one closes.
			if err := r.drain.Release(r.ctx); err != nil {
				return err
			}
			r.TakeIn()
			r.facts, r.unasked = order.Facts{}, nil
			return r.ContinueAsNew()
		}
	}
}

// closable reports whether everything is published and every caller has its answer.
func (r *orderRun) closable() bool { return !r.outbox.pending && workflow.AllHandlersFinished(r.ctx) }

// stepInput is what every step gets.
func (r *orderRun) stepInput() activities.StepInput {
	r.heard.ask()
	return activities.StepInput{State: r.state, Timing: r.timing, Unpublished: r.outbox.beside(), Now: workflow.Now(r.ctx)}
}

// types lists the types of events, for people.
func types(entries []event.Entry) string {
	list := ""
	for i, e := range entries {
		if i > 0 {
			list += ", "
		}
		list += e.Type
	}
	return list
}
