// Package iterator declares the end of a list.
package iterator

import "errors"

// Done ends an iteration.
var Done = errors.New("no more items in iterator")
