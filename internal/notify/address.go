package notify

import (
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// maxAddress is the maximum length of an address, in bytes (RFC 5321, section 4.5.3.1.3).
const maxAddress = 254

// ParseAddress parses an e-mail address without a name; it may have non-ASCII letters (RFC 6532). Unlike RFC 5322 it allows dots anywhere in the
// local part, because some providers have addresses such as a..b@example.com. The error is Invalid and does not quote the address.
func ParseAddress(text string) (*mail.Address, error) {
	if len(text) > maxAddress || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return nil, errAddress
	}
	if a, err := mail.ParseAddress(text); err == nil && (a.Address == text || a.String() == "<"+text+">") {
		return a, nil
	}
	at := strings.LastIndexByte(text, '@')
	if at < 0 {
		return nil, errAddress
	}
	// Without the extra dots it must be a valid address.
	atoms := strings.FieldsFunc(text[:at], func(r rune) bool { return r == '.' })
	plain := strings.Join(atoms, ".") + text[at:]
	if a, err := mail.ParseAddress(plain); err != nil || a.Address != plain {
		return nil, errAddress
	}
	return &mail.Address{Address: text}, nil
}

var errAddress = fault.New(fault.Invalid, "the address cannot be used")

// ASCIIDomain returns an address with its domain in ASCII, for mail servers without SMTPUTF8 (RFC 6531). A domain without an ASCII form is not
// changed.
func ASCIIDomain(a mail.Address) mail.Address {
	at := strings.LastIndexByte(a.Address, '@')
	if domain, err := idna.Lookup.ToASCII(a.Address[at+1:]); err == nil {
		a.Address = a.Address[:at+1] + domain
	}
	return a
}
