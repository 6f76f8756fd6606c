// Package rabbitmq carries events over RabbitMQ: the topology, a publisher with confirms, a consumer that retries and dead-letters, a
// listener, and a publisher for commands.
//
// It may import event, internal/{wire,deadletter,null,fault}, amqp091-go and Prometheus's client. rabbitmqtest has helpers for tests of
// other packages.
//
// # Contract
//
// Connections: Publisher and Consumer each have their own connection, so that acknowledgements continue while the broker blocks
// publishers. Each connection is supervised: when it is lost, a new connection with new channels is opened and the topology is declared
// again, with exponential backoff and jitter, without a limit. The client's own recovery is off: it acknowledges through reused channels
// whose delivery tags restart at 1.
//
// Lifecycle: New… validates the configuration and does no I/O. Start does not block. Stop is idempotent, may be called without Start, and
// releases everything before it returns. Stop consumers before the publisher that they use.
//
// Concurrency: every method is safe for concurrent use.
//
// Delivery: at least once, in both directions. An unconfirmed message may have arrived; it is published again with the same message ID.
// One call of PublishRecords publishes one event at a time, so that a stream never has more than one unconfirmed event. Different calls
// share a channel and do not wait for each other.
//
// Failure: a message is acknowledged after its handler has handled it, or after a copy of it is confirmed in a wait queue or in the dead
// letter queue. Only the table of internal/fault decides what an error means. Messages that wait because a dependency was down return to
// their queue soon after it recovers, see ConsumerConfig.Probe.
//
// Status and Metrics contain no message content and no credentials.
//
// Errors: Unavailable if the broker cannot be reached or did not confirm in time; Invalid for a message that can never be sent; NotFound
// for a queue that does not exist.
package rabbitmq
