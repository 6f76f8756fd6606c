// Package readmodel is the lists of orders: one entry an order. The truth is in the event log: a single order is always folded
// from its stream, and every list can be rebuilt from there. Where entries are kept is an adapter's business (internal/mongo).
//
// It may import event and internal/{order,late,eventlog,cursor,fault}; it imports no driver.
package readmodel
