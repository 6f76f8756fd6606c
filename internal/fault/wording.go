package fault

import (
	"strconv"
	"strings"
)

// Rules of input that is read in more than one place. The same mistake is described in the same words, whether it came over REST
// or on the bus.
const (
	RuleMissing   = "is missing"
	RuleUnknown   = "is not a known field"
	RuleObject    = "must be an object"
	RuleArray     = "must be an array"
	RuleString    = "must be a string"
	RulePrintable = "must have printable characters only"
)

// RuleLength is the rule of a text that may have at most that many characters.
func RuleLength(most int) string { return "must have at most " + strconv.Itoa(most) + " characters" }

// RuleRange is the rule of a number between two bounds.
func RuleRange(least, most int64) string {
	return "must be from " + strconv.FormatInt(least, 10) + " to " + strconv.FormatInt(most, 10)
}

// Overlap reports whether one place of an input, a JSON pointer, is the other or in it. What a later check says about a place
// that overlaps with one that could not be read is no news.
func Overlap(a, b string) bool {
	return a == b || strings.HasPrefix(a, b+"/") || strings.HasPrefix(b, a+"/")
}
