package api

import (
	"github.com/labstack/echo/v4"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/order"
)

// cancelOrder is POST /v1/orders/{id}/cancellation. It answers with the saga's verdict: the order as it stands
// after it, or CancellationRefused. An order that is cancelled already is cancelled.
func (s *Server) cancelOrder(c echo.Context) error {
	id, key, body, err := s.orderRequest(c)
	if err != nil {
		return err
	}
	reason, err := decodeReason(body)
	if err != nil {
		return err
	}
	request := order.Cancellation{ID: s.requestID(c, key, "cancellation", id), Reason: reason}
	if err := s.cancel(c, id, request); err != nil {
		return err
	}
	return s.answerOrder(c, id)
}

// orderRequest is what a POST about an order brings: the order's id, the caller's key, and the body.
func (s *Server) orderRequest(c echo.Context) (id, key string, body []byte, err error) {
	if id, err = orderID(c); err != nil {
		return "", "", nil, err
	}
	if key, err = idempotencyKey(c); err != nil {
		return "", "", nil, err
	}
	body, err = s.readBody(c)
	return id, key, body, err
}

// cancel asks for the verdict. Errors: CancellationRefused, NotFound, Unavailable when no worker answers.
func (s *Server) cancel(c echo.Context, id string, request order.Cancellation) error {
	ctx, cancel := s.withDependencyTimeout(c)
	defer cancel()
	verdict, err := s.cfg.Sagas.Cancel(ctx, id, request)
	if err != nil {
		return err
	}
	if !verdict.Accepted {
		return &fault.Error{Code: fault.CancellationRefused, Message: verdict.Detail, Err: refusedError{verdict.Status}}
	}
	return nil
}

// requestID is the id of what a POST makes: derived from the caller's key, or made anew.
func (s *Server) requestID(c echo.Context, key string, parts ...string) string {
	if key == "" {
		return s.cfg.NewID()
	}
	return event.DerivedID(append(parts, caller(c.Request().Context()), key)...)
}
