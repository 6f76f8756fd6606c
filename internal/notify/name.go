package notify

import (
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// linkPattern finds what mail programs make links of: a scheme or slashes, an address, and a domain without either. Its dots
// are those that IDNA takes for dots; a name has a space after them (J. R. R. Tolkien), or one letter (J.R.R. Tolkien).
var linkPattern = regexp.MustCompile(`(?i)//|@|\bwww\b|\p{L}[\p{L}\p{N}+-]*:\S|[\p{L}\p{N}][.\x{3002}\x{ff0e}\x{ff61}][\p{L}\p{N}-]{2}`)

// Salutation returns a name as a message may greet with it, and nothing for one with a link in it: everybody can register
// somebody else's address, and the greeting must not carry what they want to be read.
func Salutation(name string) string {
	name = Line(name)
	if linkPattern.MatchString(norm.NFKC.String(strings.Map(visible, name))) {
		return ""
	}
	return name
}

// visible leaves out characters that are not seen, such as soft hyphens.
func visible(r rune) rune {
	if unicode.Is(unicode.Cf, r) {
		return -1
	}
	return r
}
