package fault

import (
	"strconv"
	"strings"
)

// Rules for input that is read in several places. REST and events use the same words for the same error.
const (
	RuleMissing   = "is missing"
	RuleUnknown   = "is not a known field"
	RuleObject    = "must be an object"
	RuleArray     = "must be an array"
	RuleString    = "must be a string"
	RulePrintable = "must have printable characters only"
)

// RuleLength is the rule for a text with a maximum number of characters.
func RuleLength(most int) string { return "must have at most " + strconv.Itoa(most) + " characters" }

// RuleRange is the rule for a number in a range.
func RuleRange(least, most int64) string {
	return "must be from " + strconv.FormatInt(least, 10) + " to " + strconv.FormatInt(most, 10)
}

// Overlap reports whether two JSON pointers are equal or one contains the other. After an error at one place, errors of later checks at
// overlapping places are redundant.
func Overlap(a, b string) bool {
	return a == b || strings.HasPrefix(a, b+"/") || strings.HasPrefix(b, a+"/")
}
