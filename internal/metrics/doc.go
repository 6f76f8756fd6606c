// Package metrics has the metrics of sagas, of the checks of what must hold, and of Temporal's SDK, for a Prometheus registry. Those of
// HTTP, RabbitMQ and MongoDB are with their adapters.
//
// The number of series is bounded: labels are names of flows, steps, statuses and reasons, never IDs. A label whose values come with data
// has at most maxValues of them for each flow; others are "other".
//
// The package imports no driver. Everything may be used by any number of goroutines at once.
package metrics
