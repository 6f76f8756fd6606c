// Package text makes texts of other systems fit for storage and display. Each boundary has one function: notes in events are cleaned, because an
// invalid note must never be the reason why a payment or a delivery is lost; texts that a sender can correct, such as those of REST clients, are
// validated.
//
// The package is a leaf: it imports only internal/fault and the standard library.
package text

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// Clean returns a text from an event for storage: valid UTF-8 in one line, at most limit characters. Line breaks, control characters and all kinds of
// space become spaces; leading and trailing ones are removed, and so are characters that affect other text, such as direction changes. Joined
// emoji are kept.
func Clean(s string, limit int) string {
	clean := strings.TrimSpace(strings.Map(cleaned, strings.ToValidUTF8(s, string(unicode.ReplacementChar))))
	if runes := []rune(clean); len(runes) > limit {
		return strings.TrimSpace(string(runes[:limit]))
	}
	return clean
}

// cleaned returns the replacement of a character; a negative number removes it.
func cleaned(r rune) rune {
	const zeroWidthNonJoiner, zeroWidthJoiner = '\u200c', '\u200d'
	switch {
	case r == zeroWidthNonJoiner, r == zeroWidthJoiner, r >= '\U000e0020' && r <= '\U000e007f':
		// These are parts of words and of emoji: families, flags.
		return r
	case unicode.IsSpace(r), unicode.Is(unicode.Z, r), unicode.IsControl(r):
		return ' '
	case unicode.Is(unicode.Cf, r), r&0xfffe == 0xfffe, r >= 0xfdd0 && r <= 0xfdef:
		return -1
	}
	return r
}

// Validate returns the rules that a text from a client violates: at most limit characters, and all of them printable, because logs and consoles show
// the text.
func Validate(s string, limit int) (broken []string) {
	if utf8.RuneCountInString(s) > limit {
		broken = append(broken, fault.RuleLength(limit))
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		broken = append(broken, fault.RulePrintable)
	}
	return broken
}
