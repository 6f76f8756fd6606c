// Package participant calls a shop's own warehouse and payment service over HTTP: api/participant.yaml is the contract. Payments is a
// payment.Gateway, Warehouse is the stock of the order flow.
//
// It may import event, payment, internal/{fault,jsondoc,stock,trace}, net/http, gobreaker and standard-webhooks.
//
// # Contract
//
// What is definite: an answer that the contract describes, as the operation allows it. Everything else is an unknown outcome, whatever its
// status is: a proxy that answers 404 says nothing about a payment.
//
//	fault.OutcomeUnknown     a request was sent, and no definite answer came
//	fault.Unavailable        no request was sent: no connection, or the breaker is open; or a look-up without a definite answer
//	fault.EffectSettled      409 settled
//	fault.Conflict           409 conflict; or a look-up found a different payment ID
//	fault.StockInsufficient  409 insufficient, for a commit
//	fault.Invalid            422 invalid; or a request that the contract does not allow, which is not sent
//
// The breaker: after Config.Failures calls in a row without a definite answer nothing is sent for Config.Pause. Then one call is sent, while
// others fail with Unavailable; a definite answer closes the breaker.
//
// Only the configured URL is called: redirects are not followed.
//
// Concurrency: everything is safe for concurrent use.
package participant
