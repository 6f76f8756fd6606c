package saga

import (
	"hash/fnv"
	"time"

	"go.temporal.io/sdk/temporal"
)

// How calls are run: one table for every flow. What differs from step to step, its deadline, is declared with the step.
const (
	// InlineBudget bounds a local activity with its retries. Meanwhile it holds one of the worker's places for workflow
	// tasks. The task's own 10 s are no bound: the worker renews the task when local activities take longer.
	InlineBudget = 3 * time.Second
	// InlineAttempt bounds one attempt, so that a hung connection leaves room for a second one.
	InlineAttempt = 2 * time.Second

	// inlineMargin is the time that an attempt of a remote call has for everything else, such as the append of its outcome.
	inlineMargin = time.Second

	// AttemptTimeout bounds one attempt of a regular activity. A service that takes longer is asked again with the
	// same key.
	AttemptTimeout = 10 * time.Second

	// SlowRetry is the first pause before a step that needs attention is retried. The pause doubles up to
	// SlowestRetry: a saga may be parked for months, and thousands of them may wait for the same service.
	SlowRetry    = time.Minute
	SlowestRetry = time.Hour
	// AttentionTimeout is how long a step may be stuck in a flow about which a person has nothing to decide: a broker or a mail server
	// that is down for hours comes back by itself.
	AttentionTimeout = 24 * time.Hour
	// SlowBatch bounds the attempts of one such try.
	SlowBatch = 30 * time.Second
)

// Inlining is how a call runs inside a workflow task. Attempts of 0: it does not.
type Inlining struct {
	// Budget bounds all attempts together, Attempt one of them.
	Budget, Attempt time.Duration
	Attempts        int32
}

// OwnInlining is for calls of own stores, and of services that are as fast.
var OwnInlining = Inlining{Budget: InlineBudget, Attempt: InlineAttempt, Attempts: 2}

// RemoteInlining is for calls of external services: one attempt, whose call gets the budget. A failed one becomes a regular activity at once.
func RemoteInlining(budget time.Duration) Inlining {
	if budget <= 0 {
		return Inlining{}
	}
	return Inlining{Budget: budget + inlineMargin, Attempt: budget + inlineMargin, Attempts: 1}
}

// InlineRetry is for local activities: one more attempt at once; everything longer is for regular activities.
func InlineRetry() *temporal.RetryPolicy {
	return &temporal.RetryPolicy{InitialInterval: 50 * time.Millisecond, BackoffCoefficient: 2, MaximumAttempts: 2}
}

// DurableRetry is for regular activities: quick at first, because most outages are short, and never faster than every
// ten seconds later. Attempts are bounded by the deadline of the activity alone.
func DurableRetry() *temporal.RetryPolicy {
	return &temporal.RetryPolicy{InitialInterval: 200 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 10 * time.Second}
}

// slowRetry is the pause after a round of attempts, counted from 1. It is up to a tenth longer, with jitter per run,
// so that runs that got stuck together do not retry together.
func slowRetry(round int, runID string) time.Duration {
	pause := SlowRetry
	for n := 1; n < round && pause < SlowestRetry; n++ {
		pause *= 2
	}
	pause = min(pause, SlowestRetry)
	h := fnv.New32a()
	_, _ = h.Write([]byte(runID))
	return pause + pause/10*time.Duration(h.Sum32()%1000)/1000
}
