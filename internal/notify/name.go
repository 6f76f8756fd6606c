package notify

import (
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// linkPattern matches what mail clients turn into links: a scheme or slashes, an address, or a plain domain. The dots are all that IDNA accepts;
// in a name, a dot is followed by a space (J. R. R. Tolkien) or one letter (J.R.R. Tolkien).
var linkPattern = regexp.MustCompile(`(?i)//|@|\bwww\b|\p{L}[\p{L}\p{N}+-]*:\S|[\p{L}\p{N}][.\x{3002}\x{ff0e}\x{ff61}][\p{L}\p{N}-]{2}`)

// Salutation returns a name for a greeting, and "" for a name with a link: anyone can register another person's address, and the greeting must
// not carry their content.
func Salutation(name string) string {
	name = Line(name)
	if linkPattern.MatchString(norm.NFKC.String(strings.Map(visible, name))) {
		return ""
	}
	return name
}

// visible removes invisible characters, such as soft hyphens.
func visible(r rune) rune {
	if unicode.Is(unicode.Cf, r) {
		return -1
	}
	return r
}
