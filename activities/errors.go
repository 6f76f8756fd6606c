package activities

import (
	"go.temporal.io/sdk/temporal"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// ToTemporal makes the error that Temporal keeps: its type is the fault code, and it says whether a retry may
// help. It is the only way out of an activity.
func ToTemporal(err error) error {
	if err == nil {
		return nil
	}
	code := fault.CodeOf(err)
	return temporal.NewApplicationErrorWithOptions(err.Error(), string(code), temporal.ApplicationErrorOptions{
		NonRetryable: !fault.Lookup(code).Retryable,
	})
}
