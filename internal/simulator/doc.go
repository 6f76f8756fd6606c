// Package simulator is a payment provider for development, tests and demonstrations. Its books are in the event log, one stream per order,
// payment-<orderId>: they survive a restart, and can be checked against the orders.
//
// It may import event, internal/eventlog, internal/fault, payment and golang-lru; it imports no driver.
//
// # Books
//
// The data of every record is a Charge: orderId, paymentId, amount, currency, method and, for refusals, code. The keys are the slots of the
// contract of payment.Gateway:
//
//	authorize              charge.authorized | charge.refused | charge.fenced   the Do slot
//	authorize/pending      charge.pending                                       waiting for the payer
//	authorize/unavailable  charge.unavailable                                   start of the outage
//	settle                 charge.captured | charge.voided                      the settle slot, after an authorization
//	capture/refused        charge.capture_refused                               the authorization is still valid
//	capture/delayed        charge.capture_delayed                               the capture timed out and happens after a lookup
//	arrive                 charge.arrived                                       money that arrived after the void of a pending payment
//	refund/<key>           charge.refunded | charge.refund_refused              amount is that of the refund
//	refund/<key>/delayed   charge.refund_delayed                                the refund timed out and happens with the next call
//
// An authorization without a settle slot is valid. The paid amount of an order is the amount of its charge.captured, or of its charge.arrived,
// minus the amounts of its charge.refunded. The payment ID is derived from the order ID.
//
// # Methods
//
//	tok_visa                approves
//	tok_declined            refuses: card_declined
//	tok_insufficient_funds  refuses: insufficient_funds
//	tok_timeout             approves, and the call that wrote it fails with OutcomeUnknown
//	tok_unavailable         fails with Unavailable for Config.Outage from the first call, then approves
//	tok_pending             is pending until Settle; Void undoes it, and a later payment arrives
//	tok_late_refund_stuck   like tok_pending; Refund always fails with Unavailable
//	tok_void_stuck          approves; Void always fails with Unavailable
//	tok_refund_stuck        approves; Refund always fails with Unavailable
//	tok_refund_refused      approves; Refund is refused: refund_declined
//	tok_refund_late         approves; the first two calls of Refund with a key fail with OutcomeUnknown, and the second one refunds
//	tok_capture_stuck       approves; Capture always fails with Unavailable
//	tok_capture_refused     approves; Capture is refused: capture_declined. Void works
//	tok_capture_late        approves; Capture fails with OutcomeUnknown, and happens directly after the next Lookup, which still
//	                        returns authorized. Void before that works
//	all others              refuse: unknown_method
//
// # Contract
//
// The contract is that of payment.Gateway and payment.Settler. In addition:
//
// Idempotency: an order has one payment, so Authorize, Capture and Void are idempotent by order ID and ignore the key; refunds are idempotent by
// key. A different amount, currency, method or payment ID for the same order is a Conflict, like with providers that refuse different parameters
// for the same key. Lookup and Settle check only the order ID, and the payment ID if one is given.
//
// Concurrency: it is safe for concurrent use, also by several processes. A decision that is based on a cached book is either an append, which the
// log refuses if the book is outdated, or is made again with a book from the log.
//
// Errors: Invalid, Conflict, EffectSettled; Unavailable if nothing was written; OutcomeUnknown if something may have been written, now or later;
// Corrupt.
package simulator
