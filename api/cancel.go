package api

import (
	"github.com/labstack/echo/v4"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// cancelOrder is POST /v1/orders/{id}/cancellation. It answers with the saga's verdict: the order
// after it, or CancellationRefused. An order that is cancelled already is cancelled.
func (s *Server) cancelOrder(c echo.Context) error {
	id, err := orderID(c)
	if err != nil {
		return err
	}
	key, reason, err := posted(s, c, decodeReason)
	if err != nil {
		return err
	}
	request := order.Cancellation{ID: s.requestID(c, key, "cancellation", id), Reason: reason}
	if err := s.cancel(c, id, request); err != nil {
		return err
	}
	return s.answerOrder(c, id)
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
