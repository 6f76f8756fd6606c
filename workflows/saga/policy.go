package saga

import (
	"time"

	"go.temporal.io/sdk/temporal"
)

// How calls are run: one table for every flow. What differs from step to step, its deadline, stands with the step.
const (
	// InlineBudget bounds a local activity with its retries. It stays well under the 10 s of a workflow task.
	InlineBudget = 3 * time.Second
	// InlineAttempt bounds one attempt, so that a hung connection leaves room for a second one.
	InlineAttempt = 2 * time.Second

	// AttemptTimeout bounds one attempt of a regular activity. A service that takes longer is asked again with the
	// same key.
	AttemptTimeout = 10 * time.Second

	// SlowRetry is how often a step that an operator was asked to look at is tried again.
	SlowRetry = time.Minute
	// SlowBatch bounds the attempts of one such try.
	SlowBatch = 30 * time.Second
)

// InlineRetry is for local activities: one more attempt at once; everything longer is for regular activities.
func InlineRetry() *temporal.RetryPolicy {
	return &temporal.RetryPolicy{InitialInterval: 50 * time.Millisecond, BackoffCoefficient: 2, MaximumAttempts: 2}
}

// DurableRetry is for regular activities: quick at first, because most outages are short, and never faster than every
// ten seconds later. Attempts are bounded by the deadline of the activity alone.
func DurableRetry() *temporal.RetryPolicy {
	return &temporal.RetryPolicy{InitialInterval: 200 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 10 * time.Second}
}
