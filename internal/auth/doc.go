// Package auth decides which caller sends a request, and what the caller may do: API keys and their life, scopes, callers. Tokens of an
// OpenID Connect provider are verified by internal/oidc, which makes the same Caller of them.
//
// # Contract
//
//   - A key is a random secret of 256 bits. It is shown once, when it is made; stored is its SHA-256 alone. A slow hash such as bcrypt
//     protects passwords, which can be guessed: 256 random bits cannot, so a fast hash is right, and a request may be checked without
//     a cost that an attacker could multiply.
//   - A key has a name, which is the caller's. Names are unique and are never used again, because the name is the namespace of the
//     caller's idempotency keys and the actor in events: a later key of the same name would inherit both.
//   - Keys are kept as records that are inserted and never changed: a secret, a secret that succeeds it, a revocation. What holds
//     follows from all records of a name, so that two operators at once cannot undo what the other has done.
//   - Keyring answers from a copy of all keys that is at most maxStale old; when the store does not answer for longer, the answer is
//     Unavailable. So a revocation is effective within maxStale in every process. Callers cannot make the copy grow, and unknown keys
//     cost at most one read of the store every readPause, however many are tried.
//
// Threads: everything here may be used by any number of goroutines at once. Nothing here logs, and no error contains a key.
//
// Errors: fault.Unauthenticated, fault.Unavailable; those of Admin are listed there.
//
// It may import event, internal/fault and the standard library.
package auth
