// Package text makes texts that other systems wrote fit to be kept and shown. There is one function for each boundary: remarks in
// events are cleaned, because they must never be the reason why a payment or a delivery is lost; texts that a sender can correct, such as
// those of REST clients, are validated.
//
// The package is a leaf: it imports internal/fault and the standard library only.
package text

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// Clean returns a text from an event as it is kept: valid UTF-8 in one line, at most limit characters. Line breaks, control characters
// and every kind of space become spaces, those around the text are cut off, and what has an effect on other text, such as a change of
// direction, is left out. Joined emoji stay as they are.
func Clean(s string, limit int) string {
	clean := strings.TrimSpace(strings.Map(cleaned, strings.ToValidUTF8(s, string(unicode.ReplacementChar))))
	if runes := []rune(clean); len(runes) > limit {
		return strings.TrimSpace(string(runes[:limit]))
	}
	return clean
}

// cleaned returns what a character of a text becomes; a negative number leaves it out.
func cleaned(r rune) rune {
	const zeroWidthNonJoiner, zeroWidthJoiner = '\u200c', '\u200d'
	switch {
	case r == zeroWidthNonJoiner, r == zeroWidthJoiner, r >= '\U000e0020' && r <= '\U000e007f':
		// They are parts of words and of emoji: families, flags.
		return r
	case unicode.IsSpace(r), unicode.Is(unicode.Z, r), unicode.IsControl(r):
		return ' '
	case unicode.Is(unicode.Cf, r), r&0xfffe == 0xfffe, r >= 0xfdd0 && r <= 0xfdef:
		return -1
	}
	return r
}

// Validate returns the rules that a text from a client breaks: it has limit characters at most, and every one of them is printed. Logs
// and consoles show it.
func Validate(s string, limit int) (broken []string) {
	if utf8.RuneCountInString(s) > limit {
		broken = append(broken, fault.RuleLength(limit))
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		broken = append(broken, fault.RulePrintable)
	}
	return broken
}
