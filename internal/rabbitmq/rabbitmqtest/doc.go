// Package rabbitmqtest has what tests need around a broker: topologies of their own, listeners on an exchange, a proxy
// that fails on demand, a bus in memory, and the suite that every publisher of records passes.
//
// Only tests import it.
package rabbitmqtest
