// Package readmodel keeps one document an order, for lists. The truth is in the event log: a single order is
// always folded from its stream, and everything here can be rebuilt from there.
//
// It may import the MongoDB driver, internal/order, event, internal/eventlog, internal/cursor and internal/fault.
//
// # Documents
//
// Collection orders:
//
//	_id            string   the order id
//	customerId     string
//	status         string   see order.Status
//	reason         string   empty when there is none
//	version        int64    of the stream, when the document was made
//	currency       string
//	totalAmount    int64    minor units
//	fulfillment    string
//	lines          array    of {sku, quantity (int64), unitAmount (int64)}
//	paymentMethod  string
//	createdAt      date
//	updatedAt      date
//	correlationId  string
//	attention      object   what an operator is asked to look at; missing when nothing is:
//	                        {number (int64), step, undo (bool), error, attempts (int64), nextTry (date or missing),
//	                        since (date), actions (array of string: what may be decided)}
//
// # Contract
//
// Threads: a Store may be used by any number of goroutines and processes at once.
//
// Order: a document only ever moves to a higher version, in whatever order Put is called. FerretDB 1 has no atomic
// updates: there the calls of one process are put in a row, and a terminal state is read again after it was
// written. Two processes can still lose an update there, for ever only when the process that wrote the terminal
// state ended in between; Rebuild repairs it.
//
// Idempotency: Put of what stands there, or of something older, does nothing.
//
// Errors: fault.Unavailable for everything that server, network or context do; fault.Invalid for filters.
package readmodel
