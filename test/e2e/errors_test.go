package e2e

import "errors"

// isA reports whether err holds an error of the target's type.
func isA[T error](err error, target *T) bool { return errors.As(err, target) }
