package eventlog

import (
	"errors"
	"fmt"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
)

// Error names the slot and the existing record.
func (e *TakenError) Error() string {
	return fmt.Sprintf("key %s of stream %s holds %s at version %d", e.Key, e.Stream, e.Existing.Type, e.Existing.Version)
}

// Unwrap returns fault.KeyTaken, for errors.Is and fault.CodeOf.
func (e *TakenError) Unwrap() error { return fault.KeyTaken }

// Holder returns the record that holds the slot, for callers that may not import this package.
func (e *TakenError) Holder() event.Record { return e.Existing }

// Lost reports whether an append failed because another writer was first. The returned head and tail are then valid: the caller may fold the
// tail and decide again.
func Lost(err error) bool {
	return errors.Is(err, fault.Concurrency) || errors.Is(err, fault.KeyTaken)
}
