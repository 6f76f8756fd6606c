package order

import (
	"strings"
	"unicode"
)

// maxText is how many characters of a text from outside are kept.
const maxText = 500

// text makes a text from outside fit for the log: of bounded length, see Clean. What a sender wrote for people must never be
// the reason why an order cannot be recorded.
func text(s string) string { return Clean(s, maxText) }

// Clean returns a text that somebody outside wrote for people as it is kept: valid UTF-8 in one line, at most limit
// characters. Line breaks, control characters and every kind of space become spaces, those around the text are cut off, and
// what has an effect on other text, such as a change of direction, is left out. Joined emoji stay as they are.
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
