// Package stripe is the payment gateway for Stripe: PaymentIntents with manual capture, created unconfirmed and then confirmed.
//
// # Why no money moves twice
//
//   - Creating a PaymentIntent moves no money: it is created without a payment method. Therefore a second one, whose creator did not learn of the
//     first, is harmless. Only a PaymentIntent whose ID is known is confirmed.
//   - The creation uses an idempotency key that is derived from the payment. While Stripe remembers the key, repeating the creation finds the
//     PaymentIntent. This is also how an authorization with an unknown outcome is found and undone, and Lookup uses it: searches of Stripe lag.
//   - Confirm, capture and cancel are guarded by the state of the PaymentIntent, which Stripe locks. A call that finds another state than it expects
//     reads the PaymentIntent again.
//   - Stripe forgets idempotency keys after 24 hours. Then the payment is searched for by its metadata. An empty search proves nothing: the
//     call fails with Unavailable, and the saga needs attention in the end.
//   - A refund carries its key in its metadata. Refunds of the PaymentIntent are listed first, so that a key refunds once, whenever it is used.
//   - Stripe also remembers a response with status 500 for a key, and repeats it. The call then continues with the next key of a sequence; the
//     rules above make that safe.
//
// # What Stripe does not remember
//
// The code of a refusal is written to the metadata of the PaymentIntent before it is cancelled, because Stripe clears its last error when
// the PaymentIntent changes. A refused capture is written there as well. Metadata has no personal data: an order's ID, the token of the
// payment method, and codes.
//
// Sources: Stripe's API reference for PaymentIntents, refunds, idempotent requests, search and currencies. Tests send every request to stripe-mock, which
// validates it with Stripe's OpenAPI specification. Stripe itself was not called by any test of this package.
package stripe
