package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

const problemType = "application/problem+json"

// maxComplaints bounds how many places of an input one problem names.
const maxComplaints = 50

// problem is an RFC 9457 problem. Its type leads to the section of /docs about its code.
type problem struct {
	Type   string     `json:"type"`
	Title  string     `json:"title"`
	Status int        `json:"status"`
	Detail string     `json:"detail,omitempty"`
	Code   fault.Code `json:"code"`
	// Errors names every place that is wrong.
	Errors []complaint `json:"errors,omitempty"`
	// OrderStatus is the status of the order about which a request was refused.
	OrderStatus saga.Status `json:"orderStatus,omitempty"`
	// SagaStatus is the status of the saga about which a request under /v1/sagas was refused.
	SagaStatus saga.Status `json:"sagaStatus,omitempty"`
	// Refundable is what can still be refunded of an order, in minor units.
	Refundable    *int64 `json:"refundable,omitempty"`
	CorrelationID string `json:"correlationId"`
}

// complaint is about one place of a request: of the body (a JSON pointer, RFC 6901; empty is all of it), or a
// parameter of the query or a header.
type complaint struct {
	Pointer   *string `json:"pointer,omitempty"`
	Parameter string  `json:"parameter,omitempty"`
	Header    string  `json:"header,omitempty"`
	Detail    string  `json:"detail"`
}

// detailsError carries under a fault.Error what else its problem says.
type detailsError struct {
	complaints  []complaint
	orderStatus saga.Status
	sagaStatus  saga.Status
	refundable  *int64
}

func (detailsError) Error() string { return "details for the client" }

// invalidOutside returns an Invalid error about parameters and headers, or nil when there are no complaints.
func invalidOutside(complaints ...complaint) error {
	if len(complaints) == 0 {
		return nil
	}
	return &fault.Error{Code: fault.Invalid, Message: "the request is invalid", Err: detailsError{complaints: complaints}}
}

// refused is the error of a cancellation or a decision that the saga of an order in a status has refused.
func refused(code fault.Code, detail string, status saga.Status) error {
	return &fault.Error{Code: code, Message: detail, Err: detailsError{orderStatus: status}}
}

// sagaRefused is refused for a request under /v1/sagas.
func sagaRefused(code fault.Code, detail string, status saga.Status) error {
	return &fault.Error{Code: code, Message: detail, Err: detailsError{sagaStatus: status}}
}

// problemOf makes the problem that err is to a client. Server errors say no more than their title.
func problemOf(err error) problem {
	code := fault.CodeOf(err)
	spec := fault.Lookup(code)
	p := problem{Type: "/problems/" + string(code), Title: spec.Title, Status: spec.HTTPStatus, Code: code}
	if spec.HTTPStatus == http.StatusInternalServerError {
		return p
	}
	if detail := fault.SafeMessage(err); detail != spec.Title {
		p.Detail = detail
	}
	for _, f := range fault.FieldsOf(err) {
		p.Errors = append(p.Errors, complaint{Pointer: &f.Pointer, Detail: f.Detail})
	}
	var details detailsError
	if errors.As(err, &details) {
		p.Errors, p.OrderStatus, p.SagaStatus = append(p.Errors, details.complaints...), details.orderStatus, details.sagaStatus
		p.Refundable = details.refundable
	}
	if p.SagaStatus != "" && code == fault.CancellationRefused {
		p.Title = "The saga can no longer be cancelled"
	}
	p.Errors = p.Errors[:min(len(p.Errors), maxComplaints)]
	return p
}

// coded gives a code to errors that have none: those of the router, and of a dependency that was not asked for
// longer.
func coded(err error) error {
	if fault.CodeOf(err) == fault.Internal && errors.Is(err, context.DeadlineExceeded) {
		return fault.Wrap(err, fault.Unavailable, "wait for a dependency")
	}
	var e *echo.HTTPError
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code {
	case http.StatusNotFound:
		return fault.New(fault.NotFound, "the path does not exist")
	case http.StatusMethodNotAllowed:
		return fault.New(fault.MethodNotAllowed, "the Allow header lists the methods of this path")
	}
	return fault.Wrap(err, fault.Internal, "route")
}

// writeError is the one place where errors become answers.
func (s *Server) writeError(err error, c echo.Context) {
	err = coded(err)
	p := problemOf(err)
	ctx := c.Request().Context()
	s.logError(ctx, c, p, err)
	if c.Response().Committed {
		return
	}
	p.CorrelationID = correlationOf(ctx)
	h := c.Response().Header()
	h.Set(echo.HeaderCacheControl, "no-store")
	if p.Status == http.StatusServiceUnavailable {
		h.Set(echo.HeaderRetryAfter, "1")
	}
	if err := writeJSONAs(c, problemType, p.Status, p); err != nil {
		s.cfg.Logger.LogAttrs(ctx, slog.LevelDebug, "write a problem", slog.Any("error", err))
	}
}

// logError logs what the client does not see. Errors of the client are already in the log line of the request.
func (s *Server) logError(ctx context.Context, c echo.Context, p problem, err error) {
	level := slog.LevelError
	switch {
	case p.Status < http.StatusInternalServerError:
		return
	case errors.Is(ctx.Err(), context.Canceled):
		// The client is gone, and with it what was asked on its behalf.
		level = slog.LevelDebug
	case p.Status == http.StatusServiceUnavailable:
		level = slog.LevelWarn
	}
	s.cfg.Logger.LogAttrs(ctx, level, "request failed",
		slog.String("route", s.metrics.routeLabel(c)), slog.String("code", string(p.Code)),
		slog.String("correlation_id", correlationOf(ctx)), slog.Any("error", err))
}
