// Package notify is the port for sending messages to customers, with their templates. The adapters are logmail and smtpmail; notifytest is their
// contract suite.
//
// It may import internal/fault, golang.org/x/net/idna, golang.org/x/text/unicode/norm and the standard library.
//
// # Contract of a Notifier
//
// Concurrency: Send is safe for concurrent use.
//
// Outcomes: Send returns one of four outcomes and no error. Accepted: another system has taken over the message. Refused: it was refused
// permanently. NotAccepted: it was certainly not accepted, and may be sent again. Unknown: all other cases. Send returns soon after its context
// ends.
//
// Only key, kind and customer ID of a message may be in logs or in a Result.
package notify

import (
	"context"
	"strings"
	"unicode"
)

// Message is a message to a customer.
type Message struct {
	// Key is the same each time the message is sent: mail servers and clients can drop duplicates by it.
	Key string
	// Kind and CustomerID are for logs.
	Kind, CustomerID string
	// To is an e-mail address without a name.
	To      string
	Subject string
	Text    string
	// HTML is optional.
	HTML string
}

// Outcome is the result of sending a message.
type Outcome string

// The outcomes.
const (
	Accepted    Outcome = "accepted"
	Refused     Outcome = "refused"
	NotAccepted Outcome = "not_accepted"
	Unknown     Outcome = "unknown"
)

// Result is an outcome with the status code of the server, such as "550 5.1.1", without its text.
type Result struct {
	Outcome Outcome
	Code    string
	// Err is why the certificate of the server was not accepted; nil in all other cases. It contains no personal data.
	Err error
}

// Notifier sends messages to customers.
type Notifier interface {
	Send(ctx context.Context, m Message) Result
}

// maxSubject is the maximum number of characters of a subject.
const maxSubject = 200

// Line returns a text as one line, so that it cannot start another header.
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
