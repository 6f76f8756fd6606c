package client

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Codes of errors that programs handle; /docs of the service lists all.
const (
	CodeMalformed              = "malformed"
	CodeInvalid                = "invalid"
	CodeUnauthenticated        = "unauthenticated"
	CodeInsufficientScope      = "insufficient_scope"
	CodeRateLimited            = "rate_limited"
	CodeNotFound               = "not_found"
	CodeConflict               = "conflict"
	CodeIdempotencyConflict    = "idempotency_conflict"
	CodeCancellationRefused    = "cancellation_refused"
	CodeResolutionRefused      = "resolution_refused"
	CodeNotRefundable          = "not_refundable"
	CodeRefundExceedsCaptured  = "refund_exceeds_captured"
	CodeReturnExceedsDelivered = "return_exceeds_delivered"
	CodeReturnClosed           = "return_closed"
	CodeStockInsufficient      = "stock_insufficient"
	CodeStockElsewhere         = "stock_elsewhere"
	CodeUnavailable            = "unavailable"
	CodeOutcomeUnknown         = "outcome_unknown"
)

// Error is an error that the service has returned (RFC 9457).
type Error struct {
	// Status is the HTTP status.
	Status int `json:"status"`
	// Code is stable. It is empty if the answer is not of the service, such as one of a proxy.
	Code string `json:"code"`
	// Type is the path of the explanation of the code.
	Type   string `json:"type"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	// Fields are the invalid places of the request.
	Fields []FieldError `json:"errors"`
	// OrderStatus or SagaStatus is the status because of which the request was refused.
	OrderStatus string `json:"orderStatus"`
	SagaStatus  string `json:"sagaStatus"`
	// Refundable is what can still be refunded, in minor units; of CodeRefundExceedsCaptured.
	Refundable *int64 `json:"refundable"`
	// CorrelationID finds the request in the logs of the service.
	CorrelationID string `json:"correlationId"`
	// RetryAfter is for how long the service asks to wait; 0 if it does not.
	RetryAfter time.Duration `json:"-"`
}

// FieldError is an invalid place of a request.
type FieldError struct {
	// Pointer is a JSON pointer into the body (RFC 6901), Parameter a parameter of the query, Header the name of a header. One of them is set.
	Pointer   string `json:"pointer"`
	Parameter string `json:"parameter"`
	Header    string `json:"header"`
	Detail    string `json:"detail"`
}

// Error implements error.
func (e *Error) Error() string {
	text := e.Title
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	for _, f := range e.Fields {
		text += fmt.Sprintf("; %s%s%s: %s", f.Pointer, f.Parameter, f.Header, f.Detail)
	}
	if e.Code == "" {
		return fmt.Sprintf("status %d: %s", e.Status, text)
	}
	return fmt.Sprintf("%s (%s)", text, e.Code)
}

// Retryable reports whether the same call, with the same key, may succeed later. The client has repeated it already.
func (e *Error) Retryable() bool {
	switch e.Status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// errorOf reads the error of an answer.
func errorOf(response *http.Response, body []byte) *Error {
	e := new(Error)
	mediaType, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if mediaType != "application/problem+json" || json.Unmarshal(body, e) != nil {
		*e = Error{Title: http.StatusText(response.StatusCode)}
	}
	e.Status = response.StatusCode
	e.RetryAfter = retryAfter(response.Header, time.Now())
	return e
}

// retryAfter reads Retry-After: seconds, or a time.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.Atoi(text); err == nil {
		return time.Duration(max(seconds, 0)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}
