package activities

import (
	"errors"

	"go.temporal.io/sdk/temporal"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// toTemporal makes the error that Temporal keeps: its type is the fault code, and it says whether a retry may
// help. It is the only way out of an activity.
func toTemporal(err error) error {
	if err == nil {
		return nil
	}
	code := fault.CodeOf(err)
	return temporal.NewApplicationErrorWithOptions(err.Error(), string(code), temporal.ApplicationErrorOptions{
		NonRetryable: !fault.Lookup(code).Retryable,
	})
}

// CodeOf returns the fault code of an error that came back through Temporal: a timeout, a lost worker and
// everything else without a code of its own is an unknown outcome.
func CodeOf(err error) fault.Code {
	var timeout *temporal.TimeoutError
	var application *temporal.ApplicationError
	if !errors.As(err, &timeout) && errors.As(err, &application) && application.Type() != "" {
		return fault.Code(application.Type())
	}
	return fault.OutcomeUnknown
}

// Describe returns the innermost words of an error that came back through Temporal, for operators.
func Describe(err error) string {
	var application *temporal.ApplicationError
	if errors.As(err, &application) {
		return application.Message()
	}
	return err.Error()
}
