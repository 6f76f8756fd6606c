package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/ordersaga/ordersaga/activities"
	"github.com/ordersaga/ordersaga/internal/order"
)

// policy is how an action is run.
type policy struct {
	// activity is the registered name.
	activity string
	// queue is where the regular activity runs.
	queue string
	// summary is one line for the Temporal Web UI.
	summary string
	// payment marks calls to the gateway: they run inline only when it is fast.
	payment bool
	// deadline returns how long the step may be unavailable; nil for steps that must succeed.
	deadline func(order.Timing) time.Duration
}

// action is the key of the table.
type action struct {
	kind order.ActionKind
	step order.Step
}

// policies is the one table of how steps are run.
//
// Before the pivot a step has a deadline: past it, it is given up and undone. After it, and in compensations,
// there is none: a step is tried until it succeeds, and an operator is asked to look after Timing.Attention.
var policies = map[action]policy{
	{order.Do, order.StepReserve}: {
		activity: activities.NameReserve, queue: QueueOrders, summary: "reserve every line",
		deadline: func(t order.Timing) time.Duration { return t.Reserve },
	},
	{order.Do, order.StepAuthorize}: {
		activity: activities.NameAuthorize, queue: QueuePayments, summary: "authorize the payment", payment: true,
		deadline: func(t order.Timing) time.Duration { return t.Authorize },
	},
	{order.Lookup, order.StepAuthorize}: {
		activity: activities.NameLookup, queue: QueuePayments, summary: "ask the gateway what became of the payment", payment: true,
		deadline: func(order.Timing) time.Duration { return lookupDeadline },
	},
	{order.Do, order.StepCapture}: {
		activity: activities.NameCapture, queue: QueuePayments, summary: "capture the payment", payment: true,
	},
	{order.Do, order.StepCommit}: {
		activity: activities.NameCommit, queue: QueueOrders, summary: "commit the stock",
	},
	{order.Undo, order.StepAuthorize}: {
		activity: activities.NameVoid, queue: QueuePayments, summary: "undo: void the payment", payment: true,
	},
	{order.Undo, order.StepReserve}: {
		activity: activities.NameRelease, queue: QueueOrders, summary: "undo: release the stock",
	},
}

const (
	// lookupDeadline bounds how long a gateway is asked about an unknown outcome before the step is undone. The
	// undo fences whatever happened, so waiting longer would only hold the stock for longer.
	lookupDeadline = time.Minute

	// inlineBudget bounds a local activity with its retries. It stays well under the 10 s of a workflow task.
	inlineBudget = 3 * time.Second
	// inlineAttempt bounds one attempt, so that a hung connection leaves room for a second one.
	inlineAttempt = 2 * time.Second

	// attemptTimeout bounds one attempt of a regular activity. A provider that takes longer is asked again with
	// the same key.
	attemptTimeout = 10 * time.Second

	// slowRetry is how often a step that an operator was asked to look at is tried again.
	slowRetry = time.Minute
	// slowBatch bounds the attempts of one such try.
	slowBatch = 30 * time.Second

	// publishInline bounds the first attempt to publish what a run left behind.
	publishInline = 2 * time.Second
)

// inlineRetry is for local activities: one more attempt at once; everything longer is for regular activities.
var inlineRetry = &temporal.RetryPolicy{
	InitialInterval: 50 * time.Millisecond, BackoffCoefficient: 2, MaximumAttempts: 2,
}

// durableRetry is for regular activities: quick at first, because most outages are short, and never faster
// than every ten seconds later. Attempts are bounded by the deadline of the activity alone.
var durableRetry = &temporal.RetryPolicy{
	InitialInterval: 200 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 10 * time.Second,
}
