package fault

import (
	"errors"
	"fmt"
)

// ErrMissing is in the chain of an Unavailable error for a stored record that must exist but was not found. For some seconds after a failover
// a read may miss a record, so a retry may succeed. Checks for damage look for it: a record that stays missing is damage.
var ErrMissing = errors.New("a stored record was not found")

// Missing returns an Unavailable error that matches ErrMissing. The message is safe for clients.
func Missing(format string, args ...any) *Error {
	return &Error{Code: Unavailable, Message: fmt.Sprintf(format, args...), Err: ErrMissing}
}
