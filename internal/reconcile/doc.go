// Package reconcile checks everything that must always hold over the event log, the stock ledger, the payments, the
// list of orders and Temporal, and repairs what a new run or a rewritten list entry repairs.
//
// It may import event, payment and internal/{order,late,customer,notice,deadletter,refunds,readmodel,eventlog,fault}; it
// imports no driver: it reads through small interfaces, whose adapters internal/service wires.
//
// # Contract
//
// Races: it runs while orders run. Nothing is a finding that was seen once: what a first look finds is looked at again
// after a pause, and only what is found again, about the same version of the same stream, is reported.
//
// Memory: streams are read one by one, by their names; payments and list entries are walked beside the orders' streams.
// What is held is the longest stream of an order, 8 bytes for each record of the longest stream, the reservations of one SKU
// that are not settled, and at most MaxFindings findings.
//
// Writes: without Options.Repair there are none. With it, runs are started, list entries are written, and what only an
// operator can repair is recorded, once, in a separate stream (event.ReconcileStream). Money, stock and damaged
// streams are never touched.
//
// Threads: Run may be called by any number of goroutines and processes at once; it is only more work then.
//
// Errors: Unavailable when a store, the gateway or Temporal does not answer. Then nothing is known, and nothing was
// repaired unless the report says so.
package reconcile
