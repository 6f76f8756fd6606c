// Package simulator is a payment provider for development, tests and demonstrations. It keeps its books in the
// event log, one stream an order, payment-<orderId>, so that they outlive a restart and can be checked against
// the orders by anybody who reads raw documents.
//
// It may import event, internal/eventlog, internal/fault and payment; it imports no driver.
//
// # Books
//
// Every record's data is a Charge: orderId, paymentId, amount, currency, method and, for refusals, code. The keys
// are the slots of the port's contract:
//
//	authorize              charge.authorized | charge.refused | charge.fenced   the Do slot
//	authorize/pending      charge.pending                                       the payer was asked
//	authorize/unavailable  charge.unavailable                                   when the outage began
//	settle                 charge.captured | charge.voided                      the settle slot, behind an authorization
//	capture/refused        charge.capture_refused                               the authorization still stands
//	capture/delayed        charge.capture_delayed                               the capture timed out, and happens after a look-up
//	arrive                 charge.arrived                                       money that came after the void of a pending payment
//	refund/<key>           charge.refunded                                      amount is what was given back
//
// An authorization without a settle slot stands. What an order has paid is the amount of its charge.captured, or of its
// charge.arrived, minus the amounts of its charge.refunded. The payment's id is derived from the order's.
//
// # Methods
//
//	tok_visa                approves
//	tok_declined            refuses: card_declined
//	tok_insufficient_funds  refuses: insufficient_funds
//	tok_timeout             approves, and the call that wrote it fails with OutcomeUnknown
//	tok_unavailable         fails with Unavailable for Config.Outage since the first call, then approves
//	tok_pending             is pending until Settle; Void undoes it, and what is paid after that arrives
//	tok_late_refund_stuck   as tok_pending; Refund fails with Unavailable for good
//	tok_void_stuck          approves; Void fails with Unavailable for good
//	tok_refund_stuck        approves; Refund fails with Unavailable for good
//	tok_capture_stuck       approves; Capture fails with Unavailable for good
//	tok_capture_refused     approves; Capture is refused: capture_declined. Void works
//	tok_capture_late        approves; Capture fails with OutcomeUnknown, and happens right after the next Lookup, which does
//	                        not know of it yet. Void before that works
//	anything else           refuses: unknown_method
//
// # Contract
//
// The contract is that of payment.Gateway and payment.Settler. Besides:
//
// Idempotency: an order has one payment, so the keys of Authorize, Capture and Void say nothing that the order's
// id does not say; a refund is written once a key. Another amount, currency, method or payment id for the same
// order is a Conflict, as with providers that refuse other parameters under a key. Lookup and Settle look at the
// order's id, and the payment's where one is given.
//
// Threads and processes: any number of goroutines and processes may use one log. Every decision is made against
// the newest records: one that is made against remembered records ends in an append that the log refuses when
// they are outdated, or is made again against records read for it.
//
// Errors: Invalid, Conflict, EffectSettled; Unavailable when nothing was written; OutcomeUnknown when something
// may have been, now or later; Corrupt.
package simulator
