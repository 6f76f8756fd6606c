package fault

import (
	"errors"
	"fmt"
)

// ErrMissing is in the chain of an Unavailable error that was returned because a stored record, which must exist, was not
// found. A read may miss a record for some seconds after a failover, so it is worth a retry; whoever checks stores for damage
// asks for it, because a record that stays missing is damage.
var ErrMissing = errors.New("a stored record was not found")

// Missing returns an Unavailable error that matches ErrMissing. The message is safe to show to a client.
func Missing(format string, args ...any) *Error {
	return &Error{Code: Unavailable, Message: fmt.Sprintf(format, args...), Err: ErrMissing}
}
