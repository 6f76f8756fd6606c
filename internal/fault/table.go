package fault

import "net/http"

// Disposition says what a consumer does with the message that caused an error.
type Disposition int

const (
	// Redeliver tries the message again later, with a growing delay, a limited number of times.
	Redeliver Disposition = iota
	// DeadLetter puts the message aside at once: trying again cannot help.
	DeadLetter
	// Park waits for what the message refers to, up to the park limit, then dead-letters it.
	Park
	// Acknowledge drops the message: its effect is there already.
	Acknowledge
)

// Spec says what a code means to its callers.
type Spec struct {
	// Title is the code in words that are safe to show to a client.
	Title string
	// Retryable tells that the same call, with the same key, may succeed later.
	Retryable bool
	// HTTPStatus answers a request that failed with the code.
	HTTPStatus int
	// Disposition is for the message that failed with the code.
	Disposition Disposition
}

// table is the one place where codes get their meaning; a test walks it.
var table = map[Code]Spec{
	Malformed:            {"The input cannot be parsed", false, http.StatusBadRequest, DeadLetter},
	Invalid:              {"The input is invalid", false, http.StatusUnprocessableEntity, DeadLetter},
	TooLarge:             {"The input is too large", false, http.StatusRequestEntityTooLarge, DeadLetter},
	UnsupportedMediaType: {"The content type is not supported", false, http.StatusUnsupportedMediaType, DeadLetter},
	MethodNotAllowed:     {"The method is not allowed here", false, http.StatusMethodNotAllowed, DeadLetter},
	HostNotAllowed:       {"The host is not allowed", false, http.StatusMisdirectedRequest, DeadLetter},
	CrossSite:            {"Requests from other origins are refused", false, http.StatusForbidden, DeadLetter},
	Unauthenticated:      {"Valid credentials are required", false, http.StatusUnauthorized, DeadLetter},
	InsufficientScope:    {"The credentials lack a scope", false, http.StatusForbidden, DeadLetter},
	CustomerNotAllowed:   {"The credentials are for another customer", false, http.StatusForbidden, DeadLetter},
	RateLimited:          {"Too many requests", false, http.StatusTooManyRequests, DeadLetter},
	ExpectationFailed:    {"The expectation cannot be met", false, http.StatusExpectationFailed, DeadLetter},
	HeadersTooLarge:      {"The headers are too large", false, http.StatusRequestHeaderFieldsTooLarge, DeadLetter},
	NotImplemented:       {"The transfer encoding is not supported", false, http.StatusNotImplemented, DeadLetter},
	VersionNotSupported:  {"The HTTP version is not supported", false, http.StatusHTTPVersionNotSupported, DeadLetter},
	UnknownType:          {"The event type is unknown", false, http.StatusUnprocessableEntity, DeadLetter},
	UnknownVersion:       {"The version of the event type is unknown", false, http.StatusUnprocessableEntity, DeadLetter},
	NotFound:             {"The resource does not exist", false, http.StatusNotFound, DeadLetter},
	OrderUnknown:         {"The order is unknown", false, http.StatusNotFound, Park},
	Conflict:             {"The ID was already used with different content", false, http.StatusConflict, DeadLetter},
	IdempotencyConflict:  {"The Idempotency-Key was already used with a different request", false, http.StatusUnprocessableEntity, DeadLetter},
	CancellationRefused:  {"The order can no longer be cancelled", false, http.StatusConflict, Acknowledge},
	ResolutionRefused:    {"The action does not apply", false, http.StatusConflict, DeadLetter},
	StockInsufficient:    {"There is not enough stock", false, http.StatusConflict, DeadLetter},
	Concurrency:          {"Concurrent modification; read again and retry", true, http.StatusServiceUnavailable, Redeliver},
	KeyTaken:             {"The slot is taken", false, http.StatusConflict, DeadLetter},
	EffectSettled:        {"The effect already has the opposite result", false, http.StatusConflict, DeadLetter},
	Unavailable:          {"A dependency does not respond", true, http.StatusServiceUnavailable, Redeliver},
	OutcomeUnknown:       {"The outcome is not yet known", true, http.StatusServiceUnavailable, Redeliver},
	Corrupt:              {"Stored data is damaged", false, http.StatusInternalServerError, Redeliver},
	Internal:             {"Internal error", true, http.StatusInternalServerError, Redeliver},
}

// Lookup returns what code means; an unknown code means what Internal means.
func Lookup(code Code) Spec {
	if s, ok := table[code]; ok {
		return s
	}
	return table[Internal]
}

// Codes returns every code of the table.
func Codes() []Code {
	codes := make([]Code, 0, len(table))
	for c := range table {
		codes = append(codes, c)
	}
	return codes
}

// Retryable reports whether the call that returned err may succeed when it is made again with the same key.
func Retryable(err error) bool { return err != nil && Lookup(CodeOf(err)).Retryable }
