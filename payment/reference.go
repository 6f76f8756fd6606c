package payment

import (
	"regexp"
	"strings"
)

// Reference is the reference of the payment of a saga that is no order: the stream of its flow, a slash, and its ID. The reference of an
// order is its ID, which has no slash, so that no two payments have the same one.
func Reference(stream, id string) string { return stream + "/" + id }

var (
	streamPattern = regexp.MustCompile(`^[a-z][a-z0-9.]*$`)
	idPattern     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
)

// ValidReference reports whether a reference is that of an order or of a saga of another flow.
func ValidReference(reference string) bool {
	stream, id, other := strings.Cut(reference, "/")
	if !other {
		return idPattern.MatchString(reference)
	}
	return streamPattern.MatchString(stream) && idPattern.MatchString(id)
}
