package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/ordersaga/ordersaga/event"
	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/jsondoc"
	"github.com/ordersaga/ordersaga/internal/null"
	"github.com/ordersaga/ordersaga/internal/refunds"
	"github.com/ordersaga/ordersaga/internal/sagaclient"
	"github.com/ordersaga/ordersaga/workflows/order"
	"github.com/ordersaga/ordersaga/workflows/refund"
)

// refundFlow is the name of the flow of refunds.
var refundFlow = refund.Flow.Name

// reservationWait bounds how long a request without Prefer waits for the refund ledger, so that one of several requests at the same time that
// exceeds what was captured is answered with that. It usually takes milliseconds.
const reservationWait = 2 * time.Second

// refundResource is a refund of an order.
type refundResource struct {
	ID      string         `json:"id"`
	OrderID string         `json:"orderId"`
	Status  refund.Outcome `json:"status"`
	// Amount and Currency are null until the amount of lines is computed.
	Amount        *int64         `json:"amount"`
	Currency      null.Text      `json:"currency"`
	Lines         []refund.Line  `json:"lines"`
	Restock       bool           `json:"restock"`
	Reason        null.Text      `json:"reason"`
	By            null.Text      `json:"by"`
	Refusal       *refundRefusal `json:"refusal"`
	Version       int64          `json:"version"`
	CreatedAt     null.Time      `json:"createdAt"`
	UpdatedAt     null.Time      `json:"updatedAt"`
	CorrelationID string         `json:"correlationId"`
	Links         orderLinks     `json:"links"`
}

// refundRefusal says why nothing is refunded.
type refundRefusal struct {
	Reason string    `json:"reason"`
	Detail null.Text `json:"detail"`
}

func refundPath(orderID, id string) string {
	return orderPath(orderID) + "/refunds/" + url.PathEscape(id)
}

func (s *Server) refundResource(state refund.State) refundResource {
	r := refundResource{
		ID: state.ID, OrderID: state.Request.OrderID, Status: state.Outcome(), Currency: null.Text(state.Currency),
		Lines: append([]refund.Line{}, state.Lines...), Restock: state.Request.Restock, Reason: null.Text(state.Request.Reason),
		By: null.Text(state.Request.By), Version: state.Head.Version, CreatedAt: null.At(state.CreatedAt), UpdatedAt: null.At(state.UpdatedAt),
		CorrelationID: state.CorrelationID,
	}
	if amount := max(state.Amount, state.Request.Amount); amount > 0 {
		r.Amount = &amount
	}
	if r.Status == refund.Refused {
		r.Refusal = &refundRefusal{state.Saga.Reason, null.Text(state.Detail)}
	}
	if f, ok := s.flowNamed(refundFlow); ok {
		r.Links = *s.sagaLinks(f, state.ID)
	}
	r.Links.Self = refundPath(r.OrderID, r.ID)
	return r
}

// decodeRefund reads the body of POST /v1/orders/{id}/refunds; the flow checks the values.
func decodeRefund(body []byte) (refund.Request, error) {
	return decoded(body, "refund", func(doc *jsondoc.Doc, d struct {
		Amount  *int64               `json:"amount"`
		Lines   []refund.RequestLine `json:"lines"`
		Reason  string               `json:"reason"`
		Restock bool                 `json:"restock"`
		By      string               `json:"by"`
	},
	) (refund.Request, error) {
		doc.Require(d.By == "" || event.ValidToken(d.By), "/by", "%s", event.TokenRule)
		r := refund.Request{Lines: d.Lines, Reason: d.Reason, Restock: d.Restock, By: d.By}
		if d.Amount != nil {
			if r.Amount = *d.Amount; r.Amount == 0 {
				r.Amount = -1 // 0 is for an amount that is not given
			}
		}
		return r, nil
	})
}

// refundOrder is POST /v1/orders/{id}/refunds. What cannot be refunded is refused before a saga starts; the refund ledger decides about requests that
// race.
func (s *Server) refundOrder(c echo.Context) error {
	dry, err := dryRunOf(c)
	if err != nil {
		return err
	}
	id, err := orderID(c)
	if err != nil {
		return err
	}
	f, ok := s.flowNamed(refundFlow)
	if !ok {
		return fault.New(fault.NotFound, "flow %s does not exist", refundFlow)
	}
	key, request, err := posted(s, c, decodeRefund)
	if err != nil {
		return err
	}
	if request.By, err = actor(c, request.By); err != nil {
		return err
	}
	request.OrderID = id
	if dry {
		key = "" // it has no effect that counts once
	}
	r := sagaclient.Request{
		ID: s.requestID(c, key, "refund", id), CorrelationID: correlationOf(c.Request().Context()), Fresh: key == "",
	}
	if r.Body, err = json.Marshal(request); err != nil {
		return fault.Wrap(err, fault.Internal, "write the refund of order %s", id)
	}
	aboutSaga(c, f, r.ID)
	preview, err := s.refundable(c, f, request, r)
	switch {
	case err != nil:
		return err
	case dry:
		return writeJSON(c, http.StatusOK, preview)
	}
	_, replayed, err := s.start(c, f, r, key)
	if err != nil {
		return err
	}
	wait, leave := s.limits.wait(c, preferredWait(c.Request().Header))
	defer leave()
	state, err := s.awaitRefund(c, request, r, wait)
	if err == nil && state.Ended && state.Refused != nil {
		err = refusedRefund(state.Refused)
	}
	if err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set(echo.HeaderLocation, refundPath(id, r.ID))
	if replayed {
		h.Set(headerIdempotentReplay, "true")
	}
	if wait > 0 && state.Ended {
		h.Set(headerPreferenceApplied, "wait="+seconds(wait))
		return writeJSON(c, http.StatusCreated, s.refundResource(state))
	}
	h.Set(echo.HeaderRetryAfter, "1")
	return writeJSON(c, http.StatusAccepted, s.refundResource(state))
}

// refundable checks the order and the request of a refund that the log does not have yet, and says what it comes to.
func (s *Server) refundable(c echo.Context, f Flow, request refund.Request, r sagaclient.Request) (preview refundPreview, err error) {
	ctx, cancel := s.withDependencyTimeout(c)
	defer cancel()
	of, err := s.loadOrder(ctx, request.OrderID)
	if of, err = ownOrder(c, of, err); err != nil {
		return preview, err
	}
	if _, err := f.ReadStart(r.ID, r.Body, ""); err != nil {
		return preview, err
	}
	before, err := s.refunds().Load(ctx, r.ID)
	if err != nil || before.Opened() {
		return preview, err
	}
	amount, lines, err := s.refunds().Price(ctx, request, &of)
	return refundPreview{request.OrderID, true, amount, of.Order.Currency, append([]refunds.Line{}, lines...)}, refusedRefund(err)
}

func (s *Server) refunds() refund.Reader { return refund.Reader{Log: s.cfg.Log} }

// awaitRefund follows a refund until it has ended, or, without a preference, until its amount is reserved, and returns it then.
func (s *Server) awaitRefund(c echo.Context, request refund.Request, r sagaclient.Request, wait time.Duration) (refund.State, error) {
	within := wait
	if wait == 0 {
		within = reservationWait
	}
	following, cancel := context.WithTimeout(c.Request().Context(), within)
	defer cancel()
	following, valid := s.whileValid(following, c)
	defer valid()
	defer context.AfterFunc(s.draining, cancel)()
	f, _ := s.flowNamed(refundFlow)
	for record, err := range s.cfg.Log.Follow(following, f.StreamOf(r.ID), 0) {
		if err != nil {
			s.logStopped(following, "stopped waiting for a refund", sagaAttrs(f, r.ID), err)
			break
		}
		if isTerminal(record) || wait == 0 && record.Type == event.RefundReserved {
			break
		}
	}
	looking, done := s.withDependencyTimeout(c)
	defer done()
	state, err := s.refunds().Load(looking, r.ID)
	if err == nil && !state.Opened() {
		now := s.cfg.Clock().Truncate(time.Millisecond)
		state = refund.State{Request: request}
		state.ID, state.CreatedAt, state.UpdatedAt, state.CorrelationID = r.ID, now, now, r.CorrelationID
	}
	return state, err
}

// refusedRefund makes the problem of a refusal by the refund ledger. A refusal by the gateway is no problem of the request.
func refusedRefund(err error) error {
	var refusal *refund.Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	code := fault.NotRefundable
	switch refusal.Reason {
	case refund.ReasonRefusedByGateway:
		return nil
	case refund.ReasonInvalidLines:
		return fault.NewInvalid("refund", []fault.Field{fault.Fieldf(refusal.Pointer(), "%s", refusal.Detail)})
	case refund.ReasonExceedsCaptured:
		code = fault.RefundExceedsCaptured
	}
	return &fault.Error{Code: code, Message: refusal.Detail, Err: detailsError{refundable: refusal.Refundable}}
}

func (s *Server) listRefunds(c echo.Context) error {
	id, err := orderID(c)
	if err != nil {
		return err
	}
	return answerPage(s, c, queryOf(c), s.refundResource, func(ctx context.Context) ([]refund.State, string, error) {
		of, err := s.loadOrder(ctx, id)
		if _, err = ownOrder(c, of, err); err != nil {
			return nil, "", err
		}
		list, err := s.refunds().List(ctx, id)
		return list, "", err
	})
}

func (s *Server) getRefund(c echo.Context) error {
	if err := queryOf(c).err(); err != nil {
		return err
	}
	id, err := orderID(c)
	if err != nil {
		return err
	}
	refundID := pathParameter(c, "refundId")
	return answer(s, c, s.refundResource, func(ctx context.Context) (refund.State, error) {
		of, err := s.loadOrder(ctx, id)
		if _, err = ownOrder(c, of, err); err != nil {
			return refund.State{}, err
		}
		state, err := s.refundOf(ctx, refundID)
		if err == nil && state.Request.OrderID != id {
			err = fault.New(fault.NotFound, "order %s has no refund %s", id, shortened(refundID))
		}
		return state, err
	})
}

// refundOf returns a refund. Between its start and its first event only Temporal knows it. The error is NotFound when Temporal does not either.
func (s *Server) refundOf(ctx context.Context, id string) (refund.State, error) {
	f, ok := s.flowNamed(refundFlow)
	if !ok || !event.ValidID(id) {
		return refund.State{}, fault.New(fault.NotFound, "refund %s does not exist", shortened(id))
	}
	state, err := s.refunds().Load(ctx, id)
	if err != nil || state.Opened() {
		return state, err
	}
	v, err := f.Sagas.View(ctx, id)
	if err != nil {
		return state, err
	}
	if state, err = refund.Flow.Begun(id, v.Input); err != nil {
		return state, err
	}
	state.CreatedAt, state.UpdatedAt, state.CorrelationID = v.CreatedAt, v.UpdatedAt, v.CorrelationID
	return state, nil
}

// shownOrder is an order with what was refunded of it.
type shownOrder struct {
	order.State
	refunded int64
	returned map[int]int64
	action   *paymentAction
}

// withRefunds adds what was refunded of an order, by refunds and for parcels that did not arrive, and what came back of its lines.
func (s *Server) withRefunds(ctx context.Context, state order.State, err error) (shownOrder, error) {
	shown := shownOrder{State: state, refunded: state.RefundedParcels()}
	if err != nil || state.Decision != order.Forward {
		return shown, err
	}
	ledger, err := refunds.Load(ctx, s.cfg.Log, state.Order.ID)
	if err != nil {
		return shown, err
	}
	amount, err := s.refunds().Amount(ctx, ledger)
	shown.refunded += amount
	shown.returned = ledger.Returned()
	return shown, err
}

func (s *Server) shownResource(o shownOrder) orderResource {
	r := s.resource(o.State)
	r.RefundedAmount, r.PaymentAction = &o.refunded, o.action
	for i := range r.Lines {
		returned := o.returned[i+1]
		r.Lines[i].ReturnedQuantity = &returned
	}
	return r
}
