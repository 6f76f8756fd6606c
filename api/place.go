package api

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/eventlog"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/jsondoc"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// placeOrder is POST /v1/orders. The status depends on the request and on time alone: 201 when the client waits
// and the order has ended, else 202; a replay is answered in the same way.
func (s *Server) placeOrder(c echo.Context) error {
	key, o, err := posted(s, c, decodeOrder)
	if err != nil {
		return err
	}
	if _, err := forCustomer(c, o.CustomerID); err != nil {
		return err
	}
	if err := ownID(c, o.ID); err != nil {
		return err
	}
	ctx := c.Request().Context()
	// An ID of the caller's says which order is meant, and a key beside it no more.
	callerID := o.ID != ""
	if !callerID {
		o.ID = s.requestID(c, key, "order")
	}
	c.Set(contextOrderID, o.ID)
	wait, leave := s.limits.wait(c, preferredWait(c.Request().Header))
	defer leave()
	stream := event.OrderStream(o.ID)
	var watch *eventlog.Watch
	if wait > 0 {
		// Before its saga can have appended to the stream.
		watch = s.cfg.Log.Watch(stream)
		defer watch.Close()
	}
	replayed, err := s.place(c, sagaclient.Placement{
		Order: o, CorrelationID: correlationOf(ctx), Fresh: key == "" && !callerID, CallerID: callerID,
	})
	if err != nil {
		return err
	}
	state, err := s.placed(c, o, replayed)
	if err != nil {
		return err
	}
	if wait > 0 && !state.Status.Terminal() {
		follow := watch.Follow // a new order's stream was empty when the watch began
		if replayed {
			follow = func(ctx context.Context, after int64) iter.Seq2[event.Record, error] {
				return s.cfg.Log.Follow(ctx, stream, after)
			}
		}
		valid, done := s.whileValid(ctx, c)
		state = s.awaitEnd(valid, follow, state, wait)
		done()
	}
	return answerStarted(c, orderPath(state.Order.ID), replayed, wait, state.Status.Terminal(), s.resource(state))
}

// place starts the order's saga. What caused it is no event, so its first event has a correlation and no cause.
func (s *Server) place(c echo.Context, p sagaclient.Placement) (replayed bool, err error) {
	ctx, cancel := s.withDependencyTimeout(c)
	defer cancel()
	replayed, err = s.cfg.Sagas.Place(ctx, p)
	if errors.Is(err, fault.Conflict) && p.CallerID {
		return false, &fault.Error{Code: fault.Conflict, Err: err, Message: "the order ID was already used with different content"}
	}
	if errors.Is(err, fault.Conflict) {
		return false, &fault.Error{Code: fault.IdempotencyConflict, Err: err,
			Message: "Idempotency-Key was already used for a different order"}
	}
	return replayed, err
}

// placed is an order right after it was placed: accepted, without a look at the log, unless it was
// there before.
func (s *Server) placed(c echo.Context, o order.Order, replayed bool) (order.State, error) {
	if replayed {
		ctx, cancel := s.withDependencyTimeout(c)
		defer cancel()
		return s.loadOrder(ctx, o.ID)
	}
	return acceptedState(o, correlationOf(c.Request().Context()), s.cfg.Clock().Truncate(time.Millisecond)), nil
}

// follow yields the records after a version as they come.
type follow func(ctx context.Context, after int64) iter.Seq2[event.Record, error]

// awaitEnd follows the order until it has ended, the time is over, the client is gone or the server drains, and
// returns the order then. The order is placed: what goes wrong here only makes the answer an earlier one.
func (s *Server) awaitEnd(ctx context.Context, follow follow, state order.State, wait time.Duration) order.State {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	defer context.AfterFunc(s.draining, cancel)()
	for r, err := range follow(ctx, state.Head.Version) {
		next := state
		if !state.Opened() {
			next = order.State{} // the times of an order are those of its first event
		}
		if err == nil {
			next, err = next.Fold([]event.Record{r})
		}
		if err != nil {
			s.logStopped(ctx, "stopped waiting for the end of an order", orderAttrs(state.Order.ID), err)
			break
		}
		if state = next; state.Status.Terminal() {
			break
		}
	}
	return state
}

// acceptedState is an order that was accepted and has no event yet.
func acceptedState(o order.Order, correlationID string, at time.Time) order.State {
	return order.State{Saga: saga.Saga{Status: order.StatusAccepted, CreatedAt: at, UpdatedAt: at, CorrelationID: correlationID}, Order: o}
}

// decodeOrder reads the body of POST /v1/orders: a valid and normalized order, whose ID is empty if the body has none.
func decodeOrder(body []byte) (order.Order, error) {
	return decoded(body, "order", func(doc *jsondoc.Doc, d struct {
		ID *string `json:"id"`
		order.Draft
	},
	) (order.Order, error) {
		o := d.Draft.Order(doc.Wrong)
		if d.ID != nil {
			o.ID = *d.ID
			doc.Require(doc.Wrong("/id") || event.ValidID(o.ID), "/id", "%s", event.IDRule)
		}
		err := o.Validate()
		return o.Normalize(), err
	})
}
