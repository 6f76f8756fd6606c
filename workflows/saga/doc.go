// Package saga is the kit that flows are written with: a table of steps, the decisions that follow from it, and a driver that runs
// them.
//
// A Flow is data: rows in business order, each with its calls, outcomes, compensation and waits. Fold makes a saga's state from its
// events, Decide says what is next from the state and the facts that signals brought; both are pure. Flows that are loops instead of
// sequences are Endless, and have a function Next in the place of the order of the rows.
//
// Flow.Run is the workflow of a table: it opens the stream, receives signals and Updates, takes over from interrupted runs,
// publishes, hands over to the next run and closes. Its activities are in the package activities; the step functions of the table, methods of
// the flow's participants, run in them and return an Outcome, of which the kit makes the event.
//
// A wait after the pivot may be fulfilled in parts, such as the parcels of an order: its row has a PartsRule. Interpret says what an event about
// a part means to a saga; each is recorded in a slot of its own, and the wait is over with the last one, or when Over says so. A part that is
// missing needs attention by itself, and Follow is the step that follows from a decision, such as a refund, with an item and a slot for each.
//
// The driver runs the step's activity: inside the workflow task first, then as a regular activity with durable retry, interrupted when a
// fact makes the attempt pointless, given up after its deadline while it can still be compensated, tried until it succeeds when it must,
// with a person asked to act when it does not.
//
// It imports the Temporal SDK, event, internal/fault and internal/text: it knows no flow.
//
// # Contract
//
//   - Everything runs on a context that is disconnected from the workflow's cancellation: a cancellation is a fact.
//   - A step that may have been attempted counts as attempted. The kit never tells a flow that an attempt did not
//     happen: a definite refusal is a result of the activity, an error means that the outcome is unknown.
//   - An activity says that no retry helps by a non-retryable application error. Every other error is retried with
//     the same input.
//   - One thing at a time: the driver calls the flow from the workflow's main coroutine only.
package saga
