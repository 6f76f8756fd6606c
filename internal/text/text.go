// Package text makes texts that came from outside fit to be kept. It may import the standard library only.
package text

import (
	"strings"
	"unicode"
)

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
