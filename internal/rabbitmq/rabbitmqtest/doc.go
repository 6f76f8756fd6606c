// Package rabbitmqtest has helpers for tests with a broker: unique topologies, listeners on an exchange, a proxy that fails on demand, a
// bus in memory, and the contract suite of publishers.
//
// Only tests may import it.
package rabbitmqtest
