package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/trace"
)

const (
	headerCorrelationID     = "X-Correlation-Id"
	headerIdempotencyKey    = "Idempotency-Key"
	headerIdempotentReplay  = "Idempotent-Replayed"
	headerPrefer            = "Prefer"
	headerPreferenceApplied = "Preference-Applied"
	headerLastEventID       = "Last-Event-Id"
)

// maxCorrelationID is the most characters of a correlation id.
const maxCorrelationID = 128

// contextOrderID is where echo's context has the id of the order that the request is about, for its line.
const contextOrderID = "order_id"

// contextSaga is where it has what names the saga that a request under /v1/sagas is about.
const contextSaga = "saga"

type correlationKey struct{}

func correlationOf(ctx context.Context) string {
	id, _ := ctx.Value(correlationKey{}).(string)
	return id
}

// observe gives the request its correlation id, turns its error into an answer, and logs and counts it.
func (s *Server) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		started := s.cfg.Clock()
		ctx, span := s.identify(c)
		setAnswerHeaders(c.Response().Header())
		if err := next(c); err != nil {
			c.Error(err)
		}
		took := s.cfg.Clock().Sub(started)
		s.metrics.observe(c, took)
		s.endSpan(c, span)
		s.logRequest(ctx, c, took)
		return nil
	}
}

// logRequest writes the request's line. Neither path nor query are in it: clients put anything there.
func (s *Server) logRequest(ctx context.Context, c echo.Context, took time.Duration) {
	level := slog.LevelInfo
	if slices.Contains(probePaths, c.Path()) {
		level = slog.LevelDebug // they come every few seconds
	}
	attrs := []slog.Attr{
		slog.String("method", methodLabel(c.Request().Method)), slog.String("route", s.metrics.routeLabel(c)),
		slog.Int("status", c.Response().Status), slog.Float64("duration_ms", float64(took.Microseconds())/1000),
		slog.Int64("bytes", c.Response().Size), slog.String("correlation_id", correlationOf(ctx)),
	}
	if id, ok := c.Get(contextOrderID).(string); ok {
		attrs = append(attrs, slog.String("order_id", id))
	}
	if names, ok := c.Get(contextSaga).([]slog.Attr); ok {
		attrs = append(attrs, names...)
	}
	if actor := callerOf(c).Actor; actor != "" {
		attrs = append(attrs, slog.String("caller", actor))
	}
	if refusal, ok := c.Get(contextRefusal).(string); ok {
		attrs = append(attrs, slog.String("refusal", refusal))
	}
	s.cfg.Logger.LogAttrs(ctx, level, "request", attrs...)
}

// endSpan ends the span of a request. As in its line, there is no path.
func (s *Server) endSpan(c echo.Context, span trace.Span) {
	if span.Recorded() {
		method, route, status := methodLabel(c.Request().Method), s.metrics.routeLabel(c), c.Response().Status
		span.Name(method + " " + route)
		span.Set("http.request.method", method)
		span.Set("http.route", route)
		span.SetInt("http.response.status_code", status)
		if status >= http.StatusInternalServerError {
			span.Fail("")
		}
		if id, ok := c.Get(contextOrderID).(string); ok {
			span.Set("ordersaga.order_id", id)
		}
	}
	span.End(nil)
}

// identify takes or makes the correlation id, and puts what identifies the request into its context. Probes have no span.
func (s *Server) identify(c echo.Context) (context.Context, trace.Span) {
	id := c.Request().Header.Get(headerCorrelationID)
	if !isVisible(id, maxCorrelationID) {
		id = s.cfg.NewID()
	}
	c.Response().Header().Set(headerCorrelationID, id)
	ctx := context.WithValue(c.Request().Context(), correlationKey{}, id)
	tracer := s.cfg.Tracer
	if slices.Contains(probePaths, c.Path()) {
		tracer = nil
	}
	ctx, span := trace.Begin(ctx, tracer, methodLabel(c.Request().Method), trace.Server, c.Request().Header.Get(trace.Header))
	span.Set("ordersaga.correlation_id", id)
	c.SetRequest(c.Request().WithContext(ctx))
	return ctx, span
}

// recoverPanics turns a panic into an Internal error. http.ErrAbortHandler is net/http's own.
func (s *Server) recoverPanics(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			r := recover()
			if r == nil {
				return
			}
			if cause, isError := r.(error); isError && errors.Is(cause, http.ErrAbortHandler) {
				panic(r)
			}
			err = fault.Wrap(fmt.Errorf("panic: %v\n%s", r, debug.Stack()), fault.Internal, "handle %s", c.Path())
		}()
		return next(c)
	}
}

// setAnswerHeaders sets what every answer has. No cache may keep it unless its handler says otherwise.
func setAnswerHeaders(h http.Header) {
	h.Set(echo.HeaderXContentTypeOptions, "nosniff")
	h.Set(echo.HeaderReferrerPolicy, "no-referrer")
	h.Set(echo.HeaderCacheControl, "no-store")
}

// withDependencyTimeout bounds what a dependency is asked on behalf of the request.
func (s *Server) withDependencyTimeout(c echo.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(c.Request().Context(), s.cfg.DependencyTimeout)
}

// isVisible reports whether text has 1 to most characters, all of them visible ASCII.
func isVisible(text string, most int) bool {
	if text == "" || len(text) > most {
		return false
	}
	return !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

// posted reads a POST: the caller's key, and the body as decode reads it.
func posted[T any](s *Server, c echo.Context, decode func(body []byte) (T, error)) (key string, content T, err error) {
	if key, err = idempotencyKey(c); err != nil {
		return "", content, err
	}
	body, err := s.readBody(c)
	if err == nil {
		content, err = decode(body)
	}
	return key, content, err
}

// requestID is the id of what a POST makes: derived from the caller's key, or made again.
func (s *Server) requestID(c echo.Context, key string, parts ...string) string {
	if key == "" {
		return s.cfg.NewID()
	}
	return event.DerivedID(append(parts, callerOf(c).Namespace, key)...)
}

// idempotencyKey returns the request's Idempotency-Key, "" when it has none. The error is Invalid.
func idempotencyKey(c echo.Context) (string, error) {
	values := c.Request().Header.Values(headerIdempotencyKey)
	if len(values) == 0 {
		return "", nil
	}
	if len(values) > 1 || !isVisible(values[0], 255) {
		return "", invalidOutside(complaint{
			Header: headerIdempotencyKey, Detail: "must be given once, with 1 to 255 visible ASCII characters",
		})
	}
	return values[0], nil
}
