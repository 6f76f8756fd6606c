package fault

import (
	"maps"
	"net/http"
	"slices"
)

// Disposition is what a consumer does with a message whose handling failed.
type Disposition int

const (
	// Redeliver retries the message later, with increasing delay, a limited number of times.
	Redeliver Disposition = iota
	// DeadLetter dead-letters the message at once: a retry cannot succeed.
	DeadLetter
	// Park retries until the order of the message exists; at the park limit it dead-letters the message.
	Park
	// Acknowledge drops the message: its effect already exists, or can no longer happen.
	Acknowledge
)

// Spec is the meaning of a code.
type Spec struct {
	// Title describes the code for clients.
	Title string
	// Retryable means that the same call, with the same key, may succeed later.
	Retryable bool
	// HTTPStatus is the status of a response with the code.
	HTTPStatus int
	// Disposition is for a message whose handling failed with the code.
	Disposition Disposition
}

// table defines all codes; a test checks that it is complete.
var table = map[Code]Spec{
	Malformed:              {"The input cannot be parsed", false, http.StatusBadRequest, DeadLetter},
	Invalid:                {"The input is invalid", false, http.StatusUnprocessableEntity, DeadLetter},
	TooLarge:               {"The input is too large", false, http.StatusRequestEntityTooLarge, DeadLetter},
	UnsupportedMediaType:   {"The content type is not supported", false, http.StatusUnsupportedMediaType, DeadLetter},
	MethodNotAllowed:       {"The method is not allowed here", false, http.StatusMethodNotAllowed, DeadLetter},
	HostNotAllowed:         {"The host is not allowed", false, http.StatusMisdirectedRequest, DeadLetter},
	CrossSite:              {"Requests from other origins are refused", false, http.StatusForbidden, DeadLetter},
	Unauthenticated:        {"Valid credentials are required", false, http.StatusUnauthorized, DeadLetter},
	InsufficientScope:      {"The credentials lack a scope", false, http.StatusForbidden, DeadLetter},
	CustomerNotAllowed:     {"The credentials are for another customer", false, http.StatusForbidden, DeadLetter},
	RateLimited:            {"Too many requests", false, http.StatusTooManyRequests, DeadLetter},
	ExpectationFailed:      {"The expectation cannot be met", false, http.StatusExpectationFailed, DeadLetter},
	HeadersTooLarge:        {"The headers are too large", false, http.StatusRequestHeaderFieldsTooLarge, DeadLetter},
	NotImplemented:         {"The transfer encoding is not supported", false, http.StatusNotImplemented, DeadLetter},
	VersionNotSupported:    {"The HTTP version is not supported", false, http.StatusHTTPVersionNotSupported, DeadLetter},
	UnknownType:            {"The event type is unknown", false, http.StatusUnprocessableEntity, DeadLetter},
	UnknownVersion:         {"The version of the event type is unknown", false, http.StatusUnprocessableEntity, DeadLetter},
	NotFound:               {"The resource does not exist", false, http.StatusNotFound, DeadLetter},
	NotCheckpointed:        {"No audit checkpoint covers it yet", false, http.StatusNotFound, DeadLetter},
	OrderUnknown:           {"The order is unknown", false, http.StatusNotFound, Park},
	Conflict:               {"The ID was already used with different content", false, http.StatusConflict, DeadLetter},
	IdempotencyConflict:    {"The Idempotency-Key was already used with a different request", false, http.StatusUnprocessableEntity, DeadLetter},
	CancellationRefused:    {"The order can no longer be cancelled", false, http.StatusConflict, Acknowledge},
	ResolutionRefused:      {"The action does not apply", false, http.StatusConflict, DeadLetter},
	NotRefundable:          {"The order cannot be refunded", false, http.StatusConflict, DeadLetter},
	RefundExceedsCaptured:  {"Less can still be refunded", false, http.StatusConflict, DeadLetter},
	ReturnExceedsDelivered: {"Less can still be returned", false, http.StatusConflict, DeadLetter},
	ReturnClosed:           {"The return does not wait for goods", false, http.StatusConflict, DeadLetter},
	StockElsewhere:         {"The stock is kept by another service", false, http.StatusNotImplemented, DeadLetter},
	StockInsufficient:      {"There is not enough stock", false, http.StatusConflict, DeadLetter},
	Concurrency:            {"Concurrent modification; read again and retry", true, http.StatusServiceUnavailable, Redeliver},
	KeyTaken:               {"The slot is taken", false, http.StatusConflict, DeadLetter},
	EffectSettled:          {"The effect already has the opposite result", false, http.StatusConflict, DeadLetter},
	Unavailable:            {"A dependency does not respond", true, http.StatusServiceUnavailable, Redeliver},
	OutcomeUnknown:         {"The outcome is not yet known", true, http.StatusServiceUnavailable, Redeliver},
	Corrupt:                {"Stored data is damaged", false, http.StatusInternalServerError, Redeliver},
	Internal:               {"Internal error", true, http.StatusInternalServerError, Redeliver},
}

// Lookup returns the meaning of a code; an unknown code has the meaning of Internal.
func Lookup(code Code) Spec {
	if s, ok := table[code]; ok {
		return s
	}
	return table[Internal]
}

// Codes returns all codes.
func Codes() []Code { return slices.Collect(maps.Keys(table)) }

// Retryable reports whether a call that returned err may succeed when it is repeated with the same key.
func Retryable(err error) bool { return err != nil && Lookup(CodeOf(err)).Retryable }
