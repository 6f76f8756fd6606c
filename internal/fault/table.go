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
	HostNotAllowed:       {"The host is not served here", false, http.StatusMisdirectedRequest, DeadLetter},
	CrossSite:            {"Requests of other origins are refused", false, http.StatusForbidden, DeadLetter},
	ExpectationFailed:    {"The expectation cannot be met", false, http.StatusExpectationFailed, DeadLetter},
	HeadersTooLarge:      {"The headers are too large", false, http.StatusRequestHeaderFieldsTooLarge, DeadLetter},
	NotImplemented:       {"Requests cannot be sent in this way", false, http.StatusNotImplemented, DeadLetter},
	VersionNotSupported:  {"The version of HTTP is not supported", false, http.StatusHTTPVersionNotSupported, DeadLetter},
	UnknownType:          {"The event type is not known", false, http.StatusUnprocessableEntity, DeadLetter},
	UnknownVersion:       {"The version of the event type is not known", false, http.StatusUnprocessableEntity, DeadLetter},
	NotFound:             {"There is no such resource", false, http.StatusNotFound, DeadLetter},
	OrderUnknown:         {"The order is not known", false, http.StatusNotFound, Park},
	Conflict:             {"The same id was used with other content", false, http.StatusConflict, DeadLetter},
	IdempotencyConflict:  {"The Idempotency-Key was used with another request", false, http.StatusUnprocessableEntity, DeadLetter},
	CancellationRefused:  {"The order can no longer be cancelled", false, http.StatusConflict, Acknowledge},
	ResolutionRefused:    {"The decision does not fit", false, http.StatusConflict, DeadLetter},
	StockInsufficient:    {"There is not enough stock for that", false, http.StatusConflict, DeadLetter},
	Concurrency:          {"Somebody else was faster", true, http.StatusServiceUnavailable, Redeliver},
	KeyTaken:             {"The slot is taken", false, http.StatusConflict, DeadLetter},
	EffectSettled:        {"The effect is settled the other way", false, http.StatusConflict, DeadLetter},
	Unavailable:          {"A dependency does not answer", true, http.StatusServiceUnavailable, Redeliver},
	OutcomeUnknown:       {"The outcome is not known yet", true, http.StatusServiceUnavailable, Redeliver},
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
