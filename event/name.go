package event

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// IDs are opaque: orders, customers, SKUs and payment methods keep the IDs of their systems. An ID is escaped in a name (a stream, a workflow ID,
// a slot, a key, the _id of a list entry), and unchanged everywhere else.

// maxIDBytes is the maximum length of an ID.
const maxIDBytes = 200

// IDRule is the rule of ValidID in words.
const IDRule = "must be 1 to 200 bytes of printable characters, without a space at either end, and not . or .."

// ValidID reports whether id is valid for an order, a customer, a SKU or a payment method. Unprintable characters, direction changes and zero-width
// characters are refused, because different IDs could look equal. U+FFFD is refused because decoders use it for invalid text.
func ValidID(id string) bool {
	if id == "" || len(id) > maxIDBytes || !utf8.ValidString(id) || id == "." || id == ".." || id[0] == ' ' || id[len(id)-1] == ' ' {
		return false
	}
	return !strings.ContainsFunc(id, func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) })
}

// tokenPattern is the format of IDs that this service creates or operators choose, which are used in slots without escaping. Earlier versions
// accepted no other IDs.
var tokenPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// TokenRule is the rule of ValidToken in words.
const TokenRule = "must be 1 to 64 characters of A-Z a-z 0-9 . _ - and begin with a letter or digit"

// ValidToken reports whether a text is a valid ID of a request, an event, a dead letter or an operator.
func ValidToken(text string) bool { return tokenPattern.MatchString(text) }

const hexDigits = "0123456789ABCDEF"

// Escape returns an ID for a name: every byte except A-Z a-z 0-9 . _ - is percent-encoded. Names contain neither slash nor @, and different IDs have
// different names.
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

// Unescape reverses Escape; ok is false for all other texts.
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

// Key returns the idempotency key of a step for a participant: a UUID. IDs that earlier versions accepted keep the format <id>/<step>, because
// running sagas have used such keys.
func Key(id, step string) string {
	if ValidToken(id) {
		return id + "/" + step
	}
	return DerivedID("key", Escape(id), step)
}

// maxWorkflowID is the maximum length of a workflow ID in Temporal's SQL databases.
const maxWorkflowID = 255

// WorkflowID returns the workflow ID for an ID: prefix and escaped ID. A longer one than Temporal's databases allow is truncated and ends with a ~,
// which escaped IDs do not contain, and a UUID.
func WorkflowID(prefix, id string) string {
	name := prefix + Escape(id)
	if len(name) <= maxWorkflowID {
		return name
	}
	tail := "~" + DerivedID("workflow", name)
	return name[:maxWorkflowID-len(tail)] + tail
}

// idOf returns the ID in a name with a prefix.
func idOf(name, prefix string) (string, bool) {
	escaped, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return "", false
	}
	return Unescape(escaped)
}

// Prefixes of stream names.
const (
	orderPrefix   = "order-"
	stockPrefix   = "sku-"
	paymentPrefix = "payment-"
	// flowPaymentPrefix is for payments of other flows; no stream of an order's payment has this prefix.
	flowPaymentPrefix = "payment."
	refundsPrefix     = "refunds-"
	latePrefix        = "late-"
	earlyPrefix       = "early-"
	reconcilePrefix   = "reconcile-"
	deadPrefix        = "dead-"
	customerPrefix    = "customer-"
	noticePrefix      = "notice-"
)

// OrderStream returns the name of the stream of an order.
func OrderStream(orderID string) string { return orderPrefix + Escape(orderID) }

// StockStream returns the name of the stock stream of a SKU.
func StockStream(sku string) string { return stockPrefix + Escape(sku) }

// PaymentStream returns the name of the payment simulator's stream for an order.
func PaymentStream(orderID string) string { return paymentPrefix + Escape(orderID) }

// FlowPaymentStream returns the name of the payment simulator's stream for a saga of another flow. flow is the stream of the flow, without a hyphen.
func FlowPaymentStream(flow, id string) string { return flowPaymentPrefix + flow + "-" + Escape(id) }

// FlowPaymentOf reverses FlowPaymentStream.
func FlowPaymentOf(stream string) (flow, id string, ok bool) {
	rest, ok := strings.CutPrefix(stream, flowPaymentPrefix)
	flow, escaped, found := strings.Cut(rest, "-")
	if !ok || !found {
		return "", "", false
	}
	id, ok = Unescape(escaped)
	return flow, id, ok
}

// PaymentReferenceOf reverses PaymentStream.
func PaymentReferenceOf(stream string) (string, bool) { return idOf(stream, paymentPrefix) }

// SKUOf reverses StockStream.
func SKUOf(stream string) (string, bool) { return idOf(stream, stockPrefix) }

// RefundsStream returns the name of the refund stream of a payment.
func RefundsStream(reference string) string { return refundsPrefix + Escape(reference) }

// RefundsReferenceOf reverses RefundsStream.
func RefundsReferenceOf(stream string) (string, bool) { return idOf(stream, refundsPrefix) }

// LateStream returns the name of the stream of late events of an order.
func LateStream(orderID string) string { return latePrefix + Escape(orderID) }

// EarlyStream returns the name of the stream of cancellations that arrived before their order.
func EarlyStream(orderID string) string { return earlyPrefix + Escape(orderID) }

// ReconcileStream returns the name of the stream of violations of a stream.
func ReconcileStream(stream string) string { return reconcilePrefix + stream }

// DeadStream returns the name of the stream of a dead letter.
func DeadStream(letterID string) string { return deadPrefix + Escape(letterID) }

// DeadLetterIDOf reverses DeadStream.
func DeadLetterIDOf(stream string) (string, bool) { return idOf(stream, deadPrefix) }

// OrderIDOf reverses OrderStream.
func OrderIDOf(stream string) (string, bool) { return idOf(stream, orderPrefix) }

// CustomerStream returns the name of the stream of a customer.
func CustomerStream(customerID string) string { return customerPrefix + Escape(customerID) }

// NoticeStream returns the name of the stream of a message to a customer.
func NoticeStream(noticeID string) string { return noticePrefix + Escape(noticeID) }
