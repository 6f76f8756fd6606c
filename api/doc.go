// Package api is the REST API: it turns requests into calls of the saga client, the event log, the read model
// and the stock ledger, and their answers into resources and problems. It decides nothing about orders.
//
// It is the only package that may import labstack/echo. Besides that it may import prometheus/client_golang, x/time/rate, golang-lru, a
// YAML reader for its own openapi.yaml, the Temporal SDK's types of payloads, event, workflows and internal/{order,fault,auth,inventory,sagaclient,deadletter,readmodel} for
// their types. It reaches MongoDB, RabbitMQ and Temporal only through the interfaces of Config.
//
// # Contract
//
// Threads: a Server is an http.Handler for any number of requests at once. It starts no goroutine that outlives
// its request, and needs no closing. Drain may be called at any time, again too.
//
// Outside: openapi.yaml is the contract with clients, and a test holds routes and answers to it. Resources are
// JSON in camel case, amounts are integers in minor units, times are RFC 3339 in UTC with milliseconds. Errors
// are RFC 9457 problems whose code is stable; what is not meant for clients is logged, and only there.
//
// Access: every route has a scope in the table of routes, or is public there, and is reached through one function that authenticates the
// caller and checks the scope, before anything of the body is read. A caller's credentials are never logged.
//
// Idempotency: a POST with an Idempotency-Key may be sent again. The id of what it makes is derived from caller
// and key, so that nothing has to be remembered here.
//
// Deadlines: every body is read, every dependency asked and every answer written within a bound, so that the
// server needs no timeouts besides those of ConfigureServer.
package api
