package event

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// IDs are opaque: orders, customers, SKUs and payment methods keep the IDs that their systems gave them. Where an ID becomes part of a
// name (a stream, a workflow ID, a slot, a key, the _id of a list entry), it is escaped; everywhere else it stays as it is.

// maxIDBytes is the most that an ID may take.
const maxIDBytes = 200

// IDRule says in words what ValidID accepts.
const IDRule = "must be 1 to 200 bytes of printable characters, without a space at either end, and not . or .."

// ValidID reports whether id may be the ID of an order, a customer, a SKU or a payment method. Characters that are not printed are
// refused, and so are changes of direction and characters of no width: two IDs that look the same would not be. U+FFFD is what
// decoders make of what is no text.
func ValidID(id string) bool {
	if id == "" || len(id) > maxIDBytes || !utf8.ValidString(id) || id == "." || id == ".." || id[0] == ' ' || id[len(id)-1] == ' ' {
		return false
	}
	return !strings.ContainsFunc(id, func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) })
}

// tokenPattern is the form of IDs that are made here or chosen by operators, and become slots as they are. Earlier versions took
// no other IDs.
var tokenPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// TokenRule says in words what ValidToken accepts.
const TokenRule = "must be 1 to 64 characters of A-Z a-z 0-9 . _ - and begin with a letter or digit"

// ValidToken reports whether a text has the form of an ID that is made here: of requests, events, dead letters and operators.
func ValidToken(text string) bool { return tokenPattern.MatchString(text) }

const hexDigits = "0123456789ABCDEF"

// Escape returns an ID as part of a name: every byte but A-Z a-z 0-9 . _ - is percent-encoded. Names have neither slashes nor @, % is
// the beginning of an encoded byte, and different IDs have different names.
func Escape(id string) string {
	plain := 0
	for plain < len(id) && isPlain(id[plain]) {
		plain++
	}
	if plain == len(id) {
		return id
	}
	name := append(make([]byte, 0, 3*len(id)), id[:plain]...)
	for _, c := range []byte(id[plain:]) {
		if isPlain(c) {
			name = append(name, c)
		} else {
			name = append(name, '%', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return string(name)
}

// Unescape reverses Escape; ok is false for what Escape does not make.
func Unescape(name string) (id string, ok bool) {
	if !strings.Contains(name, "%") {
		return name, isEscaped(name)
	}
	text := make([]byte, 0, len(name))
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c == '%' {
			if i+2 >= len(name) {
				return "", false
			}
			high, low := strings.IndexByte(hexDigits, name[i+1]), strings.IndexByte(hexDigits, name[i+2])
			if high < 0 || low < 0 {
				return "", false
			}
			c, i = byte(high<<4|low), i+2
		}
		text = append(text, c)
	}
	id = string(text)
	return id, Escape(id) == name
}

func isEscaped(name string) bool {
	for i := range len(name) {
		if !isPlain(name[i]) {
			return false
		}
	}
	return true
}

func isPlain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-'
}

// Key returns the idempotency key of a step, for a participant: a UUID, which fits wherever keys go. IDs that earlier versions took keep
// the keys that those made of them, <id>/<step>: a saga that one of them began goes on with the keys that it has used.
func Key(id, step string) string {
	if ValidToken(id) {
		return id + "/" + step
	}
	return DerivedID("key", Escape(id), step)
}

// maxWorkflowID is the most that a workflow ID may take: Temporal's SQL databases have room for 255 characters.
const maxWorkflowID = 255

// WorkflowID returns the workflow ID of what has an ID: prefix and the escaped ID. One that is longer than Temporal's
// databases take ends in a ~, which no escaped ID has, and a UUID of the whole.
func WorkflowID(prefix, id string) string {
	name := prefix + Escape(id)
	if len(name) <= maxWorkflowID {
		return name
	}
	tail := "~" + DerivedID("workflow", name)
	return name[:maxWorkflowID-len(tail)] + tail
}

// idOf returns the ID that a name with a prefix is about.
func idOf(name, prefix string) (string, bool) {
	escaped, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return "", false
	}
	return Unescape(escaped)
}
