// Package rabbitmq carries events over RabbitMQ: the topology, a publisher with confirms, a consumer that retries and
// dead-letters, a listener, and a publisher for commands.
//
// It may import event, internal/{wire,deadletter,null,fault}, amqp091-go and Prometheus's client. rabbitmqtest has what tests of
// other packages need.
//
// # Contract
//
// Connections: Publisher and Consumer each have one of their own, so that a broker that blocks publishers does
// not stop acknowledgements. Each is supervised: when it is lost, a new connection, new channels and the
// whole topology are made, with a growing delay that is capped and jittered, for as long as it takes. The
// client's own recovery stays off: it acknowledges through reused channels, whose tags restart at 1.
//
// Life: New… checks its configuration and does no I/O. Start returns at once. Stop may be called more than once,
// also without Start, and nothing is left when it returns. Stop consumers before the publisher that they use.
//
// Threads: every method may be called by any number of goroutines.
//
// Delivery: at least once, both ways. What was not confirmed may have arrived all the same and is published again under the same
// message id. The events of one call of PublishRecords go one by one, so that a stream never has more than one unconfirmed event;
// different calls share a channel and do not wait for each other.
//
// Failure: a message is acknowledged only when its handler is done with it, or when a copy of it is confirmed in
// a wait queue or in the dead letter queue. What an error means is decided by the table of internal/fault alone. Messages that
// wait because a dependency was down return to their queue soon after it answers, see ConsumerConfig.Probe.
//
// Status and Metrics have nothing of a message's content, and no credentials.
//
// Errors: Unavailable when the broker is not there or did not confirm in time; Invalid for what can never be sent; NotFound for a
// queue that does not exist.
package rabbitmq
