// Package console serves the pages of operators under /console: sagas, what needs attention, dead letters, stock and health.
//
// It imports internal/auth, internal/keyset, internal/fault, workflows/saga for the descriptions of flows, x/text/currency and the standard
// library. It reaches nothing but the REST API of its own process: every page asks it with the credentials of its caller, so that scopes, rules,
// limits, actors and logs are those of REST.
//
// # Contract
//
// Threads: a Console is an http.Handler for any number of requests at once. It starts no goroutine.
//
// Browsers: pages work without scripts. A script only refreshes what changes, from the same addresses. The content security policy allows nothing
// from other hosts, no inline script and no inline style. Every form has a token that must be that of a cookie.
//
// Credentials: the API key of a login is kept in a cookie, encrypted; nothing is stored. It is checked with each request, so a revocation
// takes effect as for REST.
package console
