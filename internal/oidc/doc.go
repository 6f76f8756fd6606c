// Package oidc authenticates callers by tokens of an OpenID Connect provider: JWTs that the provider has signed for this service.
//
// # Contract
//
//   - A token is accepted when the provider's key has signed it with an asymmetric algorithm, and issuer, audience, exp and nbf are right.
//     iat, azp and nonce say nothing about access and are not looked at.
//   - The issuer is discovered when the first token comes, and anew every renewAfter: so keys that the provider has withdrawn are refused
//     after that time. A token with an unknown key has the keys read at once, at most every readPause, however many such tokens come.
//   - While the provider does not answer, what it said last is used for keepFor. After that, or when it never answered, the answer is
//     Unavailable: nothing is said about the token.
//
// Threads: a Verifier may be used by any number of goroutines at once. New does no I/O.
//
// Errors: fault.Unauthenticated, fault.Unavailable. The message of the former is for the client; its cause says what is wrong with the token,
// and never contains the token.
//
// It is the only package that may import go-oidc; besides that event, internal/auth and internal/fault.
package oidc
