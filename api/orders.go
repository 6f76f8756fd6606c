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
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/null"
	"github.com/ordersaga/ordersaga/internal/readmodel"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/saga"
)

// What other resources need to know of the flow of orders.
var (
	orderFlow    = order.Flow.Name
	lateWorkflow = order.Flow.Info().LateWorkflow
	parcelName   = order.ParcelName
)

func isOrderStatus(status string) bool { return slices.Contains(order.Statuses, order.Status(status)) }

// atNow is the value of ?at= for the current order.
const atNow = "now"

// clockSlack is how long before the API's clock a time counts as now, for an order that is from the future of that clock.
const clockSlack = 10 * time.Second

// getOrder answers with the order, folded from its stream; with ?at= or ?version= as it was then.
func (s *Server) getOrder(c echo.Context) error {
	q := queryOf(c, "at", "version")
	then, past := moment{}, false
	if q.values.Has("version") || q.one("at") != atNow {
		then, past = q.moment()
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
	// Before anything is said about the past: the answer about an order of another customer is that about one that does not exist.
	if err := s.checkOwn(c, id); err != nil {
		return err
	}
	return answer(s, c, s.resource, func(ctx context.Context) (order.State, error) {
		if then.version == 0 {
			return s.loadOrderAt(ctx, id, then.at)
		}
		records, err := s.readTo(ctx, event.OrderStream(id), then)
		if err != nil {
			return order.State{}, err
		}
		return order.Fold(records)
	})
}

func (s *Server) listOrders(c echo.Context) error {
	q := queryOf(c, append([]string{"id", "status"}, selecting...)...)
	filter := q.selection()
	filter.Statuses = q.statuses(isOrderStatus)
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
	return answer(s, c, s.shownResource, func(ctx context.Context) (shownOrder, error) {
		state, err := s.loadOrder(ctx, id)
		state, err = ownOrder(c, state, err)
		shown, err := s.withRefunds(ctx, state, err)
		if err == nil {
			shown.action = s.paymentAction(ctx, state)
		}
		return shown, err
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

// ownOrder hides an order from callers that are limited to another customer. The error is NotFound.
func ownOrder(c echo.Context, state order.State, err error) (order.State, error) {
	if limit := callerOf(c).CustomerID; err == nil && limit != "" && state.Order.CustomerID != limit {
		return order.State{}, noOrder(state.Order.ID)
	}
	return state, err
}

// checkOwn is ownOrder for what does not need the order itself.
func (s *Server) checkOwn(c echo.Context, id string) error {
	if callerOf(c).CustomerID == "" {
		return nil
	}
	ctx, cancel := s.withDependencyTimeout(c)
	defer cancel()
	state, err := s.loadOrder(ctx, id)
	_, err = ownOrder(c, state, err)
	return err
}

// resolution is a decision that was accepted, and the order after it.
type resolution struct {
	ID        string                `json:"id"`
	Accepted  bool                  `json:"accepted"`
	Action    saga.ResolutionAction `json:"action"`
	Attention int                   `json:"attention"`
	Order     orderResource         `json:"order"`
}

// resolveOrder passes on an operator's decision about what is stuck. It returns the saga's answer: the order after it, or
// ResolutionRefused.
func (s *Server) resolveOrder(c echo.Context) error {
	id, err := orderID(c)
	if err != nil {
		return err
	}
	decision, err := s.resolve(c, s.cfg.Sagas, id, refused)
	if err != nil {
		return err
	}
	return answer(s, c, func(after order.State) resolution {
		return resolution{ID: decision.ID, Accepted: true, Action: decision.Action, Attention: decision.Attention, Order: s.resource(after)}
	}, func(ctx context.Context) (order.State, error) { return s.loadOrder(ctx, id) })
}

type orderResource struct {
	ID          string              `json:"id"`
	Status      order.Status        `json:"status"`
	Reason      null.Text           `json:"reason"`
	Version     int64               `json:"version"`
	CustomerID  string              `json:"customerId"`
	Currency    string              `json:"currency"`
	Lines       []lineResource      `json:"lines"`
	Payment     order.PaymentMethod `json:"payment,omitzero"`
	Fulfillment order.Fulfillment   `json:"fulfillment"`
	TotalAmount int64               `json:"totalAmount"`
	// PaymentAction is set while the payment waits for an action of the payer, in the order itself and not in lists.
	PaymentAction *paymentAction `json:"paymentAction,omitempty"`
	// RefundedAmount is known of one order as it is now.
	RefundedAmount *int64            `json:"refundedAmount,omitempty"`
	Metadata       map[string]string `json:"metadata,omitempty"`
	CreatedAt      null.Time         `json:"createdAt"`
	UpdatedAt      null.Time         `json:"updatedAt"`
	CorrelationID  string            `json:"correlationId"`
	// Parcels are those of which the order knows; there are none in lists.
	Parcels []parcelResource `json:"parcels,omitempty"`
	Links   resourceLinks    `json:"links"`
}

// resourceLinks are the links of an order.
type resourceLinks struct {
	orderLinks
	Refunds string `json:"refunds"`
	Returns string `json:"returns"`
}

// parcelResource is goods of an order that are on their way together, or were.
type parcelResource struct {
	ParcelID       null.Text            `json:"parcelId"`
	TrackingNumber null.Text            `json:"trackingNumber"`
	Carrier        null.Text            `json:"carrier"`
	Lines          []order.LineQuantity `json:"lines"`
	Status         order.ParcelStatus   `json:"status"`
	DispatchedAt   null.Time            `json:"dispatchedAt"`
	DeliveredAt    null.Time            `json:"deliveredAt"`
}

func parcelsOf(state order.State) []parcelResource {
	var parcels []parcelResource
	for _, p := range state.ParcelsView() {
		parcels = append(parcels, parcelResource{
			ParcelID: null.Text(p.ParcelID), TrackingNumber: null.Text(p.TrackingNumber), Carrier: null.Text(p.Carrier),
			Lines: append([]order.LineQuantity{}, p.Lines...), Status: p.Status,
			DispatchedAt: null.At(p.DispatchedAt), DeliveredAt: null.At(p.DeliveredAt),
		})
	}
	return parcels
}

// lineResource is a line with its position, from 1.
type lineResource struct {
	Line       int    `json:"line"`
	SKU        string `json:"sku"`
	Quantity   int64  `json:"quantity"`
	UnitAmount int64  `json:"unitAmount"`
	Stocked    bool   `json:"stocked"`
	// ReturnedQuantity is known of one order as it is now.
	ReturnedQuantity *int64 `json:"returnedQuantity,omitempty"`
}

func linesOf(o order.Order) []lineResource {
	lines := make([]lineResource, len(o.Lines))
	for i, l := range o.Lines {
		lines[i] = lineResource{Line: i + 1, SKU: l.SKU, Quantity: l.Quantity, UnitAmount: l.UnitAmount, Stocked: l.IsStocked()}
	}
	return lines
}

func (s *Server) resource(state order.State) orderResource {
	r := s.listedResource(readmodel.FromState(state))
	r.Parcels = parcelsOf(state)
	return r
}

// listedResource makes the resource of an order that the read model lists.
func (s *Server) listedResource(o readmodel.Order) orderResource {
	return orderResource{
		ID: o.ID, Status: o.Status, Reason: null.Text(o.Reason), Version: o.Version,
		CustomerID: o.CustomerID, Currency: o.Currency, Lines: linesOf(o.Order), Payment: o.Payment,
		Fulfillment: o.Fulfillment, TotalAmount: o.TotalAmount, Metadata: o.Metadata,
		CreatedAt: null.At(o.CreatedAt), UpdatedAt: null.At(o.UpdatedAt), CorrelationID: o.CorrelationID,
		Links: resourceLinks{s.links(o.ID), orderPath(o.ID) + "/refunds", orderPath(o.ID) + "/returns"},
	}
}

func (s *Server) links(orderID string) orderLinks {
	l := orderLinks{Self: orderPath(orderID), Events: orderPath(orderID) + "/events"}
	if s.cfg.TemporalUIURL != "" {
		l.Saga = s.sagaURL(order.Flow.WorkflowID(orderID))
	}
	return l
}

// orderPath is the path of an order.
func orderPath(id string) string { return "/v1/orders/" + url.PathEscape(id) }
