package saga

import (
	"cmp"
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// attemptOutcome is the outcome of an attempt, besides its error.
type attemptOutcome int

const (
	// answered: the call has answered, or has failed.
	answered attemptOutcome = iota
	// interrupted: a fact has made it pointless to wait. It may still happen: the undo fences it.
	interrupted
	// broken: the workflow itself cannot continue; the error is its own.
	broken
)

// attempt runs a call: inside the workflow task first, where that is allowed, and as a regular activity with durable
// retry when that did not come through.
func (d *Driver[In, Out]) attempt(a Action, call *ActivityCall[In, Out], in In, inline Inlining) (out Out, f attemptOutcome, err error) {
	note := call.Summary
	if inline.Attempts > 0 {
		err = callInline(d.ctx, call, in, &out, inline)
		if err == nil || !Retryable(err) {
			return out, answered, err
		}
		if !refusedInline(err) {
			note = "retrying: " + note
		}
	}
	d.flow.Idle(note)
	limit := d.batch()
	if call.Deadline != nil {
		limit = call.Deadline(in)
	}
	ctx, cancel := workflow.WithCancel(d.ctx)
	defer cancel()
	future := callDurable(ctx, call, d.flow.Durable(in), limit)
	err = workflow.Await(d.ctx, func() bool {
		d.flow.DrainSignals()
		// A run that is due continues as new after the attempt; callers do not make it grow meanwhile.
		d.flow.Drain().Due(d.ctx)
		return future.IsReady() || d.flow.Interrupts(a)
	})
	switch {
	case err != nil:
		return out, broken, err
	case !future.IsReady():
		return out, interrupted, nil
	}
	err = future.Get(d.ctx, &out)
	return out, answered, err
}

// batch bounds the attempts of a call that must succeed before it needs attention; later batches are short.
func (d *Driver[In, Out]) batch() time.Duration {
	if d.batches > 0 {
		return min(SlowBatch, d.flow.AttentionAfter())
	}
	return d.flow.AttentionAfter()
}

// UntilDone runs a call that needs nothing but the flow's own stores, until it succeeds. It never ends a run: an error
// that no retry repairs is shown in the Web UI and retried slowly until an operator repairs the cause. The error is the workflow's own.
func UntilDone[In, Out any](ctx workflow.Context, call *ActivityCall[In, Out], in In, idle func(note string)) (out Out, err error) {
	err = callInline(ctx, call, in, &out, OwnInlining)
	for round := 1; err != nil; round++ {
		idle("retrying: " + call.Summary)
		if err = callDurable(ctx, call, in, 0).Get(ctx, &out); err == nil {
			break
		}
		workflow.GetLogger(ctx).Error("internal step failed permanently", "step", call.activity, "error", err)
		idle("stuck: " + Describe(err))
		if err := workflow.Sleep(ctx, slowRetry(round, workflow.GetInfo(ctx).OriginalRunID)); err != nil {
			return out, err
		}
	}
	return out, nil
}

// callInline runs a call as a local activity.
func callInline[In, Out any](ctx workflow.Context, call *ActivityCall[In, Out], in In, out *Out, inline Inlining) error {
	retry := InlineRetry()
	retry.MaximumAttempts = inline.Attempts
	ctx = workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		ScheduleToCloseTimeout: inline.Budget, StartToCloseTimeout: inline.Attempt,
		RetryPolicy: retry, Summary: Summary(call.Summary),
	})
	return workflow.ExecuteLocalActivity(ctx, call.activity, in).Get(ctx, out)
}

// callDurable starts a call as a regular activity; a limit of 0 is none.
func callDurable[In, Out any](ctx workflow.Context, call *ActivityCall[In, Out], in In, limit time.Duration) workflow.Future {
	attempt := cmp.Or(call.Timeout, AttemptTimeout)
	if limit > 0 && limit < attempt {
		attempt = limit
	}
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: call.Queue, ScheduleToCloseTimeout: limit, StartToCloseTimeout: attempt,
		RetryPolicy: DurableRetry(), Summary: Summary(call.Summary),
	})
	return workflow.ExecuteActivity(ctx, call.activity, in)
}

// pausing is what a pause needs of a run.
type pausing interface {
	DrainSignals()
	Facts() int
	Drain() *Drain
}

// Pause waits until a fact comes, at most for d. The timer ends with it: a saga that waits often does not collect
// timers, and the Temporal Web UI shows none for which no one waits.
func Pause(ctx workflow.Context, f pausing, d time.Duration, summary string) error {
	return pauseSince(ctx, f, f.Facts(), d, summary)
}

// pauseSince is Pause for a run that has looked at so many facts.
func pauseSince(ctx workflow.Context, f pausing, facts int, d time.Duration, summary string) error {
	timed, cancel := workflow.WithCancel(ctx)
	defer cancel()
	timer := workflow.NewTimerWithOptions(timed, d, workflow.TimerOptions{Summary: Summary(summary)})
	return workflow.Await(ctx, func() bool {
		f.DrainSignals()
		return timer.IsReady() || f.Facts() != facts || f.Drain().Due(ctx)
	})
}

// Retryable reports whether the same call may succeed later. A timeout may; so may everything that does not say that it
// is for good.
func Retryable(err error) bool {
	var timeout *temporal.TimeoutError
	var application *temporal.ApplicationError
	return errors.As(err, &timeout) || !errors.As(err, &application) || !application.NonRetryable()
}

// TypeNotInline is the type of the error of a call that its worker does not run inside a workflow task.
const TypeNotInline = "not_inline"

// refusedInline reports whether the worker has not run a call inside a workflow task.
func refusedInline(err error) bool {
	var application *temporal.ApplicationError
	return errors.As(err, &application) && application.Type() == TypeNotInline
}

// Describe returns the innermost words of an error that came back through Temporal, for operators.
func Describe(err error) string {
	var application *temporal.ApplicationError
	if errors.As(err, &application) {
		return application.Message()
	}
	return err.Error()
}
