package api

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/cursor"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/workflows/order"
)

// atNow is the value of ?at= for the current order.
const atNow = "now"

// clockSlack is how long before the API's clock a time counts as now, for an order that is from the future of that clock.
const clockSlack = 10 * time.Second

// getOrder answers with the order, folded from its stream; with ?at= as it stood then.
func (s *Server) getOrder(c echo.Context) error {
	q := queryOf(c, "at")
	var at time.Time
	past := false
	if q.one("at") != atNow {
		at, past = q.time("at")
	}
	if err := q.err(); err != nil {
		return err
	}
	id, err := orderID(c)
	if err != nil {
		return err
	}
	if !past {
		return s.answerOrder(c, id)
	}
	return answer(s, c, s.resource, func(ctx context.Context) (order.State, error) {
		state, err := s.loadOrderAt(ctx, id, at)
		return ownOrder(c, state, err)
	})
}

func (s *Server) listOrders(c echo.Context) error {
	q := queryOf(c, "id", "status", "customerId", "from", "to", "limit", "cursor")
	filter := readmodel.Filter{
		Statuses: q.statuses(), CustomerID: q.id("customerId"), Limit: q.limit(cursor.DefaultLimit), Cursor: q.cursor(),
	}
	filter.CreatedFrom, _ = q.time("from")
	filter.CreatedTo, _ = q.time("to")
	if !filter.CreatedFrom.IsZero() && !filter.CreatedTo.IsZero() && !filter.CreatedFrom.Before(filter.CreatedTo) {
		q.add("to", "must be after from")
	}
	if q.err() == nil {
		var err error
		if filter.CustomerID, err = forCustomer(c, filter.CustomerID); err != nil {
			return err
		}
	}
	if id := q.id("id"); id != "" {
		c.Set(contextOrderID, id)
		return answerPage(s, c, q, s.resource, func(ctx context.Context) ([]order.State, string, error) {
			return s.listOne(ctx, id, filter)
		})
	}
	return answerPage(s, c, q, s.listedResource, func(ctx context.Context) ([]readmodel.Order, string, error) {
		return s.cfg.Orders.List(ctx, filter)
	})
}

// listOne lists one order, as it is now, if there is one and the filter selects it.
func (s *Server) listOne(ctx context.Context, id string, f readmodel.Filter) ([]order.State, string, error) {
	if err := f.Validate(); err != nil {
		return nil, "", err
	}
	state, err := s.loadOrder(ctx, id)
	switch {
	case errors.Is(err, fault.NotFound):
		return nil, "", nil
	case err != nil:
		return nil, "", err
	case f.Cursor == "" && f.Selects(readmodel.FromState(state)):
		return []order.State{state}, "", nil
	}
	return nil, "", nil
}

// cancelOrder answers with the saga's answer: the order after it, or CancellationRefused. An order that is cancelled already is
// cancelled.
func (s *Server) cancelOrder(c echo.Context) error {
	id, err := orderID(c)
	if err != nil {
		return err
	}
	if err := s.checkOwn(c, id); err != nil {
		return err
	}
	if err := s.cancel(c, s.cfg.Sagas, id, id, refused); err != nil {
		return err
	}
	return s.answerOrder(c, id)
}

// pathParameter returns a parameter of the path, decoded. Echo matches the path as the client has encoded it where that says more than
// the decoded path, as with %2F, and the decoded path otherwise.
func pathParameter(c echo.Context, name string) string {
	value := c.Param(name)
	if c.Request().URL.RawPath == "" {
		return value
	}
	decoded, err := url.PathUnescape(value)
	if err != nil {
		return value
	}
	return decoded
}

// orderID returns the id of the path. What cannot be an id names no order: the error is NotFound.
func orderID(c echo.Context) (string, error) {
	id := pathParameter(c, "id")
	if !event.ValidID(id) {
		return "", noOrder(id)
	}
	c.Set(contextOrderID, id)
	return id, nil
}

func noOrder(id string) error {
	return fault.New(fault.NotFound, "order %s does not exist", shortened(id))
}

func (s *Server) answerOrder(c echo.Context, id string) error {
	return answer(s, c, s.resource, func(ctx context.Context) (order.State, error) {
		state, err := s.loadOrder(ctx, id)
		return ownOrder(c, state, err)
	})
}

// loadOrder returns an order. Between its placement and its first event only Temporal knows it.
// The error is NotFound when Temporal does not either.
func (s *Server) loadOrder(ctx context.Context, id string) (order.State, error) {
	state, err := event.FoldPages(ctx, s.cfg.Log, event.OrderStream(id), 0, order.State{}, order.State.Fold)
	if err == nil && !state.Opened() {
		return s.findAccepted(ctx, id)
	}
	return state, err
}

// loadOrderAt returns where an order stood. The error is NotFound when there was none at that time. Events are timed by
// the workflows' clock, which may be ahead of the API's: an order from the future of the API's clock is there now, for
// a request for the current order by that clock.
func (s *Server) loadOrderAt(ctx context.Context, id string, at time.Time) (order.State, error) {
	records, err := s.cfg.Log.Read(ctx, event.OrderStream(id), 0, 0)
	if err != nil {
		return order.State{}, err
	}
	state, err := order.FoldAt(records, at)
	if err == nil && len(records) == 0 {
		state, err = s.findAccepted(ctx, id)
	}
	if err != nil {
		return order.State{}, err
	}
	if len(records) > 0 && !state.Opened() && s.meansNow(at, records[0].Time) {
		return order.Fold(records)
	}
	if state.CreatedAt.IsZero() || state.CreatedAt.After(at) && !s.meansNow(at, state.CreatedAt) {
		return order.State{}, fault.New(fault.NotFound, "order %s did not exist at that time", id)
	}
	return state, nil
}

// meansNow reports whether a time before an order was created means now: by the API's clock it does, and by that clock the
// order is from the future.
func (s *Server) meansNow(at, created time.Time) bool {
	now := s.cfg.Clock()
	return created.After(now) && !at.Before(now.Add(-clockSlack))
}

// findAccepted asks Temporal about an order that the log does not know.
func (s *Server) findAccepted(ctx context.Context, id string) (order.State, error) {
	found, err := s.cfg.Sagas.Find(ctx, id)
	if errors.Is(err, fault.NotFound) {
		return order.State{}, noOrder(id)
	}
	if err != nil {
		return order.State{}, err
	}
	return acceptedState(found.Order, found.Input.CorrelationID, found.StartedAt), nil
}

// orderAttrs name an order in logs.
func orderAttrs(id string) []slog.Attr { return []slog.Attr{slog.String("order_id", id)} }

// logStopped logs why a saga, which attrs name, is not followed any further. That the time is over, or the client gone, is no
// news.
func (s *Server) logStopped(ctx context.Context, message string, attrs []slog.Attr, err error) {
	if ctx.Err() != nil {
		return
	}
	s.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, message,
		append(slices.Clip(attrs), slog.String("correlation_id", correlationOf(ctx)), slog.Any("error", err))...)
}
