// Package fault is the error taxonomy of ordersaga.
//
// Every error that crosses a package boundary has a Code. One table (table.go) defines what a code means: whether a retry may succeed, the
// HTTP status, and what happens to the message that caused it. Codes are compared, never texts:
//
//	if errors.Is(err, fault.NotFound) { … }
//
// The package imports only the standard library.
package fault

import (
	"errors"
	"fmt"
	"strings"
)

// Code is a class of failures. Codes are stable: they are in API answers, dead letters and Temporal failures. A Code is an error, for
// errors.Is.
type Code string

// Error returns the name of the code.
func (c Code) Error() string { return string(c) }

// The codes. Their meaning for callers is defined in table.go.
const (
	// Malformed input cannot be parsed.
	Malformed Code = "malformed"
	// Invalid input was parsed and violates a rule; see Fields.
	Invalid Code = "invalid"
	// TooLarge input exceeds its size limit.
	TooLarge Code = "too_large"
	// UnsupportedMediaType means that the content type is not supported.
	UnsupportedMediaType Code = "unsupported_media_type"
	// MethodNotAllowed means that the resource does not support the method.
	MethodNotAllowed Code = "method_not_allowed"
	// HostNotAllowed means that the request names a host that this service does not serve.
	HostNotAllowed Code = "host_not_allowed"
	// CrossSite means that a browser sent the request for a web page of another origin.
	CrossSite Code = "cross_site"
	// Unauthenticated means that a request has no valid credentials.
	Unauthenticated Code = "unauthenticated"
	// InsufficientScope means that the caller lacks the scope that a request needs.
	InsufficientScope Code = "insufficient_scope"
	// CustomerNotAllowed means that the caller may not act for the customer.
	CustomerNotAllowed Code = "customer_not_allowed"
	// RateLimited means that the caller has sent more than its share of requests, or holds more than its share of connections.
	RateLimited Code = "rate_limited"
	// ExpectationFailed means that the Expect header of a request is not supported.
	ExpectationFailed Code = "expectation_failed"
	// HeadersTooLarge means that the headers of a request exceed their size limit.
	HeadersTooLarge Code = "headers_too_large"
	// NotImplemented means that the transfer encoding of a request is not supported.
	NotImplemented Code = "not_implemented"
	// VersionNotSupported means that the HTTP version of a request is not supported.
	VersionNotSupported Code = "http_version_not_supported"
	// UnknownType means that the catalog has no event type of this name.
	UnknownType Code = "unknown_type"
	// UnknownVersion means that the catalog has no such version of the event type.
	UnknownVersion Code = "unknown_version"
	// NotFound means that the resource does not exist.
	NotFound Code = "not_found"
	// NotCheckpointed means that no audit checkpoint covers the resource yet.
	NotCheckpointed Code = "not_checkpointed"
	// OrderUnknown means that a message is about an order that does not exist yet; it may be created later.
	OrderUnknown Code = "order_unknown"
	// Conflict means that the ID was already used with different content.
	Conflict Code = "conflict"
	// IdempotencyConflict means that the Idempotency-Key was already used with a different request.
	IdempotencyConflict Code = "idempotency_conflict"
	// CancellationRefused means that the order can no longer be cancelled; the message says why.
	CancellationRefused Code = "cancellation_refused"
	// ResolutionRefused means that an intervention does not apply; the message says why.
	ResolutionRefused Code = "resolution_refused"
	// NotRefundable means that the payment of an order is not captured, or that nothing was paid for what is to be refunded.
	NotRefundable Code = "not_refundable"
	// RefundExceedsCaptured means that less than requested can still be refunded.
	RefundExceedsCaptured Code = "refund_exceeds_captured"
	// ReturnExceedsDelivered means that less than requested was delivered and can still be returned.
	ReturnExceedsDelivered Code = "return_exceeds_delivered"
	// ReturnClosed means that a return does not wait for goods.
	ReturnClosed Code = "return_closed"
	// StockInsufficient means that an adjustment would make the available stock negative.
	StockInsufficient Code = "stock_insufficient"
	// StockElsewhere means that another service keeps the stock.
	StockElsewhere Code = "stock_elsewhere"
	// Concurrency means that an append lost a race for a version. The returned tail is valid.
	Concurrency Code = "concurrency"
	// KeyTaken means that a slot already holds a different record. The returned tail is valid.
	KeyTaken Code = "key_taken"
	// EffectSettled means that an effect already has the opposite result: commit and undo exclude each other.
	EffectSettled Code = "effect_settled"
	// Unavailable means that a dependency did not respond; the request had no effect, or none that matters.
	Unavailable Code = "unavailable"
	// OutcomeUnknown means that an effect may have happened. Repeat the call with the same key.
	OutcomeUnknown Code = "outcome_unknown"
	// Corrupt means that stored data violates an invariant: a gap, a fork, a wrong hash.
	Corrupt Code = "corrupt"
	// Internal is a bug, or an error without a code.
	Internal Code = "internal"
)

// Field is an error in one place of an input.
type Field struct {
	// Pointer is an RFC 6901 JSON pointer into the input, such as /lines/0/quantity.
	Pointer string `json:"pointer"`
	// Detail is what is wrong there; it is safe for clients.
	Detail string `json:"detail"`
}

// Error is an error with a code.
type Error struct {
	Code Code
	// Op is the operation that failed, with its input if that helps: "reserve sku A-1".
	Op string
	// Message is safe for clients.
	Message string
	// Fields are the invalid places of the input; for Invalid and Malformed.
	Fields []Field
	// Err is the cause, for logs only.
	Err error
}

// New returns an error with a message that is safe for clients.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Wrap adds a code and the failed operation to err. It returns nil for a nil err.
func Wrap(err error, code Code, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &Error{Code: code, Op: fmt.Sprintf(format, args...), Err: err}
}

// Fieldf returns a Field, for NewInvalid.
func Fieldf(pointer, format string, args ...any) Field {
	return Field{Pointer: pointer, Detail: fmt.Sprintf(format, args...)}
}

// NewInvalid returns an Invalid error with fields, or nil if there are none.
func NewInvalid(what string, fields []Field) error {
	if len(fields) == 0 {
		return nil
	}
	return &Error{Code: Invalid, Message: what + " is invalid", Fields: fields}
}

// Error returns operation, message, fields and cause, for logs and operators.
func (e *Error) Error() string {
	parts := make([]string, 0, 4)
	for _, part := range []string{e.Op, e.Message} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	for _, f := range e.Fields {
		parts = append(parts, f.Pointer+": "+f.Detail)
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	if len(parts) == 0 {
		return string(e.Code)
	}
	return strings.Join(parts, ": ")
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is the code of e, or an Error with the same code.
func (e *Error) Is(target error) bool {
	switch t := target.(type) {
	case Code:
		return e.Code == t
	case *Error:
		return e.Code == t.Code
	}
	return false
}

// CodeOf returns the outermost code of err; Internal if it has none; "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	var c Code
	if errors.As(err, &c) {
		return c
	}
	return Internal
}

// FieldsOf returns the fields of err.
func FieldsOf(err error) []Field {
	var e *Error
	if errors.As(err, &e) {
		return e.Fields
	}
	return nil
}

// SafeMessage returns a text for clients: the outermost message of err, otherwise the title of its code.
func SafeMessage(err error) string {
	var e *Error
	if errors.As(err, &e) && e.Message != "" {
		return e.Message
	}
	return Lookup(CodeOf(err)).Title
}
