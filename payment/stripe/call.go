package stripe

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	sdk "github.com/stripe/stripe-go/v85"

	"github.com/ordersaga/ordersaga/internal/fault"
)

// Limits of one call of the gateway.
const (
	// maxKeys is how many idempotency keys are tried when Stripe repeats a response with status 500.
	maxKeys = 8
	// maxTries is how often a request is sent that Stripe did not process because another one was in progress.
	maxTries = 10
	// firstPause is the pause after the first try; it doubles up to maxPause.
	firstPause, maxPause = 20 * time.Millisecond, time.Second
)

// responseKey is the key of a *response in a context.
type responseKey struct{}

// response is what the SDK does not return with errors.
type response struct{ replayed bool }

// transport notes in the context of a request whether Stripe repeated an earlier response.
type transport struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := t.next.RoundTrip(r)
	if seen, ok := r.Context().Value(responseKey{}).(*response); ok && err == nil {
		seen.replayed = answer.Header.Get("Idempotent-Replayed") == "true"
	}
	return answer, err
}

// write sends a request that changes something, with an idempotency key. It reports whether Stripe repeated an earlier response.
func write[T any](ctx context.Context, key string, send func(ctx context.Context, params sdk.Params) (T, error)) (result T, replayed bool, err error) {
	for n := 0; ; n++ {
		sent := key
		if n > 0 {
			sent += "/" + strconv.Itoa(n)
		}
		var seen response
		result, err = patiently(context.WithValue(ctx, responseKey{}, &seen), func(ctx context.Context) (T, error) {
			return send(ctx, sdk.Params{IdempotencyKey: &sent})
		})
		if e := errorOf(err); e != nil && e.HTTPStatusCode >= http.StatusInternalServerError && seen.replayed && n < maxKeys {
			continue
		}
		return result, seen.replayed, err
	}
}

// patiently repeats a request that Stripe has not processed, because another one with the same key, or for the same object, was in progress.
func patiently[T any](ctx context.Context, send func(ctx context.Context) (T, error)) (T, error) {
	pause := firstPause
	for try := 1; ; try++ {
		result, err := send(ctx)
		e := errorOf(err)
		busy := e != nil && (e.HTTPStatusCode == http.StatusConflict || e.Code == sdk.ErrorCodeLockTimeout)
		if !busy || try == maxTries {
			return result, err
		}
		timer := time.NewTimer(pause/2 + rand.N(pause/2))
		select {
		case <-ctx.Done():
			timer.Stop()
			return result, err
		case <-timer.C:
		}
		pause = min(2*pause, maxPause)
	}
}

// errorOf returns Stripe's error, or nil.
func errorOf(err error) *sdk.Error {
	var e *sdk.Error
	errors.As(err, &e)
	return e
}

// failure converts an error of the SDK. The text never contains that of the SDK, which has the client's secret. Codes: OutcomeUnknown if the
// request may have been processed, Unavailable if it was not, Conflict for a key that was used with other content, Internal for the rest.
func failure(err error, op string, args ...any) error {
	if err == nil {
		return nil
	}
	op = fmt.Sprintf(op, args...)
	e := errorOf(err)
	if e == nil {
		return fault.Wrap(err, fault.OutcomeUnknown, "%s", op)
	}
	cause := fmt.Errorf("status %d, type %s, code %s, request %s: %s", e.HTTPStatusCode, e.Type, e.Code, e.RequestID, e.Msg)
	code := fault.Internal
	switch {
	case e.HTTPStatusCode >= http.StatusInternalServerError:
		code = fault.OutcomeUnknown
	case e.HTTPStatusCode == http.StatusTooManyRequests, e.HTTPStatusCode == http.StatusConflict,
		e.HTTPStatusCode == http.StatusUnauthorized, e.HTTPStatusCode == http.StatusForbidden:
		code = fault.Unavailable
	case e.Type == sdk.ErrorTypeIdempotency:
		code = fault.Conflict
	}
	return fault.Wrap(cause, code, "%s", op)
}

// unexpected reports that the PaymentIntent was in another state than the request requires.
func unexpected(e *sdk.Error) bool {
	return e != nil && (e.Code == sdk.ErrorCodePaymentIntentUnexpectedState || e.Code == sdk.ErrorCodeIntentInvalidState)
}

// codeOf is the code of a refusal for clients: that of the card's issuer if there is one.
func codeOf(e *sdk.Error) string {
	if e.DeclineCode != "" {
		return string(e.DeclineCode)
	}
	if e.Code != "" {
		return string(e.Code)
	}
	return string(e.Type)
}
