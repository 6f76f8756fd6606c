package order

import (
	"strings"
	"unicode"
)

// maxText is how many characters of a text from outside are kept.
const maxText = 500

// text makes a text from outside fit for the log: printable, valid, of bounded length. What a sender wrote for people
// must never be the reason why an order cannot be recorded.
func text(s string) string {
	clean := strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	if runes := []rune(clean); len(runes) > maxText {
		return string(runes[:maxText])
	}
	return clean
}
