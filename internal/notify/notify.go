// Package notify is the port to whoever brings messages to customers, and the templates of what they say. The adapters
// are logmail and smtpmail; notifytest has the suite that every one of them passes.
//
// It may import internal/fault, golang.org/x/net/idna, golang.org/x/text/unicode/norm and the standard library.
//
// # Contract of a Notifier
//
// Threads: Send may be called by any number of goroutines.
//
// Outcomes: Send says one of four things, and never an error. Accepted: somebody else has the message now. Refused: it was
// refused for good. NotAccepted: it was definitely not taken, and may be sent again. Unknown: nobody knows. In doubt it is
// Unknown. Send returns soon after its context ends.
//
// Nothing of the message is logged or part of a Result but its key, kind and customer id.
package notify

import (
	"context"
	"strings"
	"unicode"
)

// Message is a message to a customer.
type Message struct {
	// Key is the same however often the message is sent: a mail server or a reader can drop duplicates by it.
	Key string
	// Kind and CustomerID are for logs.
	Kind, CustomerID string
	// To is an e-mail address, without a name.
	To      string
	Subject string
	Text    string
	// HTML is optional.
	HTML string
}

// Outcome is what became of a message.
type Outcome string

// The outcomes.
const (
	Accepted    Outcome = "accepted"
	Refused     Outcome = "refused"
	NotAccepted Outcome = "not_accepted"
	Unknown     Outcome = "unknown"
)

// Result is what became of a message, and what the server said about it: its code, such as "550 5.1.1", and nothing else.
type Result struct {
	Outcome Outcome
	Code    string
}

// Notifier brings messages to customers.
type Notifier interface {
	Send(ctx context.Context, m Message) Result
}

// maxSubject is how many characters a subject keeps.
const maxSubject = 200

// Line makes one line of a text: what goes into a header must not be able to begin another one.
func Line(text string) string {
	text = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, text)), " ")
	if runes := []rune(text); len(runes) > maxSubject {
		text = strings.TrimSpace(string(runes[:maxSubject-1])) + "…"
	}
	return text
}
