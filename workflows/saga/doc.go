// Package saga is the kit that flows are written with: a table of typed steps, checked when it is built, and a driver
// that runs it.
//
// A flow decides, the kit drives. What to do next is a pure function of the flow's own event log and of the facts that
// signals brought; see Run. The kit runs the step's activity for it: inside the workflow task first, then as a regular
// activity with durable retry, interrupted when a fact makes the attempt pointless, given up past its deadline when it
// can still be undone, tried for ever when it must succeed, with an operator asked to look when it does not.
//
// It imports the Temporal SDK and the standard library only, so that it can be used by any flow.
//
// # Contract
//
//   - Everything runs on a context that is disconnected from the workflow's cancellation: a cancellation is a fact.
//   - A step that may have been attempted counts as attempted. The kit never tells a flow that an attempt did not
//     happen: a definite refusal is a result of the activity, an error means that nobody knows.
//   - An activity says that no retry helps by a non-retryable application error. Every other error is retried with
//     the same input.
//   - One thing at a time: the driver calls the flow from the workflow's main coroutine only.
package saga
