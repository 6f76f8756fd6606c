package eventlog

import (
	"errors"
	"fmt"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Error names the slot and what stands there.
func (e *TakenError) Error() string {
	return fmt.Sprintf("key %s of stream %s holds %s at version %d", e.Key, e.Stream, e.Standing.Type, e.Standing.Version)
}

// Unwrap gives the error its code, for errors.Is and fault.CodeOf.
func (e *TakenError) Unwrap() error { return fault.KeyTaken }

// Holder returns the record that holds the slot, for callers that may not import this package.
func (e *TakenError) Holder() event.Record { return e.Standing }

// Lost reports whether an append failed because somebody else was there first, so that the returned head and
// tail are true and the caller may fold them and decide again.
func Lost(err error) bool {
	return errors.Is(err, fault.Concurrency) || errors.Is(err, fault.KeyTaken)
}
