// Package client calls the REST API of ordersaga.
//
// Every call that changes something has an idempotency key, which is generated for the call or given with [WithIdempotencyKey], and kept when the
// call is repeated: a repeated call takes effect once. A call is repeated while the service cannot be reached, is overloaded or does not know the
// result yet, until it succeeds, [Config.RetryTime] is over or its context is done. To repeat a call after a restart of your own process, give it
// a key that you have stored.
//
// Errors that the service returns are an [*Error]. Lists and streams are iterators: the first error ends them.
//
// A [Client] is safe for concurrent use. It has no state but its configuration, and needs no Close. The package imports only the standard
// library. The API itself: /docs and /openapi.yaml of the service.
package client
