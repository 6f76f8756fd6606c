package workflows

import (
	"errors"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/order"
)

// step attempts, undoes or looks up a step and folds what came of it.
func (r *orderRun) step(a order.Action) error {
	if a.Kind == order.Undo && a.Step == order.StepConfirm {
		// The warehouse is asked by an event, so it is taken back by one: the record is the effect.
		return r.withdraw()
	}
	if a.Kind == order.Lookup && a.Step == order.StepCapture {
		return r.proveNotCaptured(a)
	}
	p := policies[action{a.Kind, a.Step}]
	in := r.stepInput()
	if a.Kind == order.Lookup {
		in.Hint, r.facts.Hint = r.facts.Hint, nil
	}
	var result activities.StepResult
	err := r.attempt(p, a, in, &result)
	switch {
	case errors.Is(err, errInterrupted):
		return nil
	case err != nil:
		return r.failed(p, a, in, err)
	}
	r.facts.Stuck, r.batches = nil, 0
	if a.Kind == order.Lookup && in.Hint == nil && len(result.Tail) == 0 {
		r.facts.LookedUp = true
	}
	return r.fold(result)
}

// withdraw records that the warehouse is asked not to dispatch.
func (r *orderRun) withdraw() error {
	in := r.stepInput()
	in.Entries = append(in.Entries, r.state.Undone(order.StepConfirm, workflow.Now(r.ctx)))
	var result activities.StepResult
	p := policy{activity: activities.NameRecord, queue: QueueOrders, summary: "undo: recall the goods"}
	if err := r.untilDone(p, in, &result); err != nil {
		return err
	}
	return r.fold(result)
}

// failed decides what a step that could not be finished means. Nobody knows whether its effect happened.
func (r *orderRun) failed(p policy, a order.Action, in activities.StepInput, err error) error {
	var broken *workflowError
	switch {
	case errors.As(err, &broken):
		return broken.err
	case a.Kind == order.Lookup && in.Hint != nil:
		r.log.Warn("a payment hint could not be checked", "order_id", r.state.Order.ID, "error", err)
		if r.facts.Hint == nil && retryable(err) && workflow.Now(r.ctx).Before(r.state.PendingSince.Add(r.timing.PaymentPending)) {
			// It will not come again: its message was acknowledged.
			r.facts.Hint = in.Hint
		}
	case a.Kind == order.Lookup:
		r.facts.LookedUp = true
	case p.deadline != nil:
		r.log.Warn("a step is given up", "order_id", r.state.Order.ID, "step", a.Step, "error", err)
		r.facts.GivenUp = a.Step
	default:
		return r.stuck(a, err)
	}
	return nil
}

// stuck asks an operator to look at a step that must succeed, once, and waits before it is tried again.
func (r *orderRun) stuck(a order.Action, cause error) error {
	if r.decided() {
		// An operator was faster: the decision comes first.
		return nil
	}
	r.batches++
	r.facts.Stuck = &order.Stuck{
		Step: a.Step, Undo: a.Kind == order.Undo, Error: activities.Describe(cause), Attempts: r.batches,
		NextTry: workflow.Now(r.ctx).Add(slowRetry),
	}
	r.takeIn()
	if order.Next(r.state, r.facts, workflow.Now(r.ctx), r.timing).Kind == order.Record {
		if err := r.record(); err != nil {
			return err
		}
	}
	r.show("stuck: " + activities.Describe(cause))
	r.publishLater()
	return r.pause(slowRetry, "try again: "+words(a))
}

// errInterrupted ends the wait for a step that a cancellation or an operator's decision has made pointless. The step may
// still happen: the undo fences it, or the decision has its slot.
var errInterrupted = errors.New("interrupted by a decision")

// workflowError marks errors that are the workflow's own, not a step's.
type workflowError struct{ err error }

func (e *workflowError) Error() string { return e.err.Error() }

// attempt runs a step: inside the workflow task first, where that is allowed, and as a regular activity with
// durable retry when that did not come through.
func (r *orderRun) attempt(p policy, a order.Action, in activities.StepInput, result *activities.StepResult) error {
	if !p.payment || r.inlinePayment {
		in.Inline = true
		err := r.inline(p, in, result)
		if err == nil || !retryable(err) {
			return err
		}
		in.Inline = false
	}
	r.show("retrying: " + p.summary)
	r.publishLater()
	// The background publishes from here on: every attempt would publish the same again.
	in.Unpublished = nil
	limit := r.batch()
	if p.deadline != nil {
		limit = p.deadline(r.timing)
	}
	ctx, cancel := workflow.WithCancel(r.ctx)
	defer cancel()
	future := r.regular(ctx, p, in, limit)
	undecided, settles := r.state.Decision == "" && a.Kind == order.Do, a.Kind != order.Lookup
	err := workflow.Await(r.ctx, func() bool {
		r.takeIn()
		return future.IsReady() || undecided && len(r.facts.Cancellations) > 0 || settles && r.decided()
	})
	if err != nil {
		return &workflowError{err}
	}
	if !future.IsReady() {
		return errInterrupted
	}
	return future.Get(r.ctx, result)
}

// batch bounds the attempts of a step that must succeed, until somebody should look; later it is short.
func (r *orderRun) batch() time.Duration {
	if r.facts.Stuck != nil || r.state.Attention.Open {
		return slowBatch
	}
	return r.timing.Attention
}

// untilDone runs an activity of our own that needs nothing but our own stores, until it succeeds. It never ends a run:
// an error that no retry mends is shown, and tried again slowly, for somebody to mend.
func (r *orderRun) untilDone(p policy, in, result any) error {
	err := r.inline(p, in, result)
	for err != nil {
		r.show("retrying: " + p.summary)
		if err = r.regular(r.ctx, p, in, 0).Get(r.ctx, result); err == nil {
			break
		}
		r.log.Error("a step of our own fails for good", "order_id", r.in.Order.ID, "step", p.activity, "error", err)
		r.show("stuck: " + activities.Describe(err))
		if err := workflow.Sleep(r.ctx, slowRetry); err != nil {
			return err
		}
	}
	return nil
}

// retryable reports whether the same attempt may succeed later.
func retryable(err error) bool { return fault.Lookup(activities.CodeOf(err)).Retryable }

// inline runs a local activity.
func (r *orderRun) inline(p policy, in, result any) error {
	ctx := workflow.WithLocalActivityOptions(r.ctx, workflow.LocalActivityOptions{
		ScheduleToCloseTimeout: inlineBudget, StartToCloseTimeout: inlineAttempt,
		RetryPolicy: inlineRetry, Summary: p.summary,
	})
	return workflow.ExecuteLocalActivity(ctx, p.activity, in).Get(ctx, result)
}

// regular starts a regular activity; a limit of 0 is none.
func (r *orderRun) regular(ctx workflow.Context, p policy, in any, limit time.Duration) workflow.Future {
	attempt := attemptTimeout
	if limit > 0 && limit < attempt {
		attempt = limit
	}
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: p.queue, ScheduleToCloseTimeout: limit, StartToCloseTimeout: attempt,
		RetryPolicy: durableRetry, Summary: p.summary,
	})
	return workflow.ExecuteActivity(ctx, p.activity, in)
}

// stepInput is what every step gets.
func (r *orderRun) stepInput() activities.StepInput {
	in := activities.StepInput{State: r.state, Timing: r.timing}
	if !r.outbox.pending {
		in.Unpublished = r.outbox.unpublished
	}
	return in
}

// words names an action for people.
func words(a order.Action) string { return string(a.Kind) + " " + string(a.Step) }
