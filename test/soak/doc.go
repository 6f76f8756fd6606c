// Package soak puts the bus to its acceptance test: orders of every kind under steady load, over REST and by event, while
// the broker is restarted and killed again and again, and two processes of the service share the work.
//
// It judges from outside, as the neighbours of the service would:
//   - Every order that was accepted has ended, and as its kind says.
//   - A consumer of its own, with a durable queue, has got every event of every order at least once, and in stream order
//     after dropping what repeats by sequence.
//   - No order is there twice; stock and money add up: test/audit and `ordersaga reconcile` find nothing.
//   - Nothing is left in inbox, wait queues and dead letters.
//
// What is random comes from one seed, which is printed. The neighbours do their own duty: who gets no confirm publishes
// again under the same id, who gets no answer asks again under the same key, who listens acknowledges behind its work.
//
// `make soak` runs it in full, test/e2e a small version. It imports nothing of the service.
package soak
