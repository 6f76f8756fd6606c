// Package fault is the one error taxonomy of ordersaga.
//
// Every error that crosses a package boundary carries a Code. One table (table.go) says what a code means to
// each of the three callers that must act on it: is a retry useful, which HTTP status answers it, and what
// happens to the message that caused it. Codes are compared, never texts:
//
//	if errors.Is(err, fault.NotFound) { … }
//
// The package is a leaf: it imports the standard library only.
package fault

import (
	"errors"
	"fmt"
	"strings"
)

// Code names a class of failure. It is stable: clients, dead letters and Temporal failures carry it.
// A Code is an error itself, so that errors.Is can look for it.
type Code string

// Error returns the code's name.
func (c Code) Error() string { return string(c) }

// The codes. What each one means to a caller stands in the table of table.go.
const (
	// Malformed input cannot be parsed.
	Malformed Code = "malformed"
	// Invalid input was parsed and breaks a rule; Fields says which.
	Invalid Code = "invalid"
	// TooLarge input is over its size limit.
	TooLarge Code = "too_large"
	// UnsupportedMediaType means that the content type is not one that is understood.
	UnsupportedMediaType Code = "unsupported_media_type"
	// MethodNotAllowed means that the resource exists and has no such method.
	MethodNotAllowed Code = "method_not_allowed"
	// HostNotAllowed means that the request names a host that this service does not serve.
	HostNotAllowed Code = "host_not_allowed"
	// CrossSite means that a web page of another origin made a browser send the request.
	CrossSite Code = "cross_site"
	// Unauthenticated means that a request has no valid credentials.
	Unauthenticated Code = "unauthenticated"
	// InsufficientScope means that the caller lacks the scope that a request needs.
	InsufficientScope Code = "insufficient_scope"
	// CustomerNotAllowed means that the caller may not act for the customer.
	CustomerNotAllowed Code = "customer_not_allowed"
	// RateLimited means that the caller has sent more than its share of requests, or holds more than its share of connections.
	RateLimited Code = "rate_limited"
	// ExpectationFailed means that the Expect header of a request asks for something that is not supported.
	ExpectationFailed Code = "expectation_failed"
	// HeadersTooLarge means that the headers of a request are over their size limit.
	HeadersTooLarge Code = "headers_too_large"
	// NotImplemented means that a request is sent in a way that is not supported.
	NotImplemented Code = "not_implemented"
	// VersionNotSupported means that a request is of another version of HTTP.
	VersionNotSupported Code = "http_version_not_supported"
	// UnknownType means that no event type of this name is in the catalog.
	UnknownType Code = "unknown_type"
	// UnknownVersion means that the event type is known and this version of its schema is not.
	UnknownVersion Code = "unknown_version"
	// NotFound means that the thing asked for does not exist.
	NotFound Code = "not_found"
	// OrderUnknown means that a message names an order that has not been seen yet: it may still come.
	OrderUnknown Code = "order_unknown"
	// Conflict means that the same id came with other content.
	Conflict Code = "conflict"
	// IdempotencyConflict means that the same Idempotency-Key came with another request.
	IdempotencyConflict Code = "idempotency_conflict"
	// CancellationRefused means that the order can no longer be cancelled; the message says why.
	CancellationRefused Code = "cancellation_refused"
	// ResolutionRefused means that an operator's decision does not fit; the message says why.
	ResolutionRefused Code = "resolution_refused"
	// StockInsufficient means that an adjustment would make available stock negative.
	StockInsufficient Code = "stock_insufficient"
	// Concurrency means that an append lost a race: its version was taken. The tail that came with it is true.
	Concurrency Code = "concurrency"
	// KeyTaken means that a slot of a stream holds other content already. The tail that came with it is true.
	KeyTaken Code = "key_taken"
	// EffectSettled means that an effect is settled the other way: committed and undone exclude each other.
	EffectSettled Code = "effect_settled"
	// Unavailable means that a dependency did not answer, and that nothing was asked of it, or nothing that matters.
	Unavailable Code = "unavailable"
	// OutcomeUnknown means that an effect may or may not have happened. Ask again with the same key.
	OutcomeUnknown Code = "outcome_unknown"
	// Corrupt means that stored data breaks an invariant: a gap, a fork, a hash that does not verify.
	Corrupt Code = "corrupt"
	// Internal is a bug, or an error that nobody gave a code.
	Internal Code = "internal"
)

// Field is one complaint about one place of an input.
type Field struct {
	// Pointer is an RFC 6901 JSON pointer into the input, such as /lines/0/quantity.
	Pointer string `json:"pointer"`
	// Detail says what is wrong there, in words that are safe to show.
	Detail string `json:"detail"`
}

// Error is a coded error.
type Error struct {
	// Code classifies the error.
	Code Code
	// Op is the operation that failed, with its input where that helps: "reserve sku A-1".
	Op string
	// Message is safe to show to a client.
	Message string
	// Fields names the places of the input that are wrong; for Invalid and Malformed.
	Fields []Field
	// Err is the cause, for logs; clients never see it.
	Err error
}

// New returns an error with a code and a message that is safe to show to a client.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Wrap gives err a code and says during which operation it happened. It returns nil for a nil err.
func Wrap(err error, code Code, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &Error{Code: code, Op: fmt.Sprintf(format, args...), Err: err}
}

// Fieldf returns a complaint about one place of an input, for NewInvalid.
func Fieldf(pointer, format string, args ...any) Field {
	return Field{Pointer: pointer, Detail: fmt.Sprintf(format, args...)}
}

// NewInvalid returns an Invalid error that names every field that is wrong, or nil when there is none.
func NewInvalid(what string, fields []Field) error {
	if len(fields) == 0 {
		return nil
	}
	return &Error{Code: Invalid, Message: what + " is invalid", Fields: fields}
}

// Error joins operation, message, fields and cause. It is for logs and operators, not for clients.
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

// Is reports whether target is this error's code, or an error of the same code.
func (e *Error) Is(target error) bool {
	switch t := target.(type) {
	case Code:
		return e.Code == t
	case *Error:
		return e.Code == t.Code
	}
	return false
}

// CodeOf returns the outermost code of err, Internal when it has none, and "" for nil.
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

// FieldsOf returns the complaints that err carries.
func FieldsOf(err error) []Field {
	var e *Error
	if errors.As(err, &e) {
		return e.Fields
	}
	return nil
}

// SafeMessage returns what a client may read of err: the outermost message, else the meaning of its code.
func SafeMessage(err error) string {
	var e *Error
	if errors.As(err, &e) && e.Message != "" {
		return e.Message
	}
	return Lookup(CodeOf(err)).Title
}
